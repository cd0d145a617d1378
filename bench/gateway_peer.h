/* gateway_peer - the JSON-RPC server that bench/gateway measures beside necpnet-server, as one writes it with libwebsockets and cJSON: the
 * methods that the bench calls, no identity, no limits, no history. One thread. A published message is made once and shared by
 * those who wait for it.
 */
#ifndef BENCH_GATEWAY_PEER_H
#define BENCH_GATEWAY_PEER_H

#if BENCH_WITH_WEBSOCKETS && BENCH_WITH_CJSON

#include <cJSON.h>
#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PEER_RECEIVED_MAX 4096
#define PEER_TOPICS_MAX 1024

typedef struct peer_text { /* LWS_PRE bytes, then the text */
    uint32_t users;
    size_t bytes;
    unsigned char data[];
} peer_text;

typedef struct peer_waiting {
    struct peer_waiting* next;
    peer_text* text;
} peer_waiting;

typedef struct peer_session {
    struct lws* wsi;
    peer_waiting* first;
    peer_waiting** last;
    char* received; /* a message that came in parts */
    size_t received_bytes;
} peer_session;

typedef struct peer_topic {
    char* name;
    peer_session** followers;
    int count, capacity;
} peer_topic;

static peer_topic peer_topics[PEER_TOPICS_MAX];
static int peer_topic_count;

static peer_topic* peer_topic_of(const char* name, bool make)
{
    static int last;
    if (last < peer_topic_count && strcmp(peer_topics[last].name, name) == 0) return &peer_topics[last];
    for (last = 0; last < peer_topic_count; last++) {
        if (strcmp(peer_topics[last].name, name) == 0) return &peer_topics[last];
    }
    if (!make || peer_topic_count == PEER_TOPICS_MAX) return NULL;
    peer_topics[last].name = strdup(name);
    peer_topic_count++;
    return &peer_topics[last];
}

static void peer_release(peer_text* text)
{
    if (--text->users == 0) free(text);
}

static peer_text* peer_make(const char* words)
{
    size_t bytes = strlen(words);
    peer_text* made = (peer_text*)malloc(sizeof *made + LWS_PRE + bytes);
    if (!made) exit(1);
    made->users = 1;
    made->bytes = bytes;
    memcpy(made->data + LWS_PRE, words, bytes);
    return made;
}

static void peer_send(peer_session* to, peer_text* text)
{
    peer_waiting* waiting = (peer_waiting*)malloc(sizeof *waiting);
    if (!waiting) exit(1);
    text->users++;
    waiting->next = NULL;
    waiting->text = text;
    if (!to->first) to->last = &to->first;
    *to->last = waiting;
    to->last = &waiting->next;
    lws_callback_on_writable(to->wsi);
}

static void peer_drop_first(peer_session* at)
{
    peer_waiting* gone = at->first;
    at->first = gone->next;
    peer_release(gone->text);
    free(gone);
}

static void peer_subscribe(peer_session* at, const char* name)
{
    peer_topic* topic = peer_topic_of(name, true);
    if (!topic) return;
    if (topic->count == topic->capacity) {
        topic->capacity = topic->capacity ? topic->capacity * 2 : 4;
        topic->followers =
            (peer_session**)realloc(topic->followers, (size_t)topic->capacity * sizeof *topic->followers);
        if (!topic->followers) exit(1);
    }
    topic->followers[topic->count++] = at;
}

static void peer_publish(const char* name, const cJSON* params)
{
    peer_topic* topic = peer_topic_of(name, false);
    if (!topic || !topic->count) return;
    char* data = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(params, "data"));
    const char* type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(params, "type"));
    static char words[PEER_RECEIVED_MAX * 2];
    snprintf(words, sizeof words,
             "{\"jsonrpc\":\"2.0\",\"method\":\"topic.message\",\"params\":{\"topic\":\"%s\",\"epoch\":1,\"offset\":1,"
             "\"event\":{"
             "\"type\":\"%s\",\"version\":1,\"category\":\"game\",\"time\":1,\"from\":\"x\",\"data\":%s}}}",
             name, type ? type : "", data ? data : "null");
    peer_text* text = peer_make(words);
    for (int i = 0; i < topic->count; i++) peer_send(topic->followers[i], text);
    peer_release(text);
    free(data);
}

