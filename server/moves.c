/* moves - sessions that go from one node to another.
 *
 *     wire u8 = MOVES_WIRE, kind u8, code u8, number u64 with the lowest byte first, then
 *     CLAIM: client_id u64, session 32 characters, ticket 48 characters; GIVEN: the record; others nothing
 */
#include "moves.h"

#include <stdlib.h>
#include <string.h>

#define MOVES_HEAD_BYTES 11u
#define MOVES_CHAINS 1024u
#define MOVES_SWEEP_US 100000u
#define MOVES_CLAIM_BYTES (MOVES_HEAD_BYTES + 8u + (MOVES_ID_BYTES - 1u) + (MOVES_TICKET_BYTES - 1u))

typedef enum moves_kind {
    MOVES_CLAIM = 1,
    MOVES_GIVEN = 2,
    MOVES_NONE = 3,
    MOVES_SETTLED = 4 /* code 1: taken, 0: not wanted */
} moves_kind;

typedef struct moves_asked {
    struct moves_asked* next;
    uint64_t number;
    uint64_t owner;
    uint64_t at_us;
    uint64_t said_us;
    void* ticket;
    bool taken; /* answered: remembered for as long as its owner may give it once more */
    uint8_t claim[MOVES_CLAIM_BYTES];
} moves_asked;

typedef struct moves_held {
    struct moves_held* next;
    uint64_t claimant;
    uint64_t number; /* of the claimant's */
    uint64_t at_us;
    moves_key key;
    size_t bytes;
    uint8_t given[]; /* the message, to be sent again */
} moves_held;

struct moves {
    moves_config config;
    moves_asked* asked[MOVES_CHAINS]; /* by number, */
    moves_held* held[MOVES_CHAINS];   /* as these are */
    uint32_t asked_count;             /* with those that are only remembered */
    uint64_t number;
    uint64_t swept_us;
    moves_figures figures;
};

