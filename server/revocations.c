/* revocations - JWTs and users that are no longer taken. */
#include "revocations.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "tokens.h"

#define REVOCATIONS_COLLECTION "revocations"

typedef struct revocation {
    uint64_t key;
    uint64_t before_us; /* of a user: JWTs issued until then */
    uint64_t until_us;  /* forgotten then */
    bool user;
} revocation;

struct revocations {
    pthread_mutex_t lock;
    store* records;
    uint64_t origin; /* of this list's news on the bus */
    uint32_t count;
    uint32_t room;
    revocation* list; /* by key */
};

/* Under the lock: where a key is, or would be. */
static uint32_t revocation_find(const revocations* list, uint64_t key, bool user)
{
    uint32_t low = 0;
    uint32_t high = list->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const revocation* at = &list->list[middle];
        if (at->key < key || (at->key == key && at->user < user)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void revocations_forget_old(revocations* list, uint64_t now_us)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->list[i].until_us > now_us) list->list[kept++] = list->list[i];
    }
    list->count = kept;
}

static bool revocations_put(revocations* list, const revocation* made)
{
    pthread_mutex_lock(&list->lock);
    if (list->count == REVOCATIONS_MAX) revocations_forget_old(list, necpnet_wall_time_us());
    if (list->count == list->room && list->room < REVOCATIONS_MAX) {
        uint32_t room = list->room ? list->room * 2 : 64;
        if (room > REVOCATIONS_MAX) room = REVOCATIONS_MAX;
        revocation* grown = realloc(list->list, room * sizeof(*grown));
        if (grown) {
            list->list = grown;
            list->room = room;
        }
    }
    uint32_t index = revocation_find(list, made->key, made->user);
    bool there = index < list->count && list->list[index].key == made->key && list->list[index].user == made->user;
    bool fits = there || list->count < list->room;
    if (fits && !there) {
        memmove(&list->list[index + 1], &list->list[index], (list->count - index) * sizeof(*made));
        list->count++;
    }
    if (fits) list->list[index] = *made;
    pthread_mutex_unlock(&list->lock);
    return fits;
}

bool revocations_hit(revocations* list, const identity* who)
{
    pthread_mutex_lock(&list->lock);
    uint32_t index = revocation_find(list, who->token_key, false);
    bool hit = index < list->count && list->list[index].key == who->token_key && !list->list[index].user;
    index = revocation_find(list, who->client_id, true);
    if (index < list->count && list->list[index].key == who->client_id && list->list[index].user)
        hit = hit || who->issued_us <= list->list[index].before_us;
    pthread_mutex_unlock(&list->lock);
    return hit;
}

static desk_result revocations_keep(revocations* list, const revocation* made)
{
    char id[32];
    char body[64];
    if (!revocations_put(list, made)) return DESK_BUSY;
    snprintf(id, sizeof(id), "%c:%016" PRIx64, made->user ? 'u' : 't', made->key);
    snprintf(body, sizeof(body), "{\"before_us\":\"%" PRIu64 "\"}", made->before_us);
    store_write write = {.expected = STORE_ANY,
                         .record = {.collection = REVOCATIONS_COLLECTION,
                                    .id = id,
                                    .body = body,
                                    .body_bytes = strlen(body),
                                    .expires_us = made->until_us}};
    return store_write_all(list->records, &write, 1, NULL);
}

static revocation revocations_of(const revocation_news* news)
{
    return (revocation){.key = news->key,
                        .before_us = news->before_us,
                        .until_us = news->until_us,
                        .user = news->kind == REVOCATION_USER};
}

#define REVOCATIONS_NEWS_BYTES (1 + 4 * 8 + NECPNET_TOKEN_ID_BYTES)

