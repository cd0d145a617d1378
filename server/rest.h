/* rest.h - the REST server: civetweb on a loopback port of the system's choice, behind the edge. Plain HTTP, a small pool of
 * threads, every request answered by a handler of api/; civetweb's own files, pages and WebSockets are never used.
 *
 * Handlers run on civetweb's threads: they read the api struct, which does not change, and the board.
 */
#ifndef SERVER_REST_H
#define SERVER_REST_H

#include "board.h"
#include "config.h"
#include "forward.h"
#include "pages.h"
#include "tokens.h"

#define REST_SECRET_BYTES 33 /* 32 hexadecimal digits and NUL */
#define REST_TRACE_BYTES 33

/* What handlers know. */
typedef struct api {
    const config* settings;
    const tokens* office;
    const pages* files;
    board* figures;
} api;

typedef struct rest_request {
    const char* method;
    const char* path;
    const char* query; /* "" if none */
    const char* host;  /* of the Host header, as the edge checked it */
    const char* from;  /* the peer's address without its port */
    const char* body;  /* with a NUL behind it */
    size_t body_bytes;
    char trace_id[REST_TRACE_BYTES]; /* of the traceparent header, else made up */
    const void* connection;          /* for rest_header */
} rest_request;

typedef struct rest_answer {
    int status;       /* 200 */
    const char* type; /* "application/json; charset=utf-8" */
    text body;
    text headers; /* more "Name: value\r\n" lines */
} rest_answer;

typedef struct rest rest;

/* rest_start - start the threads.
 *
 * Returns  OK | ERR_OUT_OF_MEMORY | ERR_NO_ENTROPY | ERR_IO (civetweb did not start; the log has its reason) */
necpnet_result rest_start(const api* known, rest** out_rest);

/* rest_stop - wait for requests under way, end the threads. NULL does nothing. */
void rest_stop(rest* server);

int rest_port(const rest* server);
const char* rest_secret(const rest* server);

/* rest_header - a header of the request, "" if it has none. */
const char* rest_header(const rest_request* request, const char* name);

/* rest_refuse - answer with the API's error. details: a JSON object, or NULL. */
void rest_refuse(rest_answer* answer, const rest_request* request, int status, const char* message,
                 const char* details);

/* rest_query - the value of name in the query, decoded. Returns whether it is there and fits. */
bool rest_query(const rest_request* request, const char* name, char* value, size_t value_bytes);

/* The routes, one file a resource in api/. */
typedef void (*rest_handler)(const api* known, const rest_request* request, rest_answer* answer);
void api_health(const api* known, const rest_request* request, rest_answer* answer);
void api_metrics(const api* known, const rest_request* request, rest_answer* answer);
void api_game(const api* known, const rest_request* request, rest_answer* answer);
void api_connect_tokens(const api* known, const rest_request* request, rest_answer* answer);
void api_files(const api* known, const rest_request* request, rest_answer* answer);

#endif
