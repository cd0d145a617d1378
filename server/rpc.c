/* rpc - JSON-RPC 2.0. */
#include "rpc.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "necpnet.h"
#include "schema.h"

struct rpc_table {
    const rpc_method* methods;
    int count;
    cJSON* params[RPC_METHODS_MAX];
};

rpc_table* rpc_open(const rpc_method* methods, char* what, size_t what_bytes)
{
    rpc_table* table = calloc(1, sizeof(*table));
    char error[256] = "no memory";
    if (!table) return NULL;
    table->methods = methods;
    while (methods[table->count].name && table->count < RPC_METHODS_MAX) {
        const rpc_method* method = &methods[table->count];
        cJSON* result = json_parse(method->result, strlen(method->result), error, sizeof(error));
        bool right = result && schema_check(result, error, sizeof(error));
        cJSON_Delete(result);
        cJSON* params = right ? json_parse(method->params, strlen(method->params), error, sizeof(error)) : NULL;
        table->params[table->count++] = params;
        if (params && schema_check(params, error, sizeof(error))) continue;
        snprintf(what, what_bytes, "method %s: %s", method->name, error);
        rpc_close(table);
        return NULL;
    }
    return table;
}

void rpc_close(rpc_table* table)
{
    if (!table) return;
    for (int i = 0; i < table->count; i++) cJSON_Delete(table->params[i]);
    free(table);
}

void rpc_fail(rpc_call* call, int code, const char* format, ...)
{
    va_list arguments;
    if (call->code != RPC_OK) return;
    call->code = code;
    va_start(arguments, format);
    vsnprintf(call->message, sizeof(call->message), format, arguments);
    va_end(arguments);
}

const cJSON* rpc_json(const rpc_call* call, const char* name)
{
    return cJSON_GetObjectItemCaseSensitive(call->params, name);
}

const char* rpc_text(const rpc_call* call, const char* name, const char* absent)
{
    const cJSON* item = rpc_json(call, name);
    return cJSON_IsString(item) ? item->valuestring : absent;
}

double rpc_number(const rpc_call* call, const char* name, double absent)
{
    const cJSON* item = rpc_json(call, name);
    return cJSON_IsNumber(item) ? item->valuedouble : absent;
}

bool rpc_bool(const rpc_call* call, const char* name, bool absent)
{
    const cJSON* item = rpc_json(call, name);
    return cJSON_IsBool(item) ? (bool)cJSON_IsTrue(item) : absent;
}

/* --------------------------------------------------------------------------------------------------------- later -- */

/* Answers of a batch, until the last one is there. */
struct rpc_batch {
    text parts;  /* with commas between */
    int open;    /* answers that are still to come */
    bool walked; /* all of its requests were looked at */
};

struct rpc_later {
    rpc_batch* batch; /* NULL: alone, or a notification */
    char* id;         /* as JSON; NULL: a notification */
};

static void rpc_end_batch(rpc_batch* batch)
{
    text_end(&batch->parts);
    free(batch);
}

/* The whole batch, if nothing is missing any more. */
static void rpc_put_batch(rpc_batch* batch, text* out)
{
    if (batch->open > 0 || !batch->walked) return;
    if (batch->parts.failed) {
        out->failed = true;
    } else if (batch->parts.bytes > 0) {
        text_put(out, "[");
        text_put_bytes(out, batch->parts.to, batch->parts.bytes);
        text_put(out, "]");
    }
    rpc_end_batch(batch);
}

static void rpc_free_later(rpc_later* later)
{
    free(later->id);
    free(later);
}

void rpc_abandon(rpc_later* later)
{
    text nobody;
    char buffer[1];
    if (!later) return;
    if (later->batch) {
        later->batch->open--;
        text_begin(&nobody, buffer, sizeof(buffer));
        rpc_put_batch(later->batch, &nobody);
    }
    rpc_free_later(later);
}

/* ----------------------------------------------------------------------------------------------------- one request -- */

