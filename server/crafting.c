/* crafting - the tables of sessions and players, what is due, news, and the way in from the store. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crafting_inside.h"
#include "log.h"

/* ------------------------------------------------------------------------------------------------------- tables -- */

uint32_t crafting_hash(const char* name)
{
    uint32_t hash = 0x811c9dc5u; /* FNV-1a; ids are the service's */
    for (; *name; name++) hash = (hash ^ (uint8_t)*name) * 0x01000193u;
    return hash ^ hash >> 15;
}

crafting_session* crafting_get(const crafting* at, const char* id)
{
    crafting_session* session = at->sessions[crafting_hash(id) % CRAFTING_HEADS];
    while (session && strcmp(session->id, id) != 0) session = session->chain;
    return session;
}

crafting_player* crafting_get_player(const crafting* at, const char* name)
{
    crafting_player* player = at->players[crafting_hash(name) % CRAFTING_HEADS];
    while (player && strcmp(player->name, name) != 0) player = player->chain;
    return player;
}

crafting_player* crafting_open_player(crafting* at, const char* name)
{
    crafting_player* player = crafting_get_player(at, name);
    if (player) return player;
    size_t bytes = strlen(name) + 1;
    player = calloc(1, sizeof(*player) + bytes);
    if (!player) return NULL;
    memcpy(player->name, name, bytes);
    player->hash = crafting_hash(name);
    player->client_id = necpnet_token_client_id(at->config.issuer ? at->config.issuer : "", name);
    crafting_player** head = &at->players[player->hash % CRAFTING_HEADS];
    player->chain = *head;
    *head = player;
    return player;
}

void crafting_drop_player(crafting* at, crafting_player* player)
{
    if (player->first) return;
    crafting_player** link = &at->players[player->hash % CRAFTING_HEADS];
    while (*link != player) link = &(*link)->chain;
    *link = player->chain;
    free(player);
}

/* By order: sessions come in the order of their beginning. */
void crafting_link(crafting* at, crafting_session* session, crafting_player* player)
{
    crafting_session** head = &at->sessions[crafting_hash(session->id) % CRAFTING_HEADS];
    crafting_session** link = &player->first;
    session->chain = *head;
    *head = session;
    while (*link) link = &(*link)->later;
    *link = session;
    session->later = NULL;
    session->player = player;
    session->next = NULL;
    session->before = at->last;
    if (at->last) {
        at->last->next = session;
    } else {
        at->first = session;
    }
    at->last = session;
    at->count++;
    at->figures.sessions[session->course.status]++;
    player->open += !crafting_course_has_ended(&session->course);
    if (session->order > at->order) at->order = session->order;
}

/* -------------------------------------------------------------------------------------------------- what is due -- */

static void due_set(crafting* at, uint32_t place, crafting_session* session)
{
    at->due[place] = session;
    session->place = place;
}

static void due_sift(crafting* at, uint32_t place)
{
    crafting_session* session = at->due[place];
    for (; place > 0 && session->due_us < at->due[(place - 1) / 2]->due_us; place = (place - 1) / 2) {
        due_set(at, place, at->due[(place - 1) / 2]);
    }
    for (;;) {
        uint32_t child = place * 2 + 1;
        if (child >= at->due_count) break;
        if (child + 1 < at->due_count && at->due[child + 1]->due_us < at->due[child]->due_us) child++;
        if (at->due[child]->due_us >= session->due_us) break;
        due_set(at, place, at->due[child]);
        place = child;
    }
    due_set(at, place, session);
}

static void due_remove(crafting* at, crafting_session* session)
{
    uint32_t place = session->place;
    if (place == CRAFTING_NOT_DUE) return;
    session->place = CRAFTING_NOT_DUE;
    crafting_session* last = at->due[--at->due_count];
    if (last == session) return;
    due_set(at, place, last);
    due_sift(at, place);
}

/* Room for one more, and for those that are being written: one a stripe. */
bool crafting_due_reserve(crafting* at)
{
    if (at->count + CRAFTING_STRIPES < at->due_max) return true;
    uint32_t room = at->due_max ? at->due_max * 2 : 256;
    crafting_session** grown = realloc(at->due, room * sizeof(*grown));
    if (!grown) return false;
    at->due = grown;
    at->due_max = room;
    return true;
}

/* After its course has changed. */
void crafting_due_update(crafting* at, crafting_session* session)
{
    uint64_t left_us = session->course.status == CRAFTING_ACTIVE
                           ? crafting_course_left_us(&session->course, session->course.at_us)
                           : CRAFTING_UNKNOWN;
    if (left_us == CRAFTING_UNKNOWN) {
        due_remove(at, session);
        return;
    }
    session->due_us = session->course.at_us + left_us;
    if (session->place == CRAFTING_NOT_DUE) due_set(at, at->due_count++, session);
    due_sift(at, session->place);
}

