/* gateway_parties - groups over nodes: one node changes them all, the one to which the table of slots gives PARTIES_KEY; the others
 * send it their calls, and take every group as it says. So each node knows all groups, may judge by itself who is a member, and
 * goes on with them when that node is lost. Calls wait while the nodes agree on a table.
 *
 * A message is PARTIES_WIRE and a JSON object; 64-bit numbers are hexadecimal texts:
 *     {"ask":number, "client","role","subject","method","params"}   a call; without method: the player has left
 *     {"answer":number, "code","message","result"}
 *     {"group":id, "version","size","open","leader","members":[[client, name]],"invited":[client],"what","player":[client, name]}
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway_inside.h"
#include "json.h"
#include "log.h"

#define PARTIES_KEY "groups"
#define PARTIES_DEADLINE_US 5000000u
#define PARTIES_CALLS_MAX 16384u

struct gateway_party_call {
    gateway_party_call* next;
    rpc_later* later; /* NULL: nobody waits for it */
    uint64_t number;
    uint64_t home; /* where it went; 0: it waits */
    uint64_t at_us;
    uint64_t client_id; /* of the caller, */
    uint64_t serial;    /* and of its session */
    char* json;         /* the message, without its first byte */
};

static void parties_send(gateway* at, uint64_t to, const char* json)
{
    text out;
    const char wire = (char)PARTIES_WIRE;
    text_begin_growing(&out);
    text_put_bytes(&out, &wire, 1);
    text_put(&out, json);
    if (!out.failed) gateway_cluster_send(at, to, out.to, out.bytes);
    text_end(&out);
}

static uint64_t parties_id(const cJSON* from)
{
    return cJSON_IsString(from) ? strtoull(from->valuestring, NULL, 16) : 0;
}

static uint64_t parties_number(const cJSON* object, const char* key)
{
    const cJSON* from = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(from) && from->valuedouble > 0 && from->valuedouble < 9e15 ? (uint64_t)from->valuedouble : 0;
}

static const char* parties_text(const cJSON* object, const char* key)
{
    const char* from = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    return from ? from : "";
}

/* ------------------------------------------------------------------------------------------------------- groups -- */

static void parties_put_player(const gateway* at, text* out, necpnet_player player)
{
    text_format(out, "[\"%016" PRIx64 "\",", player);
    gateway_put_player(at, out, player);
    text_put(out, "]");
}

void gateway_say_group(gateway* at, const groups_group* group, const char* what, necpnet_player player, uint64_t to)
{
    text out;
    if (!at->cluster) return;
    text_begin_growing(&out);
    text_format(&out, "{\"group\":%" PRIu32 ",\"version\":%" PRIu64 ",\"size\":%" PRIu32 ",\"open\":%s,\"what\":\"%s\"",
                group->id, group->version, group->size_max, group->open ? "true" : "false", what);
    text_format(&out, ",\"leader\":\"%016" PRIx64 "\",\"members\":[", group->leader);
    for (uint32_t i = 0; i < group->count; i++) {
        if (i > 0) text_put(&out, ",");
        parties_put_player(at, &out, group->members[i]);
    }
    text_put(&out, "],\"invited\":[");
    for (uint32_t i = 0; i < group->invited_count; i++)
        text_format(&out, "%s\"%016" PRIx64 "\"", i ? "," : "", group->invited[i]);
    text_put(&out, "]");
    if (player) {
        text_put(&out, ",\"player\":");
        parties_put_player(at, &out, player);
    }
    text_put(&out, "}");
    if (!out.failed) parties_send(at, to, out.to);
    text_end(&out);
}

void gateway_greet_parties(gateway* at, uint64_t origin)
{
    if (gateway_cluster_home(at, PARTIES_KEY) != 0) return;
    for (groups_group* group = groups_next(at->parties, NULL); group; group = groups_next(at->parties, group))
        gateway_say_group(at, group, "", 0, origin);
}

/* A player and its name. 0: none. */
static necpnet_player parties_read_player(gateway* at, const cJSON* from)
{
    necpnet_player player = parties_id(cJSON_GetArrayItem(from, 0));
    const char* name = cJSON_GetStringValue(cJSON_GetArrayItem(from, 1));
    if (player && name && name[0] && name[0] != '#') gateway_name_player(at, player, name);
    return player;
}

static void parties_hear_group(gateway* at, const cJSON* told)
{
    groups_group state = {.id = (uint32_t)parties_number(told, "group"),
                          .version = parties_number(told, "version"),
                          .size_max = (uint32_t)parties_number(told, "size"),
                          .open = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(told, "open")),
                          .leader = parties_id(cJSON_GetObjectItemCaseSensitive(told, "leader"))};
    groups_group* group;
    const cJSON* item;
    const char* what = parties_text(told, "what");
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(told, "members"))
    {
        if (state.count < GROUPS_MEMBERS_MAX) state.members[state.count++] = parties_read_player(at, item);
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(told, "invited"))
    {
        if (state.invited_count < GROUPS_INVITED_MAX) state.invited[state.invited_count++] = parties_id(item);
    }
    necpnet_player player = parties_read_player(at, cJSON_GetObjectItemCaseSensitive(told, "player"));
    necpnet_result result = groups_take(at->parties, &state, &group);
    if (result != NECPNET_OK) {
        if (result != NECPNET_ERR_ALREADY_EXISTS)
            LOG(NECPNET_LOG_WARNING, "group_not_taken", necpnet_result_text(result), LOG_END);
        return;
    }
    if (player && (!group || !groups_has(group, player))) gateway_forget_group_topic(at, state.id, player);
    if (group && what[0]) gateway_tell_group(at, group, what, player);
}