/* An id that can be told back exactly. */
static bool rpc_id_is_right(const cJSON* id)
{
    if (!id || cJSON_IsNull(id)) return true;
    if (cJSON_IsString(id)) return strlen(id->valuestring) <= RPC_ID_BYTES_MAX;
    return cJSON_IsNumber(id) && fabs(id->valuedouble) <= SCHEMA_INTEGER_MAX &&
           floor(id->valuedouble) == id->valuedouble;
}

static void rpc_put_id(text* out, const cJSON* id)
{
    if (id && cJSON_IsString(id)) {
        text_json(out, id->valuestring);
    } else if (id && cJSON_IsNumber(id)) {
        text_format(out, "%.0f", id->valuedouble);
    } else {
        text_put(out, "null");
    }
}

static void rpc_put_error(text* out, const cJSON* id, int code, const char* message, const char* data)
{
    text_format(out, "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":%d,\"message\":", code);
    text_json(out, message);
    if (data[0]) text_format(out, ",\"data\":%s", data);
    text_put(out, "},\"id\":");
    rpc_put_id(out, id);
    text_put(out, "}");
}

static int rpc_find(const rpc_table* table, const char* name)
{
    for (int i = 0; i < table->count; i++) {
        if (strcmp(table->methods[i].name, name) == 0) return i;
    }
    return -1;
}

/* Parameters by position become parameters by name: the array's items move. NULL: too many, or no memory. */
static cJSON* rpc_name_params(const cJSON* schema, cJSON* list)
{
    cJSON* object = cJSON_CreateObject();
    const cJSON* property = cJSON_GetObjectItemCaseSensitive(schema, "properties");
    property = property ? property->child : NULL;
    while (object && list->child) {
        cJSON* item = property ? cJSON_DetachItemFromArray(list, 0) : NULL;
        if (!item || !cJSON_AddItemToObject(object, property->string, item)) {
            cJSON_Delete(item);
            cJSON_Delete(object);
            return NULL;
        }
        property = property->next;
    }
    return object;
}

/* Finds the method and checks the parameters. */
static void rpc_prepare(const rpc_table* table, rpc_call* call, const char* name, cJSON* params, cJSON** out_named)
{
    char error[RPC_MESSAGE_BYTES_MAX];
    int at = rpc_find(table, name);
    if (at < 0) {
        const char* names[RPC_METHODS_MAX];
        for (int i = 0; i < table->count; i++) names[i] = table->methods[i].name;
        const char* near = text_nearest(name, names, (size_t)table->count);
        rpc_fail(call, RPC_METHOD_NOT_FOUND,
                 near ? "there is no method of that name; is %s meant?" : "there is no method of that name%s",
                 near ? near : "");
        return;
    }
    call->method = &table->methods[at];
    if (cJSON_IsArray(params)) {
        *out_named = rpc_name_params(table->params[at], params);
        if (!*out_named)
            rpc_fail(call, RPC_INVALID_PARAMS, "there are more parameters than %s has", call->method->name);
        params = *out_named;
    } else if (!params) {
        params = *out_named = cJSON_CreateObject();
        if (!params) rpc_fail(call, RPC_INTERNAL_ERROR, "the server is short of memory");
    }
    call->params = params;
    if (call->code == RPC_OK && !schema_validate(table->params[at], params, error, sizeof(error))) {
        rpc_fail(call, RPC_INVALID_PARAMS, "%s", error);
    }
}

static void rpc_answer_call(text* out, const cJSON* id, const rpc_call* call)
{
    if (call->code != RPC_OK) {
        rpc_put_error(out, id, call->code, call->message, call->data);
        return;
    }
    text_put(out, "{\"jsonrpc\":\"2.0\",\"result\":");
    text_put(out, call->result->bytes ? call->result->to : "null");
    text_put(out, ",\"id\":");
    rpc_put_id(out, id);
    text_put(out, "}");
}