/* --------------------------------------------------------------------------------------------------------- news -- */

static void crafting_nothing(void* user)
{
    (void)user; /* the loop is awake: that was all */
}

void crafting_tell(crafting* at, crafting_happening what, const char* id, const char* player, uint32_t changed)
{
    crafting_news* news = &at->news[at->news_count++ % CRAFTING_NEWS_MAX];
    news->what = what;
    news->changed = changed;
    snprintf(news->id, sizeof(news->id), "%s", id);
    snprintf(news->player, sizeof(news->player), "%s", player);
    for (int i = 0; i < CRAFTING_LISTENERS_MAX; i++) {
        crafting_listener* one = &at->listeners[i];
        if (!one->loop || one->woken) continue;
        one->woken = necpnet_loop_post(one->loop, crafting_nothing, NULL) == NECPNET_OK;
    }
}

int crafting_listen(crafting* at, necpnet_loop* loop)
{
    int found = -1;
    pthread_mutex_lock(&at->lock);
    for (int i = 0; i < CRAFTING_LISTENERS_MAX && found < 0; i++) {
        if (at->listeners[i].loop) continue;
        at->listeners[i] = (crafting_listener){.loop = loop, .read = at->news_count};
        found = i;
    }
    pthread_mutex_unlock(&at->lock);
    return found;
}

void crafting_stop_listening(crafting* at, int listener)
{
    if (listener < 0) return;
    pthread_mutex_lock(&at->lock);
    at->listeners[listener].loop = NULL;
    pthread_mutex_unlock(&at->lock);
}

bool crafting_read_news(crafting* at, int listener, crafting_news* out_news, uint64_t* out_lost)
{
    *out_lost = 0;
    pthread_mutex_lock(&at->lock);
    crafting_listener* one = &at->listeners[listener];
    one->woken = false;
    if (at->news_count - one->read > CRAFTING_NEWS_MAX) {
        *out_lost = at->news_count - CRAFTING_NEWS_MAX - one->read;
        one->read += *out_lost;
    }
    bool some = one->read < at->news_count;
    if (some) *out_news = at->news[one->read++ % CRAFTING_NEWS_MAX];
    pthread_mutex_unlock(&at->lock);
    return some;
}

/* Under both locks. Feeds may hold it still. */
void crafting_remove(crafting* at, crafting_session* session)
{
    crafting_player* player = session->player;
    crafting_session** link = &at->sessions[crafting_hash(session->id) % CRAFTING_HEADS];
    while (*link != session) link = &(*link)->chain;
    *link = session->chain;
    for (link = &player->first; *link != session;) link = &(*link)->later;
    *link = session->later;
    if (session->next) session->next->before = session->before;
    if (session->before) session->before->next = session->next;
    if (at->first == session) at->first = session->next;
    if (at->last == session) at->last = session->before;
    due_remove(at, session);
    at->count--;
    at->figures.sessions[session->course.status]--;
    player->open -= !crafting_course_has_ended(&session->course);
    crafting_tell(at, CRAFTING_HAS_GONE, session->id, player->name, 0);
    session->player = NULL;
    if (session->holders == 0) crafting_free_session(session);
}

/* ------------------------------------------------------------------------------------------------------- feeds -- */

crafting_session* crafting_hold(crafting* at, const char* id)
{
    pthread_mutex_lock(&at->lock);
    crafting_session* session = crafting_get(at, id);
    if (session) session->holders++;
    pthread_mutex_unlock(&at->lock);
    return session;
}

void crafting_release(crafting* at, crafting_session* session)
{
    pthread_mutex_lock(&at->lock);
    bool last = --session->holders == 0 && !session->player;
    pthread_mutex_unlock(&at->lock);
    if (last) crafting_free_session(session);
}

bool crafting_look(crafting* at, const crafting_session* session, crafting_course* out_course,
                   uint32_t* out_material_version)
{
    pthread_mutex_lock(&at->lock);
    bool there = session->player != NULL;
    *out_course = session->course;
    *out_material_version = session->material_version;
    pthread_mutex_unlock(&at->lock);
    return there;
}

void crafting_view_of(crafting* at, const crafting_session* session, crafting_view* out_view)
{
    pthread_mutex_lock(&at->lock);
    crafting_fill_view(at, session, out_view);
    pthread_mutex_unlock(&at->lock);
}

const char* crafting_session_id(const crafting_session* session)
{
    return session->id;
}

