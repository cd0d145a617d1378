/* rest.h - the REST server: civetweb on a loopback port of the system's choice, behind the edge. Plain HTTP, a small pool of
 * threads, every request answered by a handler of api/; civetweb's own files, pages and WebSockets are never used.
 *
 * A request is judged before its handler is called: the table of routes (routes.h) says who may call it, how often, and what its
 * parameters are. Handlers run on civetweb's threads and may wait: for the store, the cache, a worker.
 */
#ifndef SERVER_REST_H
#define SERVER_REST_H

#include "fields.h"
#include "forward.h"
#include "identity.h"
#include "services.h"

#define REST_SECRET_BYTES 33 /* 32 hexadecimal digits and NUL */
#define REST_TRACE_BYTES 33

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
    const char* route;               /* the template of its path, for logs: a path may hold a player's id */
    identity who;                    /* ROLE_ANYONE: nobody showed a credential, or the route does not ask */
    field_values values;             /* that the route's table lets in */
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
 *   known  borrowed until rest_stop.
 *
 * Returns  OK | ERR_OUT_OF_MEMORY | ERR_NO_ENTROPY | ERR_IO (civetweb did not start; the log has its reason) */
necpnet_result rest_start(const services* known, rest** out_rest);

/* rest_stop - wait for requests under way, end the threads. NULL does nothing. */
void rest_stop(rest* server);

int rest_port(const rest* server);
const char* rest_secret(const rest* server);

/* rest_header - a header of the request, "" if it has none. */
const char* rest_header(const rest_request* request, const char* name);

/* rest_refuse - answer with the API's error. details: a JSON object, or NULL. */
void rest_refuse(rest_answer* answer, const rest_request* request, int status, const char* message,
                 const char* details);

/* rest_refuse_field - 400 with the fault's words and its details. */
void rest_refuse_field(rest_answer* answer, const rest_request* request, const field_fault* fault);

/* rest_refuse_desk - what the store or the cache did not do, as 404, 409 or 503. */
void rest_refuse_desk(rest_answer* answer, const rest_request* request, desk_result result);

/* rest_is_local - whether the Host header names this machine: in development mode whoever asks so is trusted. A page of another
 * site that let its name point here (DNS rebinding) says that name. */
bool rest_is_local(const char* host);

typedef void (*rest_handler)(const services* known, const rest_request* request, rest_answer* answer);

#endif