rpc_later* rpc_defer(rpc_call* call)
{
    rpc_later* later = calloc(1, sizeof(*later));
    text id;
    text_begin_growing(&id);
    if (call->id) rpc_put_id(&id, call->id);
    bool right = later && !id.failed;
    if (right && call->id) {
        later->id = text_copy(id.to);
        right = later->id != NULL;
    }
    if (right && call->id && call->batch && !*call->batch) {
        *call->batch = calloc(1, sizeof(**call->batch));
        right = *call->batch != NULL;
        if (right) text_begin_growing(&(*call->batch)->parts);
    }
    text_end(&id);
    if (!right) {
        if (later) rpc_free_later(later);
        rpc_fail(call, RPC_INTERNAL_ERROR, "the server is short of memory");
        return NULL;
    }
    if (call->id && call->batch) {
        later->batch = *call->batch;
        later->batch->open++;
    }
    call->is_later = true;
    return later;
}

void rpc_finish(rpc_later* later, int code, const char* message, const char* result, text* out)
{
    text* to = later->batch ? &later->batch->parts : out;
    if (later->id) {
        if (later->batch && to->bytes > 0) text_put(to, ",");
        if (code == RPC_OK) {
            text_put(to, "{\"jsonrpc\":\"2.0\",\"result\":");
            text_put(to, result);
        } else {
            text_format(to, "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":%d,\"message\":", code);
            text_json(to, message);
            text_put(to, "}");
        }
        text_put(to, ",\"id\":");
        text_put(to, later->id);
        text_put(to, "}");
    }
    if (later->batch) {
        later->batch->open--;
        rpc_put_batch(later->batch, out);
    }
    rpc_free_later(later);
}

/* Returns whether it wrote an answer. */
static bool rpc_handle_one(const rpc_table* table, cJSON* request, void (*judge)(rpc_call* call), void* user,
                           rpc_batch** batch, text* out)
{
    const cJSON* version = cJSON_GetObjectItemCaseSensitive(request, "jsonrpc");
    const cJSON* method = cJSON_GetObjectItemCaseSensitive(request, "method");
    const cJSON* id = cJSON_GetObjectItemCaseSensitive(request, "id");
    cJSON* params = cJSON_GetObjectItemCaseSensitive(request, "params");
    const char* wrong = NULL;
    if (!cJSON_IsObject(request)) {
        wrong = "a request is an object";
    } else if (!cJSON_IsString(version) || strcmp(version->valuestring, "2.0") != 0) {
        wrong = "jsonrpc must be \"2.0\"";
    } else if (!cJSON_IsString(method)) {
        wrong = "method must be a text";
    } else if (params && !cJSON_IsObject(params) && !cJSON_IsArray(params)) {
        wrong = "params must be an object or an array";
    } else if (!rpc_id_is_right(id)) {
        wrong = "id must be a text of at most 128 bytes, a whole number below 2^53, or null";
    }
    if (wrong) {
        rpc_put_error(out, rpc_id_is_right(id) ? id : NULL, RPC_INVALID_REQUEST, wrong, "");
        return true;
    }
    text result;
    cJSON* named = NULL;
    rpc_call call = {.user = user, .is_notification = !id, .result = &result, .id = id, .batch = batch};
    text_begin_growing(&result);
    rpc_prepare(table, &call, method->valuestring, params, &named);
    if (call.code == RPC_OK && judge) judge(&call);
    if (call.code == RPC_OK) call.method->run(&call);
    bool answers = id && !call.is_later;
    if (call.code == RPC_OK && result.failed) rpc_fail(&call, RPC_INTERNAL_ERROR, "the answer is too large");
    if (answers) rpc_answer_call(out, id, &call);
    text_end(&result);
    cJSON_Delete(named);
    return answers;
}

static void rpc_handle_batch(const rpc_table* table, const cJSON* list, void (*judge)(rpc_call* call), void* user,
                             text* out)
{
    text parts;
    rpc_batch* batch = NULL;
    bool any = false;
    cJSON* item;
    text_begin_growing(&parts);
    cJSON_ArrayForEach(item, list)
    {
        size_t before = parts.bytes;
        if (any) text_put(&parts, ",");
        if (rpc_handle_one(table, item, judge, user, &batch, &parts)) {
            any = true;
        } else if (!parts.failed) {
            parts.bytes = before;
            parts.to[before] = 0;
        }
    }
    if (!batch) {
        if (any) {
            text_put(out, "[");
            text_put_bytes(out, parts.to, parts.bytes);
            text_put(out, "]");
        }
        out->failed = out->failed || parts.failed;
    } else { /* what was answered already stands behind what was finished meanwhile */
        batch->walked = true;
        if (any && batch->parts.bytes > 0) text_put(&batch->parts, ",");
        if (any) text_put_bytes(&batch->parts, parts.to, parts.bytes);
        batch->parts.failed = batch->parts.failed || parts.failed;
        rpc_put_batch(batch, out);
    }
    text_end(&parts);
}