void crafting_get_figures(crafting* at, crafting_figures* out_figures)
{
    pthread_mutex_lock(&at->lock);
    *out_figures = at->figures;
    pthread_mutex_unlock(&at->lock);
}

/* -------------------------------------------------------------------------------------------------------- life -- */

typedef struct crafting_found {
    crafting_session* session;
    char* player;
} crafting_found;

static int crafting_compare(const void* a, const void* b)
{
    uint64_t left = ((const crafting_found*)a)->session->order;
    uint64_t right = ((const crafting_found*)b)->session->order;
    return (left > right) - (left < right);
}

/* All records of the store; what is none of ours is left alone and told. */
static necpnet_result crafting_read_all(crafting* at, crafting_found** out_found, uint32_t* out_count)
{
    char after[STORE_ID_BYTES_MAX + 1] = "";
    uint32_t count = 0, room = 0, page = STORE_LIST_MAX;
    necpnet_result result = NECPNET_OK;
    while (result == NECPNET_OK && page == STORE_LIST_MAX) {
        store_answer answer;
        store_query query = {.kind = STORE_LIST,
                             .collection = CRAFTING_COLLECTION,
                             .after = after[0] ? after : NULL,
                             .limit = STORE_LIST_MAX};
        if (store_ask(at->config.records, &query, &answer) != DESK_OK) result = NECPNET_ERR_IO;
        page = answer.count;
        if (result == NECPNET_OK && count + page > room) {
            room = (count + page) * 2;
            crafting_found* grown = realloc(*out_found, room * sizeof(*grown));
            if (grown) *out_found = grown;
            if (!grown) result = NECPNET_ERR_OUT_OF_MEMORY;
        }
        for (uint32_t i = 0; result == NECPNET_OK && i < page; i++) {
            const store_record* record = &answer.records[i];
            crafting_found* found = &(*out_found)[count];
            found->session = crafting_read_record(record->id, record->body, record->body_bytes, &found->player);
            count += found->session != NULL;
            if (!found->session) LOG(NECPNET_LOG_ERROR, "crafting_record_wrong", "a record cannot be read", LOG_END);
            snprintf(after, sizeof(after), "%s", record->id);
        }
        store_answer_end(&answer);
    }
    *out_count = count;
    return result;
}

static necpnet_result crafting_load(crafting* at)
{
    crafting_found* found = NULL;
    uint32_t count = 0;
    necpnet_result result = at->config.records ? crafting_read_all(at, &found, &count) : NECPNET_OK;
    if (count > 1) qsort(found, count, sizeof(*found), crafting_compare);
    for (uint32_t i = 0; i < count; i++) {
        crafting_player* player = result == NECPNET_OK ? crafting_open_player(at, found[i].player) : NULL;
        if (player && crafting_due_reserve(at)) {
            crafting_link(at, found[i].session, player);
            crafting_due_update(at, found[i].session);
        } else {
            crafting_free_session(found[i].session);
            if (result == NECPNET_OK) result = NECPNET_ERR_OUT_OF_MEMORY;
        }
        free(found[i].player);
    }
    free(found);
    if (result == NECPNET_OK) (void)crafting_turn(at); /* what became complete meanwhile */
    if (count > 0)
        LOG(NECPNET_LOG_INFO, "crafting_loaded", "crafting sessions go on", LOG_NUMBER("sessions", count), LOG_END);
    return result;
}

necpnet_result crafting_create(const crafting_config* wish, crafting** out_crafting)
{
    crafting* at = calloc(1, sizeof(*at));
    if (!at) return NECPNET_ERR_OUT_OF_MEMORY;
    at->config = *wish;
    at->offset_us = necpnet_wall_time_us() - necpnet_time_us();
    pthread_mutex_init(&at->lock, NULL);
    for (int i = 0; i < CRAFTING_STRIPES; i++) pthread_mutex_init(&at->stripes[i], NULL);
    necpnet_result result = crafting_load(at);
    if (result == NECPNET_OK) {
        *out_crafting = at;
    } else {
        crafting_destroy(at);
    }
    return result;
}

void crafting_destroy(crafting* at)
{
    if (!at) return;
    for (crafting_session* session = at->first; session;) {
        crafting_session* next = session->next;
        crafting_free_session(session);
        session = next;
    }
    for (int i = 0; i < CRAFTING_HEADS; i++) {
        for (crafting_player* player = at->players[i]; player;) {
            crafting_player* next = player->chain;
            free(player);
            player = next;
        }
    }
    for (int i = 0; i < CRAFTING_STRIPES; i++) pthread_mutex_destroy(&at->stripes[i]);
    pthread_mutex_destroy(&at->lock);
    free(at->due);
    free(at);
}