/* -------------------------------------------------------------------------------------------------------- calls -- */

static const rpc_method* parties_method(const char* name)
{
    const rpc_method* method = gateway_methods;
    while (method->name && strcmp(method->name, name) != 0) method++;
    return method->name && (strncmp(name, "group.", 6) == 0 || strcmp(name, "match.place") == 0) ? method : NULL;
}

/* A call of another node's client, as if it were here. */
static int parties_run(gateway* at, const cJSON* asked, uint64_t from, text* result, char* message,
                       size_t message_bytes)
{
    const char* name = parties_text(asked, "method");
    const char* subject = parties_text(asked, "subject");
    const rpc_method* method = parties_method(name);
    uint64_t client_id = parties_id(cJSON_GetObjectItemCaseSensitive(asked, "client"));
    const cJSON* params = cJSON_GetObjectItemCaseSensitive(asked, "params");
    if (!name[0]) { /* gone, unless it has come back elsewhere meanwhile */
        const gateway_session* session = gateway_first_of(at, client_id);
        while (session && (session->client_id != client_id || !session->greeted)) session = session->chain;
        if (!session && !gateway_cluster_keeps_player(at, client_id, from)) gateway_leave_all(at, client_id);
        return RPC_OK;
    }
    if (!method || !cJSON_IsObject(params)) {
        snprintf(message, message_bytes, "nodes of different versions");
        return RPC_INTERNAL_ERROR;
    }
    gateway_session caller = {.owner = at,
                              .client_id = client_id,
                              .role = (unsigned)parties_number(asked, "role"),
                              .subject = text_copy(subject),
                              .greeted = true};
    if (!caller.subject) return RPC_INTERNAL_ERROR;
    if (subject[0] != '#') gateway_name_player(at, client_id, subject);
    rpc_call call = {.method = method, .user = &caller, .params = params, .result = result};
    method->run(&call);
    free(caller.subject);
    snprintf(message, message_bytes, "%s", call.message);
    return call.code;
}

static void parties_forget(gateway* at, gateway_party_call** link)
{
    gateway_party_call* one = *link;
    *link = one->next;
    if (!one->next) at->party_calls_end = link;
    at->party_call_count--;
    free(one->json);
    free(one);
}

static void parties_answer(gateway* at, gateway_party_call** link, int code, const char* message, const char* result)
{
    gateway_party_call* one = *link;
    gateway_session* session = one->later ? gateway_first_of(at, one->client_id) : NULL;
    text out;
    while (session && session->serial != one->serial) session = session->chain;
    text_begin_growing(&out);
    if (session && !session->ended && !session->suspended) {
        rpc_finish(one->later, code, message, result, &out);
        if (!out.failed && out.bytes) (void)gateway_send_text(session, out.to, out.bytes);
    } else if (one->later) {
        rpc_abandon(one->later);
    }
    text_end(&out);
    parties_forget(at, link);
}

static void parties_do(gateway* at, const cJSON* asked, uint64_t from)
{
    text result, out;
    char message[RPC_MESSAGE_BYTES_MAX] = "";
    text_begin_growing(&result);
    text_begin_growing(&out);
    int code = parties_run(at, asked, from, &result, message, sizeof(message));
    text_format(&out, "{\"answer\":%" PRIu64 ",\"code\":%d,\"message\":", parties_number(asked, "ask"), code);
    text_json(&out, message);
    text_put(&out, ",\"result\":");
    text_put(&out, code == RPC_OK && result.bytes ? result.to : "null");
    text_put(&out, "}");
    if (!out.failed && !result.failed) parties_send(at, from, out.to);
    text_end(&result);
    text_end(&out);
}

static void parties_hear_answer(gateway* at, const cJSON* told)
{
    uint64_t number = parties_number(told, "answer");
    gateway_party_call** link = &at->party_calls;
    while (*link && (*link)->number != number) link = &(*link)->next;
    if (!*link) return;
    const cJSON* code = cJSON_GetObjectItemCaseSensitive(told, "code");
    char* result = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(told, "result"));
    parties_answer(at, link, cJSON_IsNumber(code) ? code->valueint : RPC_INTERNAL_ERROR, parties_text(told, "message"),
                   result ? result : "null");
    cJSON_free(result);
}