static void peer_obey(peer_session* at, const char* words, size_t bytes)
{
    cJSON* asked = cJSON_ParseWithLength(words, bytes);
    const cJSON* params = cJSON_GetObjectItemCaseSensitive(asked, "params");
    const char* method = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(asked, "method"));
    const char* name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(params, "topic"));
    const char* result = "{}";
    char answer[128];
    if (method && name && strcmp(method, "topic.subscribe") == 0) peer_subscribe(at, name);
    if (method && name && strcmp(method, "event.publish") == 0) {
        peer_publish(name, params);
        result = "{\"epoch\":1,\"offset\":1}";
    }
    snprintf(answer, sizeof answer, "{\"jsonrpc\":\"2.0\",\"result\":%s,\"id\":%d}", result,
             (int)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(asked, "id")));
    peer_text* text = peer_make(answer);
    peer_send(at, text);
    peer_release(text);
    cJSON_Delete(asked);
}

static void peer_received(peer_session* at, const char* data, size_t bytes)
{
    bool whole = lws_is_final_fragment(at->wsi) && lws_remaining_packet_payload(at->wsi) == 0;
    if (whole && !at->received) {
        peer_obey(at, data, bytes);
        return;
    }
    at->received = (char*)realloc(at->received, at->received_bytes + bytes);
    if (!at->received) exit(1);
    memcpy(at->received + at->received_bytes, data, bytes);
    at->received_bytes += bytes;
    if (!whole) return;
    peer_obey(at, at->received, at->received_bytes);
    free(at->received);
    at->received = NULL;
    at->received_bytes = 0;
}

static void peer_forget(peer_session* at)
{
    while (at->first) peer_drop_first(at);
    free(at->received);
    for (int i = 0; i < peer_topic_count; i++) {
        peer_topic* topic = &peer_topics[i];
        for (int k = 0; k < topic->count; k++) {
            if (topic->followers[k] == at) topic->followers[k--] = topic->followers[--topic->count];
        }
    }
}

/* As much as the socket takes: its most favourable use. */
static int peer_writable(peer_session* at)
{
    while (at->first) {
        if (lws_send_pipe_choked(at->wsi)) {
            lws_callback_on_writable(at->wsi);
            return 0;
        }
        peer_text* text = at->first->text;
        if (lws_write(at->wsi, text->data + LWS_PRE, text->bytes, LWS_WRITE_TEXT) < 0) return -1;
        peer_drop_first(at);
    }
    return 0;
}

static int peer_called(struct lws* wsi, enum lws_callback_reasons reason, void* user, void* data, size_t bytes)
{
    peer_session* at = (peer_session*)user;
    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
        memset(at, 0, sizeof *at);
        at->wsi = wsi;
        break;
    case LWS_CALLBACK_RECEIVE: peer_received(at, (const char*)data, bytes); break;
    case LWS_CALLBACK_SERVER_WRITEABLE: return peer_writable(at);
    case LWS_CALLBACK_CLOSED: peer_forget(at); break;
    default: break;
    }
    return 0;
}

/* Serves until it is killed; prints its port. */
static int peer_serve(void)
{
    struct lws_protocols protocols[2];
    struct lws_context_creation_info info;
    memset(protocols, 0, sizeof protocols);
    protocols[0].name = "jsonrpc2.necpnet";
    protocols[0].callback = peer_called;
    protocols[0].per_session_data_size = sizeof(peer_session);
    memset(&info, 0, sizeof info);
    info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
    info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
    lws_set_log_level(0, NULL);
    struct lws_context* context = lws_create_context(&info);
    info.port = 0;
    info.iface = "127.0.0.1";
    info.protocols = protocols;
    struct lws_vhost* host = context ? lws_create_vhost(context, &info) : NULL;
    if (!host) return 1;
    printf("%d\n", lws_get_vhost_listen_port(host));
    fflush(stdout);
    while (lws_service(context, 0) >= 0) continue;
    return 0;
}

#else

static int peer_serve(void)
{
    return 1; /* libwebsockets or cJSON is missing */
}

#endif
#endif
