/* health_watch - WebSockets that watch the health. */
#include "health_watch.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct health_watcher {
    edge_guest guest; /* first: the connection's user data */
    struct health_watcher* next;
    health_watch* owner;
    necpnet_web_connection* connection;
    bool greeted;
} health_watcher;

struct health_watch {
    services* known;
    necpnet_web_handlers handlers;
    health_watcher* first;
    uint32_t count;
    uint64_t looked_us;
    uint64_t told_us;
    uint64_t sequence;
    bool opened; /* somebody came since the last look */
    const char* overall;
    health_status statuses[HEALTH_PARTS];
};

static void health_watch_on_open(necpnet_web_connection* connection, void* user)
{
    health_watch* at = user;
    (void)connection;
    at->opened = true;
}

static void health_watch_on_close(necpnet_web_connection* connection, int code, const char* reason_text,
                                  necpnet_result reason, void* user)
{
    health_watch* at = user;
    (void)code;
    (void)reason_text;
    (void)reason;
    health_watcher* gone = necpnet_web_get_user_data(connection);
    for (health_watcher** link = &at->first; *link; link = &(*link)->next) {
        if (*link != gone) continue;
        *link = gone->next;
        at->count--;
        break;
    }
    free(gone);
}

static uint32_t health_watch_count_of(const health_watch* at, const necpnet_address* address)
{
    uint32_t count = 0;
    for (const health_watcher* watcher = at->first; watcher; watcher = watcher->next) {
        necpnet_address other = necpnet_web_get_address(watcher->connection);
        count += other.family == address->family && memcmp(other.bytes, address->bytes, sizeof(other.bytes)) == 0;
    }
    return count;
}

bool health_watch_on_upgrade(necpnet_web_connection* connection, const necpnet_web_request* request,
                             necpnet_web_answer* answer, void* user)
{
    health_watch* at = user;
    if (strcmp(request->path, "/health/ws") != 0 && strcmp(request->path, "/api/v1/network/health/ws") != 0)
        return false;
    char caller[NECPNET_ADDRESS_TEXT_BYTES_MAX + 2] = "a:";
    necpnet_address from = request->from;
    from.port = 0;
    (void)necpnet_address_format(&from, caller + 2, sizeof(caller) - 2);
    answer->action = NECPNET_WEB_REFUSE;
    answer->status = 503;
    answer->headers = "Retry-After: 5\r\n";
    answer->body = "too many watch the health already\n";
    if (at->count >= HEALTH_WATCH_MAX) return true;
    answer->status = 429;
    if (health_watch_count_of(at, &request->from) >= HEALTH_WATCH_ADDRESS_MAX ||
        limits_take(at->known->buckets, LIMIT_HEALTH, caller, necpnet_time_us()) > 0)
        return true;
    health_watcher* made = calloc(1, sizeof(*made));
    if (!made) return true;
    made->guest.handlers = &at->handlers;
    made->owner = at;
    made->connection = connection;
    made->next = at->first;
    at->first = made;
    at->count++;
    answer->action = NECPNET_WEB_ACCEPT;
    answer->headers = NULL;
    answer->user_data = made;
    return true;
}

/* WebSocketHealthMessage. */
static void health_watch_put(health_watch* at, const health_part parts[HEALTH_PARTS], const char* reason, text* out)
{
    text_format(out, "{\"type\":\"health\",\"sequence\":%" PRIu64 ",\"timestamp_us\":%" PRIu64 ",\"reason\":\"%s\"",
                ++at->sequence, necpnet_wall_time_us(), reason);
    text_format(out, ",\"status\":\"%s\",\"components\":{", at->overall);
    for (int i = 0; i < HEALTH_PARTS; i++) {
        text_format(out, "%s\"%s\":", i ? "," : "", health_part_text((health_part_name)i));
        health_put_part(out, (health_part_name)i, &parts[i]);
    }
    text_put(out, "}}");
}

/* To all, or to those alone who heard nothing so far. */
static void health_watch_tell(health_watch* at, const health_part parts[HEALTH_PARTS], const char* reason, bool all)
{
    char buffer[1024];
    text out;
    text_begin(&out, buffer, sizeof(buffer));
    health_watch_put(at, parts, reason, &out);
    for (health_watcher* watcher = at->first; watcher && !out.failed;) {
        health_watcher* next = watcher->next;
        if (all || !watcher->greeted) {
            /* One that does not read is cut by the web when its queue is full. */
            watcher->greeted = necpnet_web_send(watcher->connection, NECPNET_WEB_TEXT, buffer, out.bytes) == NECPNET_OK;
        }
        watcher = next;
    }
}

bool health_watch_work(health_watch* at, uint64_t now_us)
{
    health_part parts[HEALTH_PARTS];
    if (!at->first || (!at->opened && now_us < at->looked_us + HEALTH_WATCH_LOOK_US)) return false;
    at->looked_us = now_us;
    health_read(at->known->state, parts);
    const char* overall = health_overall(at->known, parts);
    bool changed = at->overall != overall;
    for (int i = 0; i < HEALTH_PARTS; i++) {
        changed = changed || at->statuses[i] != parts[i].status;
        at->statuses[i] = parts[i].status;
    }
    at->overall = overall;
    bool due = changed || now_us >= at->told_us + HEALTH_WATCH_PERIOD_US;
    if (!due && !at->opened) return false;
    if (due) at->told_us = now_us;
    health_watch_tell(at, parts, changed ? "change" : due ? "period" : "hello", due);
    at->opened = false;
    return true;
}

necpnet_result health_watch_create(services* known, health_watch** out_watch)
{
    health_watch* at = calloc(1, sizeof(*at));
    if (!at) return NECPNET_ERR_OUT_OF_MEMORY;
    at->known = known;
    at->overall = "";
    at->handlers =
        (necpnet_web_handlers){.on_open = health_watch_on_open, .on_close = health_watch_on_close, .user = at};
    *out_watch = at;
    return NECPNET_OK;
}

void health_watch_destroy(health_watch* at)
{
    if (!at) return;
    while (at->first) {
        health_watcher* next = at->first->next;
        free(at->first);
        at->first = next;
    }
    free(at);
}
