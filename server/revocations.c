/* revocations - JWTs and users that are no longer taken. */
#include "revocations.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

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

static desk_result revocations_add(revocations* list, const revocation* made)
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

desk_result revocations_add_token(revocations* list, uint64_t token_key, uint64_t until_us)
{
    const revocation made = {.key = token_key, .until_us = until_us};
    return revocations_add(list, &made);
}

desk_result revocations_add_user(revocations* list, uint64_t client_id)
{
    uint64_t now_us = necpnet_wall_time_us();
    const revocation made = {.key = client_id,
                             .before_us = now_us,
                             .until_us = now_us + REVOCATIONS_USER_KEPT_S * (uint64_t)1000000u,
                             .user = true};
    return revocations_add(list, &made);
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