static void revocations_put64(uint8_t* to, uint64_t value)
{
    for (int i = 0; i < 8; i++) to[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t revocations_get64(const uint8_t* from)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value |= (uint64_t)from[i] << (8 * i);
    return value;
}

void revocations_say(const revocations* list, bus* events, const revocation_news* news)
{
    uint8_t bytes[REVOCATIONS_NEWS_BYTES];
    bytes[0] = (uint8_t)news->kind;
    revocations_put64(bytes + 1, news->key);
    revocations_put64(bytes + 9, news->before_us);
    revocations_put64(bytes + 17, news->until_us);
    revocations_put64(bytes + 25, list->origin);
    memcpy(bytes + 33, news->token_id, NECPNET_TOKEN_ID_BYTES);
    (void)bus_publish(events, REVOCATIONS_TOPIC, bytes, sizeof(bytes));
}

desk_result revocations_add(revocations* list, bus* events, revocation_news* news)
{
    desk_result result = DESK_OK;
    if (news->kind == REVOCATION_USER) {
        news->before_us = necpnet_wall_time_us();
        news->until_us = news->before_us + REVOCATIONS_USER_KEPT_S * (uint64_t)1000000u;
    }
    const revocation made = revocations_of(news);
    if (news->kind != REVOCATION_CONNECT) result = revocations_keep(list, &made);
    if (result == DESK_OK && events) revocations_say(list, events, news);
    return result;
}

bool revocations_hear(revocations* list, const void* data, size_t bytes, revocation_news* out_news)
{
    const uint8_t* at = data;
    if (bytes != REVOCATIONS_NEWS_BYTES || at[0] < REVOCATION_JWT || at[0] > REVOCATION_CONNECT) return false;
    if (revocations_get64(at + 25) == list->origin) return false;
    out_news->kind = (revocation_kind)at[0];
    out_news->key = revocations_get64(at + 1);
    out_news->before_us = revocations_get64(at + 9);
    out_news->until_us = revocations_get64(at + 17);
    memcpy(out_news->token_id, at + 33, NECPNET_TOKEN_ID_BYTES);
    const revocation made = revocations_of(out_news);
    if (out_news->kind != REVOCATION_CONNECT) (void)revocations_put(list, &made);
    return true;
}

bool revocations_means(const revocation_news* news, uint64_t client_id, uint64_t token_key, uint64_t issued_us)
{
    if (news->kind == REVOCATION_JWT) return token_key != 0 && token_key == news->key;
    return news->kind == REVOCATION_USER && client_id == news->key && issued_us <= news->before_us;
}

void revocations_token_id(uint64_t token_key, uint8_t token_id[NECPNET_TOKEN_ID_BYTES])
{
    memset(token_id, 0, NECPNET_TOKEN_ID_BYTES);
    revocations_put64(token_id, token_key);
    token_id[NECPNET_TOKEN_ID_BYTES - 1] = 'J'; /* ids of connect tokens are random */
}

static void revocations_read(revocations* list, const store_record* record)
{
    revocation made = {.until_us = record->expires_us, .user = record->id[0] == 'u'};
    if (sscanf(record->id + 2, "%16" SCNx64, &made.key) != 1) return;
    if (sscanf(record->body, "{\"before_us\":\"%" SCNu64, &made.before_us) != 1) return;
    (void)revocations_put(list, &made);
}

necpnet_result revocations_create(store* records, revocations** out_list)
{
    char after[STORE_ID_BYTES_MAX + 1] = "";
    revocations* list = calloc(1, sizeof(*list));
    if (!list) return NECPNET_ERR_OUT_OF_MEMORY;
    pthread_mutex_init(&list->lock, NULL);
    list->records = records;
    if (!tokens_random(&list->origin, sizeof(list->origin))) {
        revocations_destroy(list);
        return NECPNET_ERR_NO_ENTROPY;
    }
    for (;;) {
        store_answer answer;
        store_query query = {.kind = STORE_LIST,
                             .collection = REVOCATIONS_COLLECTION,
                             .after = after[0] ? after : NULL,
                             .limit = STORE_LIST_MAX};
        if (store_ask(records, &query, &answer) != DESK_OK) {
            revocations_destroy(list);
            return NECPNET_ERR_IO;
        }
        for (uint32_t i = 0; i < answer.count; i++) revocations_read(list, &answer.records[i]);
        bool more = answer.count == STORE_LIST_MAX;
        if (more) snprintf(after, sizeof(after), "%s", answer.records[answer.count - 1].id);
        store_answer_end(&answer);
        if (!more) break;
    }
    *out_list = list;
    return NECPNET_OK;
}

void revocations_destroy(revocations* list)
{
    if (!list) return;
    pthread_mutex_destroy(&list->lock);
    free(list->list);
    free(list);
}