static void moves_put64(uint8_t* to, uint64_t value)
{
    for (int i = 0; i < 8; i++) to[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t moves_get64(const uint8_t* from)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value |= (uint64_t)from[i] << (8 * i);
    return value;
}

static void moves_put_head(uint8_t* to, moves_kind kind, uint8_t code, uint64_t number)
{
    to[0] = MOVES_WIRE;
    to[1] = (uint8_t)kind;
    to[2] = code;
    moves_put64(to + 3, number);
}

static void moves_say(const moves* at, uint64_t to, moves_kind kind, uint8_t code, uint64_t number)
{
    uint8_t head[MOVES_HEAD_BYTES];
    moves_put_head(head, kind, code, number);
    at->config.send(to, head, sizeof(head), at->config.user);
}

necpnet_result moves_create(const moves_config* config, moves** out_moves)
{
    moves* at = calloc(1, sizeof(*at));
    if (!at) return NECPNET_ERR_OUT_OF_MEMORY;
    at->config = *config;
    *out_moves = at;
    return NECPNET_OK;
}

void moves_destroy(moves* at)
{
    if (!at) return;
    for (uint32_t i = 0; i < MOVES_CHAINS; i++) {
        while (at->asked[i]) {
            moves_asked* one = at->asked[i];
            at->asked[i] = one->next;
            free(one);
        }
        while (at->held[i]) {
            moves_held* one = at->held[i];
            at->held[i] = one->next;
            free(one);
        }
    }
    free(at);
}

/* -------------------------------------------------------------------------------------------------- the claimant -- */

necpnet_result moves_claim(moves* at, uint64_t owner, const moves_key* key, void* ticket, uint64_t now_us)
{
    size_t id_bytes = MOVES_ID_BYTES - 1;
    size_t ticket_bytes = MOVES_TICKET_BYTES - 1;
    if (at->asked_count >= MOVES_CLAIMS_MAX) return NECPNET_ERR_LIMIT_REACHED;
    moves_asked* one = calloc(1, sizeof(*one));
    if (!one) return NECPNET_ERR_OUT_OF_MEMORY;
    one->number = ++at->number;
    one->owner = owner;
    one->at_us = one->said_us = now_us;
    one->ticket = ticket;
    moves_put_head(one->claim, MOVES_CLAIM, 0, one->number);
    moves_put64(one->claim + MOVES_HEAD_BYTES, key->client_id);
    memcpy(one->claim + MOVES_HEAD_BYTES + 8, key->session, strnlen(key->session, id_bytes));
    memcpy(one->claim + MOVES_HEAD_BYTES + 8 + id_bytes, key->ticket, strnlen(key->ticket, ticket_bytes));
    moves_asked** head = &at->asked[one->number % MOVES_CHAINS];
    one->next = *head;
    *head = one;
    at->asked_count++;
    at->figures.claims++;
    at->config.send(owner, one->claim, sizeof(one->claim), at->config.user);
    return NECPNET_OK;
}

static void moves_forget(moves* at, moves_asked** link)
{
    moves_asked* one = *link;
    *link = one->next;
    at->asked_count--;
    free(one);
}

static void moves_count(moves* at, moves_result result)
{
    at->figures.claims--;
    at->figures.unknown += result == MOVES_UNKNOWN;
    at->figures.late += result == MOVES_LATE || result == MOVES_NODE_GONE;
}

/* One that did not come. */
static void moves_fail(moves* at, moves_asked** link, moves_result result)
{
    void* ticket = (*link)->ticket;
    moves_forget(at, link);
    moves_count(at, result);
    (void)at->config.answer(ticket, result, NULL, 0, at->config.user);
}

static moves_asked** moves_find_asked(moves* at, uint64_t owner, uint64_t number)
{
    moves_asked** link = &at->asked[number % MOVES_CHAINS];
    while (*link && ((*link)->number != number || (*link)->owner != owner)) link = &(*link)->next;
    return link;
}

static void moves_hear_given(moves* at, uint64_t from, uint64_t number, const uint8_t* record, size_t bytes)
{
    moves_asked** link = moves_find_asked(at, from, number);
    bool taken = *link && (*link)->taken; /* comes twice */
    if (*link && !taken) {
        void* ticket = (*link)->ticket;
        (*link)->taken = true;
        moves_count(at, MOVES_DONE);
        taken = at->config.answer(ticket, MOVES_DONE, record, bytes, at->config.user);
        at->figures.taken += taken;
        link = moves_find_asked(at, from, number);
        if (!taken && *link) moves_forget(at, link);
    }
    moves_say(at, from, MOVES_SETTLED, taken, number);
}

/* ----------------------------------------------------------------------------------------------------- the owner -- */

static void moves_settle(moves* at, moves_held** link, bool gone, bool taken)
{
    moves_held* one = *link;
    moves_key key = one->key;
    *link = one->next;
    free(one);
    at->figures.held--;
    at->figures.given += taken;
    at->config.settle(&key, gone, taken, at->config.user);
}

/* The session is written into a message that stays until it is settled. */
static moves_held* moves_hold(moves* at, uint64_t from, uint64_t number, const moves_key* key, uint64_t now_us)
{
    uint8_t head[MOVES_HEAD_BYTES];
    text record;
    if (at->figures.held >= MOVES_CLAIMS_MAX) return NULL;
    moves_put_head(head, MOVES_GIVEN, 0, number);
    text_begin_growing(&record);
    text_put_bytes(&record, head, sizeof(head));
    if (!at->config.give(key, &record, at->config.user)) {
        text_end(&record);
        return NULL;
    }
    bool fits = !record.failed && record.bytes <= MOVES_RECORD_BYTES_MAX;
    moves_held* one = fits ? malloc(sizeof(*one) + record.bytes) : NULL;
    if (one) {
        moves_held** chain = &at->held[number % MOVES_CHAINS];
        *one = (moves_held){
            .next = *chain, .claimant = from, .number = number, .at_us = now_us, .key = *key, .bytes = record.bytes};
        memcpy(one->given, record.to, record.bytes);
        *chain = one;
        at->figures.held++;
    } else {
        at->config.settle(key, false, false, at->config.user);
    }
    text_end(&record);
    return one;
}

static void moves_hear_claim(moves* at, uint64_t from, uint64_t number, const uint8_t* body, uint64_t now_us)
{
    moves_key key;
    moves_held* one = at->held[number % MOVES_CHAINS];
    while (one && (one->claimant != from || one->number != number)) one = one->next;
    if (!one) {
        memset(&key, 0, sizeof(key));
        key.client_id = moves_get64(body);
        memcpy(key.session, body + 8, MOVES_ID_BYTES - 1);
        memcpy(key.ticket, body + 8 + MOVES_ID_BYTES - 1, MOVES_TICKET_BYTES - 1);
        one = moves_hold(at, from, number, &key, now_us);
    }
    if (one) {
        at->config.send(from, one->given, one->bytes, at->config.user);
    } else {
        moves_say(at, from, MOVES_NONE, 0, number);
    }
}

static void moves_hear_settled(moves* at, uint64_t from, uint64_t number, bool taken)
{
    moves_held** link = &at->held[number % MOVES_CHAINS];
    while (*link && ((*link)->claimant != from || (*link)->number != number)) link = &(*link)->next;
    if (*link) moves_settle(at, link, taken, taken);
}

/* ---------------------------------------------------------------------------------------------------------- all -- */

void moves_hear(moves* at, uint64_t from, const void* data, size_t bytes, uint64_t now_us)
{
    const uint8_t* head = data;
    if (bytes < MOVES_HEAD_BYTES || head[0] != MOVES_WIRE || from == at->config.self) return;
    uint64_t number = moves_get64(head + 3);
    switch (head[1]) {
    case MOVES_CLAIM:
        if (bytes == MOVES_CLAIM_BYTES) moves_hear_claim(at, from, number, head + MOVES_HEAD_BYTES, now_us);
        break;
    case MOVES_GIVEN: moves_hear_given(at, from, number, head + MOVES_HEAD_BYTES, bytes - MOVES_HEAD_BYTES); break;
    case MOVES_NONE: {
        moves_asked** link = moves_find_asked(at, from, number);
        if (*link && !(*link)->taken) moves_fail(at, link, MOVES_UNKNOWN);
        break;
    }
    case MOVES_SETTLED: moves_hear_settled(at, from, number, head[2] == 1); break;
    default: break;
    }
}

void moves_lose_node(moves* at, uint64_t origin)
{
    for (uint32_t i = 0; i < MOVES_CHAINS; i++) {
        for (moves_asked** link = &at->asked[i]; *link;) {
            if ((*link)->owner != origin || (*link)->taken) {
                link = &(*link)->next;
                continue;
            }
            moves_fail(at, link, MOVES_NODE_GONE);
            link = &at->asked[i]; /* an answer may claim anew */
        }
    }
}

/* A claim's time: said again, given up, or no longer worth remembering. Returns whether it is gone. */
static bool moves_sweep_asked(moves* at, moves_asked** link, uint64_t now_us)
{
    moves_asked* one = *link;
    if (one->taken) {
        if (now_us < one->at_us + MOVES_DEADLINE_US + MOVES_HELD_US) return false;
        moves_forget(at, link);
        return true;
    }
    if (now_us >= one->at_us + MOVES_DEADLINE_US) {
        moves_fail(at, link, MOVES_LATE);
        return true;
    }
    if (now_us >= one->said_us + MOVES_ASK_US) {
        one->said_us = now_us;
        at->config.send(one->owner, one->claim, sizeof(one->claim), at->config.user);
    }
    return false;
}

void moves_work(moves* at, uint64_t now_us)
{
    if (now_us < at->swept_us + MOVES_SWEEP_US) return;
    at->swept_us = now_us;
    for (uint32_t i = 0; i < MOVES_CHAINS && at->asked_count; i++) {
        for (moves_asked** link = &at->asked[i]; *link;)
            link = moves_sweep_asked(at, link, now_us) ? &at->asked[i] : &(*link)->next;
    }
    for (uint32_t i = 0; i < MOVES_CHAINS && at->figures.held; i++) {
        for (moves_held** link = &at->held[i]; *link;) {
            if (now_us < (*link)->at_us + MOVES_HELD_US) {
                link = &(*link)->next;
                continue;
            }
            moves_settle(at, link, true, false);
            link = &at->held[i];
        }
    }
}

void moves_get_figures(const moves* at, moves_figures* out_figures)
{
    *out_figures = at->figures;
}