void gateway_hear_parties(gateway* at, uint64_t from, const void* data, size_t bytes)
{
    char error[128];
    cJSON* told = json_parse((const char*)data + 1, bytes - 1, error, sizeof(error));
    if (cJSON_HasObjectItem(told, "group")) {
        parties_hear_group(at, told);
    } else if (cJSON_HasObjectItem(told, "answer")) {
        parties_hear_answer(at, told);
    } else if (cJSON_HasObjectItem(told, "ask")) {
        parties_do(at, told, from);
    }
    cJSON_Delete(told);
}

/* One of our own, which had to wait until it was known that it is for here. */
static void parties_do_own(gateway* at, gateway_party_call** link)
{
    char error[128], message[RPC_MESSAGE_BYTES_MAX] = "";
    text result;
    uint64_t number = (*link)->number;
    cJSON* asked = json_parse((*link)->json, strlen((*link)->json), error, sizeof(error));
    text_begin_growing(&result);
    int code = parties_run(at, asked, 0, &result, message, sizeof(message));
    link = &at->party_calls; /* what was done may have ended sessions */
    while (*link && (*link)->number != number) link = &(*link)->next;
    if (*link) parties_answer(at, link, code, message, code == RPC_OK && result.bytes ? result.to : "null");
    text_end(&result);
    cJSON_Delete(asked);
}

/* Sends it, or does it, once the node that changes groups is known. Returns whether it is off the list. */
static bool parties_go_on(gateway* at, gateway_party_call** link)
{
    gateway_party_call* one = *link;
    uint64_t home = gateway_cluster_home(at, PARTIES_KEY);
    if (at->now_us >= one->at_us + PARTIES_DEADLINE_US || (one->home && home != UINT64_MAX && home != one->home)) {
        parties_answer(at, link, RPC_UNAVAILABLE,
                       one->home ? "the groups' node does not answer: whether it was done is not known"
                                 : "the nodes do not agree on who looks after groups",
                       "null");
        return true;
    }
    if (one->home || home == UINT64_MAX) return false;
    if (home == 0) {
        parties_do_own(at, link);
        return true;
    }
    one->home = home;
    parties_send(at, home, one->json);
    if (one->later) return false;
    parties_forget(at, link);
    return true;
}

void gateway_parties_work(gateway* at)
{
    for (gateway_party_call** link = &at->party_calls; *link;)
        link = parties_go_on(at, link) ? &at->party_calls : &(*link)->next;
}

/* A message of ours with its number, behind all others. */
static bool parties_wait(gateway* at, rpc_later* later, const gateway_session* session, text* json)
{
    gateway_party_call* one = at->party_call_count < PARTIES_CALLS_MAX ? calloc(1, sizeof(*one)) : NULL;
    if (one) one->json = json->failed ? NULL : text_copy(json->to);
    if (!one || !one->json) {
        free(one);
        rpc_abandon(later);
        return false;
    }
    one->later = later;
    one->number = at->party_number;
    one->at_us = at->now_us;
    one->client_id = session ? session->client_id : 0;
    one->serial = session ? session->serial : 0;
    *at->party_calls_end = one;
    at->party_calls_end = &one->next;
    at->party_call_count++;
    gateway_parties_work(at);
    return true;
}

bool gateway_group_elsewhere(rpc_call* call)
{
    gateway_session* session = call->user;
    gateway* at = session->owner;
    text json;
    if (gateway_cluster_home(at, PARTIES_KEY) == 0) return false;
    if (at->party_call_count >= PARTIES_CALLS_MAX) {
        rpc_fail(call, RPC_UNAVAILABLE, "too many changes of groups wait");
        return true;
    }
    char* params = cJSON_PrintUnformatted(call->params);
    rpc_later* later = params ? rpc_defer(call) : NULL;
    if (!later) {
        rpc_fail(call, RPC_INTERNAL_ERROR, "the server is short of memory");
        cJSON_free(params);
        return true;
    }
    text_begin_growing(&json);
    text_format(&json,
                "{\"ask\":%" PRIu64 ",\"client\":\"%016" PRIx64 "\",\"role\":%u,\"subject\":", ++at->party_number,
                session->client_id, session->role);
    text_json(&json, session->subject);
    text_format(&json, ",\"method\":\"%s\",\"params\":", call->method->name);
    text_put(&json, params);
    text_put(&json, "}");
    (void)parties_wait(at, later, session, &json);
    text_end(&json);
    cJSON_free(params);
    return true;
}

void gateway_group_gone(gateway* at, necpnet_player player)
{
    text json;
    if (gateway_cluster_home(at, PARTIES_KEY) == 0) {
        gateway_leave_all(at, player);
        return;
    }
    text_begin_growing(&json);
    text_format(&json, "{\"ask\":%" PRIu64 ",\"client\":\"%016" PRIx64 "\"}", ++at->party_number, player);
    (void)parties_wait(at, NULL, NULL, &json);
    text_end(&json);
}

void gateway_forget_parties(gateway* at)
{
    while (at->party_calls) {
        rpc_abandon(at->party_calls->later);
        parties_forget(at, &at->party_calls);
    }
}

uint32_t gateway_count_parties(const gateway* at)
{
    return gateway_cluster_home(at, PARTIES_KEY) == 0 ? groups_count(at->parties) : 0;
}
