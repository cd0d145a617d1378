/* rpc.h - JSON-RPC 2.0 (https://www.jsonrpc.org/specification): requests, notifications, batches, the specification's errors; one
 * table of methods with roles and schemas, from which parameters are checked and rpc.discover is answered. Without network.
 */
#ifndef SERVER_RPC_H
#define SERVER_RPC_H

#include <cjson/cJSON.h>

#include "text.h"

#define RPC_BATCH_MAX 64     /* requests of one batch */
#define RPC_ID_BYTES_MAX 128 /* of an id that is a text */
#define RPC_METHODS_MAX 64
#define RPC_MESSAGE_BYTES_MAX 256

/* Of the specification, 5.1; those from -32000 down are ours. */
enum {
    RPC_OK = 0,
    RPC_PARSE_ERROR = -32700,
    RPC_INVALID_REQUEST = -32600,
    RPC_METHOD_NOT_FOUND = -32601,
    RPC_INVALID_PARAMS = -32602,
    RPC_INTERNAL_ERROR = -32603,
    RPC_UNAUTHENTICATED = -32001,
    RPC_FORBIDDEN = -32002,
    RPC_NOT_FOUND = -32003,
    RPC_LIMIT_REACHED = -32004,
    RPC_TOO_OFTEN = -32005,
    RPC_UNAVAILABLE = -32006,
    RPC_CONFLICT = -32007
};

struct rpc_call;

/* A row of the table. */
typedef struct rpc_method {
    const char* name;
    const char* summary;
    unsigned roles;     /* ROLE_ bits of those who may call it */
    unsigned cost;      /* of the caller's rate */
    const char* params; /* JSON Schema of an object; parameters by position are in the order of its properties */
    const char* result; /* JSON Schema, for rpc.discover */
    void (*run)(struct rpc_call* call);
} rpc_method;

typedef struct rpc_later rpc_later;
typedef struct rpc_batch rpc_batch;

typedef struct rpc_call {
    const rpc_method* method;
    void* user;          /* whatever rpc_handle was given */
    const cJSON* params; /* an object that fits */
    bool is_notification;
    text* result; /* the JSON value; nothing written is null */
    int code;     /* RPC_OK, or an error */
    char message[RPC_MESSAGE_BYTES_MAX];
    char data[RPC_MESSAGE_BYTES_MAX]; /* of an error: a JSON value, "" for none */
    const cJSON* id;                  /* NULL: a notification */
    rpc_batch** batch;                /* NULL: the request stands alone */
    bool is_later;                    /* rpc_defer was called */
} rpc_call;

typedef struct rpc_table rpc_table;

/* rpc_open - the table; every schema is checked. methods: borrowed; its last row has no name. NULL: what says why. */
rpc_table* rpc_open(const rpc_method* methods, char* what, size_t what_bytes);
void rpc_close(rpc_table* table);

/* rpc_handle - one text that came from a client.
 *
 *   judge  asked before a method runs: whether it may, by rpc_fail; NULL: all may.
 *   out    gets the answer; nothing where none is due (notifications).
 */
void rpc_handle(const rpc_table* table, const char* json, size_t bytes, void (*judge)(rpc_call* call), void* user,
                text* out);

/* rpc_fail - the call's error; the first one counts. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
void rpc_fail(rpc_call* call, int code, const char* format, ...);

/* rpc_defer - the method cannot answer yet: rpc_finish does, or rpc_abandon where nobody waits any more. What the method wrote is
 * not sent. NULL: no memory; the call has failed. */
rpc_later* rpc_defer(rpc_call* call);

/* rpc_finish - the answer.
 *
 *   result  a JSON value; of no meaning with a code that is not RPC_OK, which message explains.
 *   out     gets what is to be sent now: nothing for a notification, or while others of the same batch are not answered. */
void rpc_finish(rpc_later* later, int code, const char* message, const char* result, text* out);
void rpc_abandon(rpc_later* later);

/* rpc_discover - the table as an OpenRPC document (https://spec.open-rpc.org). */
void rpc_discover(const rpc_table* table, text* out);

/* Parameters by name; absent ones have the value given. */
const char* rpc_text(const rpc_call* call, const char* name, const char* absent);
double rpc_number(const rpc_call* call, const char* name, double absent);
bool rpc_bool(const rpc_call* call, const char* name, bool absent);
const cJSON* rpc_json(const rpc_call* call, const char* name);

#endif
