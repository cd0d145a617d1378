/* gateway_partners - what the gateway asks of services behind it: a player's friends and guilds; and what it tells them: sessions that
 * ended, players to be notified. An answer that does not come costs nobody a session: then there are no friends, and no guild.
 *
 *     GET  player        /players/{sub}/friends   {"friends": ["sub", ..]}
 *     GET  guild         /players/{sub}/guilds    {"guilds": [{"id": "..", "rights": ["chat", ..]}, ..]}
 *     POST analytics     /sessions                {"player", "session", "protocol", "duration_ms", "resumes"}
 *     POST notification  /notifications           {"player", "type", "data"}
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway_inside.h"
#include "guilds.h"
#include "json.h"
#include "log.h"

#define PARTNERS_FRIENDS_MAX 1000

/* A question under way: the session may be gone when the answer comes. */
typedef struct gateway_question {
    struct gateway_question* next;
    gateway* owner; /* NULL: it ended */
    char session[GATEWAY_SESSION_ID_BYTES];
    uint64_t client_id;
} gateway_question;

static gateway_session* question_session(const gateway_question* question)
{
    gateway_session* session = question->owner ? gateway_first_of(question->owner, question->client_id) : NULL;
    while (session && strcmp(session->id, question->session) != 0) session = session->chain;
    return session;
}

static void question_end(gateway_question* question)
{
    if (question->owner) {
        gateway_question** link = &question->owner->questions;
        while (*link != question) link = &(*link)->next;
        *link = question->next;
    }
    free(question);
}

/* The list in an answer; NULL: there is none. Delete out_json. */
static const cJSON* question_list(const partner_answer* answer, const char* key, cJSON** out_json)
{
    *out_json = answer->result == PARTNER_OK ? json_parse(answer->body, answer->bytes, NULL, 0) : NULL;
    const cJSON* list = cJSON_GetObjectItemCaseSensitive(*out_json, key);
    return cJSON_IsArray(list) ? list : NULL;
}

static void question_on_friends(const partner_answer* answer, void* user)
{
    gateway_question* question = user;
    gateway_session* session = question_session(question);
    cJSON* json;
    const cJSON* friend;
    int count = 0;
    const cJSON* list = question_list(answer, "friends", &json);
    cJSON_ArrayForEach(friend, list)
    {
        uint64_t other;
        if (!session || !session->present || count++ == PARTNERS_FRIENDS_MAX) break;
        if (!cJSON_IsString(friend) || !gateway_find_player(session->owner, session, friend->valuestring, &other))
            continue;
        if (friend->valuestring[0] != '#') gateway_name_player(session->owner, other, friend->valuestring);
        (void)necpnet_presence_add_friend(session->owner->presence, session->client_id, other);
    }
    cJSON_Delete(json);
    question_end(question);
}

static void question_on_guilds(const partner_answer* answer, void* user)
{
    gateway_question* question = user;
    gateway_session* session = question_session(question);
    cJSON* json;
    const cJSON* list = question_list(answer, "guilds", &json);
    if (session && list) {
        cJSON_Delete(session->guilds);
        session->guilds = json;
        json = NULL;
    }
    cJSON_Delete(json);
    question_end(question);
}

static void partners_question(gateway* at, const gateway_session* session, partner who, const char* what,
                              void (*done)(const partner_answer* answer, void* user))
{
    char path[1024];
    if (!partners_has(at->known->partners, who) || !guilds_path(session->subject, what, path, sizeof(path))) return;
    gateway_question* question = calloc(1, sizeof(*question));
    if (!question) return;
    question->owner = at;
    question->client_id = session->client_id;
    memcpy(question->session, session->id, sizeof(question->session));
    question->next = at->questions;
    at->questions = question;
    if (partners_ask(at->known->partners, who, path, at->loop, done, question) != PARTNER_OK) question_end(question);
}

void gateway_ask_friends(gateway* at, const gateway_session* session)
{
    partners_question(at, session, PARTNER_PLAYER, "friends", question_on_friends);
}

void gateway_ask_guilds(gateway* at, const gateway_session* session)
{
    partners_question(at, session, PARTNER_GUILD, "guilds", question_on_guilds);
}

void gateway_forget_questions(gateway* at)
{
    for (gateway_question* question = at->questions; question; question = question->next) question->owner = NULL;
    at->questions = NULL;
}

void gateway_tell_analytics(gateway* at, const gateway_session* session)
{
    text out;
    if (!session->greeted || !partners_has(at->known->partners, PARTNER_ANALYTICS)) return;
    text_begin_growing(&out);
    text_put(&out, "{\"player\":");
    text_json(&out, session->subject);
    text_format(&out, ",\"session\":\"%s\",\"protocol\":\"%s\",\"duration_ms\":%llu,\"resumes\":%u}", session->id,
                session->peer == NECPNET_PEER_NONE ? "jsonrpc" : "game-events",
                (unsigned long long)((at->now_us - session->began_us) / 1000u), session->resumes);
    if (!out.failed) (void)partners_tell(at->known->partners, PARTNER_ANALYTICS, "/sessions", out.to, out.bytes);
    text_end(&out);
}

void gateway_notify(gateway* at, uint64_t client_id, const char* type, const char* data)
{
    text out;
    if (!partners_has(at->known->partners, PARTNER_NOTIFICATION)) return;
    for (const gateway_session* session = gateway_first_of(at, client_id); session; session = session->chain) {
        if (session->client_id == client_id && session->greeted && !session->suspended)
            return; /* is here, and hears it */
    }
    if (gateway_cluster_has_player(at, client_id)) return; /* on another worker or node */
    text_begin_growing(&out);
    text_put(&out, "{\"player\":");
    gateway_put_player(at, &out, client_id);
    text_format(&out, ",\"type\":\"%s\",\"data\":%s}", type, data);
    if (!out.failed)
        (void)partners_tell(at->known->partners, PARTNER_NOTIFICATION, "/notifications", out.to, out.bytes);
    text_end(&out);
}
