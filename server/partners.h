/* partners.h - services behind this one: crafting, player, guild, analytics, notification. One adapter each by its URL in the
 * configuration: http:// or https:// (libcurl, on a thread of its own, with the service token), or "bus:", where what is told goes out
 * on the bus as partner.NAME. Never blocks a loop: a bounded queue, a timeout, and a breaker that stops asking who does not answer.
 */
#ifndef SERVER_PARTNERS_H
#define SERVER_PARTNERS_H

#include "bus/bus.h"
#include "config.h"

#define PARTNERS_QUEUE_MAX 1024
#define PARTNERS_AT_ONCE_MAX 64
#define PARTNERS_ANSWER_BYTES_MAX ((size_t)1 << 20)
#define PARTNERS_FAILURES_MAX 5    /* in a row: the breaker opens */
#define PARTNERS_BREAK_US 5000000u /* then one is tried */

typedef enum partner {
    PARTNER_CRAFTING,
    PARTNER_PLAYER,
    PARTNER_GUILD,
    PARTNER_ANALYTICS,
    PARTNER_NOTIFICATION,
    PARTNER_COUNT
} partner;

typedef enum partner_result {
    PARTNER_OK = 0,  /* it answered 2xx */
    PARTNER_REFUSED, /* it answered something else */
    PARTNER_FAILED,  /* no answer in time, or none at all */
    PARTNER_BUSY,    /* not asked: the queue is full */
    PARTNER_OPEN,    /* not asked: the breaker is open */
    PARTNER_NONE     /* not configured, or cannot answer (bus:), or built without libcurl */
} partner_result;

typedef struct partner_answer {
    partner_result result;
    int status;       /* of HTTP; 0 without an answer */
    const char* body; /* with a NUL behind it; a view */
    size_t bytes;
} partner_answer;

typedef struct partner_figures {
    uint64_t asked;
    uint64_t answered;
    uint64_t failed;  /* no answer, or 5xx */
    uint64_t refused; /* BUSY, OPEN */
    bool open;
} partner_figures;

typedef struct partners partners;

/* partners_create - starts the thread where a URL is configured.
 *
 * Returns  OK | ERR_OUT_OF_MEMORY | ERR_IO (no thread) | ERR_UNSUPPORTED (a URL, and built without libcurl) */
necpnet_result partners_create(const config* settings, bus* events, partners** out_all);

/* partners_stop - requests under way are given up; answers for loops wait there: each takes one more step. */
void partners_stop(partners* all);
void partners_destroy(partners* all);

/* partners_has - whether it is configured. */
bool partners_has(const partners* all, partner who);

/* partners_ask - GET a path. done is called on the loop with the answer; loop NULL: on the partners' thread, where it must not wait.
 * Any thread.
 *
 * Returns  OK (done will be called) | BUSY | OPEN | NONE */
partner_result partners_ask(partners* all, partner who, const char* path, necpnet_loop* loop,
                            void (*done)(const partner_answer* answer, void* user), void* user);

/* partners_tell - POST a JSON text; nobody waits for the answer. */
partner_result partners_tell(partners* all, partner who, const char* path, const char* json, size_t bytes);

const char* partners_name(partner who);
void partners_get_figures(partners* all, partner who, partner_figures* out_figures);

#endif