void rpc_handle(const rpc_table* table, const char* json, size_t bytes, void (*judge)(rpc_call* call), void* user,
                text* out)
{
    char error[160];
    cJSON* request = json_parse(json, bytes, error, sizeof(error));
    if (!request) {
        rpc_put_error(out, NULL, RPC_PARSE_ERROR, error, "");
        return;
    }
    if (!cJSON_IsArray(request)) {
        (void)rpc_handle_one(table, request, judge, user, NULL, out);
    } else if (!request->child || cJSON_GetArraySize(request) > RPC_BATCH_MAX) {
        rpc_put_error(out, NULL, RPC_INVALID_REQUEST,
                      request->child ? "a batch has at most 64 requests" : "the batch is empty", "");
    } else {
        rpc_handle_batch(table, request, judge, user, out);
    }
    cJSON_Delete(request);
}

/* ------------------------------------------------------------------------------------------------------ discovery -- */

static void rpc_discover_method(const rpc_table* table, int at, text* out)
{
    const rpc_method* method = &table->methods[at];
    const cJSON* schema = table->params[at];
    const cJSON* required = cJSON_GetObjectItemCaseSensitive(schema, "required");
    const cJSON* property;
    bool first = true;
    text_put(out, "{\"name\":");
    text_json(out, method->name);
    text_put(out, ",\"summary\":");
    text_json(out, method->summary);
    text_put(out, ",\"paramStructure\":\"either\",\"params\":[");
    cJSON_ArrayForEach(property, cJSON_GetObjectItemCaseSensitive(schema, "properties"))
    {
        bool is_required = false;
        const cJSON* name;
        cJSON_ArrayForEach(name, required)
        {
            if (strcmp(name->valuestring, property->string) == 0) is_required = true;
        }
        char* json = cJSON_PrintUnformatted(property);
        text_put(out, first ? "{\"name\":" : ",{\"name\":");
        text_json(out, property->string);
        text_format(out, ",\"required\":%s,\"schema\":", is_required ? "true" : "false");
        text_put(out, json ? json : "{}");
        text_put(out, "}");
        cJSON_free(json);
        first = false;
    }
    text_format(out, "],\"result\":{\"name\":\"result\",\"schema\":%s}}", method->result);
}

void rpc_discover(const rpc_table* table, text* out)
{
    static const struct {
        int code;
        const char* message;
    } errors[] = {{RPC_UNAUTHENTICATED, "session.hello first, or the JWT has expired"},
                  {RPC_FORBIDDEN, "the caller's role may not"},
                  {RPC_NOT_FOUND, "there is no such thing"},
                  {RPC_LIMIT_REACHED, "a limit is reached"},
                  {RPC_TOO_OFTEN, "too many calls; data.retry_after_ms says when to come again"},
                  {RPC_UNAVAILABLE, "a service behind this one does not answer"},
                  {RPC_CONFLICT, "it is there already"}};
    text_put(out, "{\"openrpc\":\"1.2.6\",\"info\":{\"title\":\"necpnet-server\",\"version\":\"" NECPNET_VERSION_TEXT
                  "\"},\"methods\":[");
    for (int i = 0; i < table->count; i++) {
        if (i > 0) text_put(out, ",");
        rpc_discover_method(table, i, out);
    }
    text_put(out, "],\"components\":{\"errors\":{");
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        text_format(out, "%s\"%d\":{\"code\":%d,\"message\":", i ? "," : "", errors[i].code, errors[i].code);
        text_json(out, errors[i].message);
        text_put(out, "}");
    }
    text_put(out, "}}}");
}
