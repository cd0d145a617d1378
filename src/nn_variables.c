/* nn_variables - a hash by key and a list by change. */
#include "nn_variables.h"

#include "nn_hash.h"
#include "nn_utf8.h"

#define VARIABLES_BUCKETS_FIRST 16

NN_PRIVATE void nn_variables_init(nn_variables* variables, nn_alloc* alloc)
{
    memset(variables, 0, sizeof *variables);
    variables->alloc = alloc;
}

static size_t variables_bytes(size_t key_bytes, size_t bytes)
{
    return sizeof(nn_variable) + key_bytes + 1 + bytes + 1;
}

static void variables_give(nn_variables* variables, nn_variable* variable)
{
    nn_alloc_give(variables->alloc, variable, variables_bytes(variable->key_bytes, variable->bytes));
}

NN_PRIVATE void nn_variables_reset(nn_variables* variables)
{
    nn_variable* at = variables->oldest;
    while (at) {
        nn_variable* newer = at->newer;
        variables_give(variables, at);
        at = newer;
    }
    nn_alloc_give(variables->alloc, variables->buckets, variables->bucket_count * sizeof(nn_variable*));
    nn_variables_init(variables, variables->alloc);
}

/* ---- values */

necpnet_value necpnet_value_of_bool(bool value)
{
    necpnet_value made;
    memset(&made, 0, sizeof made);
    made.type = NECPNET_VALUE_BOOL;
    made.boolean = value;
    return made;
}

necpnet_value necpnet_value_of_integer(int64_t value)
{
    necpnet_value made;
    memset(&made, 0, sizeof made);
    made.type = NECPNET_VALUE_INTEGER;
    made.integer = value;
    return made;
}

necpnet_value necpnet_value_of_number(double value)
{
    necpnet_value made;
    memset(&made, 0, sizeof made);
    made.type = NECPNET_VALUE_NUMBER;
    made.number = value;
    return made;
}

static necpnet_value variables_value_of(necpnet_value_type type, const void* data, size_t bytes)
{
    necpnet_value made;
    memset(&made, 0, sizeof made);
    if (!data && bytes) return made;
    made.type = type;
    made.data = data;
    made.bytes = bytes;
    return made;
}

necpnet_value necpnet_value_of_string(const char* text)
{
    return variables_value_of(NECPNET_VALUE_STRING, text, text ? strlen(text) : 1);
}

necpnet_value necpnet_value_of_bytes(const void* data, size_t bytes)
{
    return variables_value_of(NECPNET_VALUE_BYTES, data, bytes);
}

static bool variables_has_data(uint8_t type)
{
    return type == NECPNET_VALUE_STRING || type == NECPNET_VALUE_BYTES;
}

static uint64_t variables_bits(const necpnet_value* value)
{
    uint64_t bits = 0;
    if (value->type == NECPNET_VALUE_BOOL) bits = value->boolean;
    if (value->type == NECPNET_VALUE_INTEGER) bits = (uint64_t)value->integer;
    if (value->type == NECPNET_VALUE_NUMBER) memcpy(&bits, &value->number, sizeof bits);
    return bits;
}

NN_PRIVATE necpnet_value nn_variable_value(const nn_variable* variable)
{
    necpnet_value value;
    memset(&value, 0, sizeof value);
    value.type = (necpnet_value_type)variable->type;
    if (value.type == NECPNET_VALUE_BOOL) value.boolean = variable->bits != 0;
    if (value.type == NECPNET_VALUE_INTEGER) value.integer = (int64_t)variable->bits;
    if (value.type == NECPNET_VALUE_NUMBER) memcpy(&value.number, &variable->bits, sizeof value.number);
    if (variables_has_data(variable->type)) {
        value.data = nn_variable_key(variable) + variable->key_bytes + 1;
        value.bytes = variable->bytes;
    }
    return value;
}

static bool variables_same(const nn_variable* variable, const necpnet_value* value)
{
    if (variable->type != (uint8_t)value->type) return false;
    if (!variables_has_data(variable->type)) return variable->bits == variables_bits(value);
    const char* data = nn_variable_key(variable) + variable->key_bytes + 1;
    return variable->bytes == value->bytes && (!value->bytes || !memcmp(data, value->data, value->bytes));
}

NN_PRIVATE necpnet_result nn_variables_check(const char* key, size_t key_bytes, const necpnet_value* value)
{
    if (!key || key_bytes < 1 || key_bytes > NECPNET_NAME_BYTES_MAX) return NECPNET_ERR_INVALID_ARGUMENT;
    if (memchr(key, 0, key_bytes) || !nn_utf8_valid((const uint8_t*)key, key_bytes))
        return NECPNET_ERR_INVALID_ARGUMENT;
    if ((unsigned)value->type > NECPNET_VALUE_BYTES) return NECPNET_ERR_INVALID_ARGUMENT;
    if (!variables_has_data((uint8_t)value->type)) return NECPNET_OK;
    if (value->bytes && !value->data) return NECPNET_ERR_INVALID_ARGUMENT;
    if (value->bytes > NECPNET_VALUE_BYTES_MAX) return NECPNET_ERR_MESSAGE_TOO_LARGE;
    if (value->type == NECPNET_VALUE_BYTES || !value->bytes) return NECPNET_OK;
    bool text = !memchr(value->data, 0, value->bytes) && nn_utf8_valid((const uint8_t*)value->data, value->bytes);
    return text ? NECPNET_OK : NECPNET_ERR_INVALID_ARGUMENT;
}

/* ---- the hash */

static nn_variable** variables_bucket(const nn_variables* variables, const char* key, size_t key_bytes)
{
    uint64_t hash = nn_fnv1a64(NN_FNV1A64_BASIS, key, key_bytes);
    return &variables->buckets[(hash ^ hash >> 32) & (variables->bucket_count - 1)];
}

NN_PRIVATE nn_variable* nn_variables_find(const nn_variables* variables, const char* key, size_t key_bytes)
{
    if (!variables->bucket_count) return NULL;
    nn_variable* at = *variables_bucket(variables, key, key_bytes);
    while (at && (at->key_bytes != key_bytes || memcmp(nn_variable_key(at), key, key_bytes) != 0)) at = at->next;
    return at;
}

static bool variables_reserve(nn_variables* variables)
{
    uint32_t former = variables->bucket_count;
    if (variables->count < former) return true;
    uint32_t count = former ? former * 2 : VARIABLES_BUCKETS_FIRST;
    nn_variable** buckets = (nn_variable**)nn_alloc_take(variables->alloc, count * sizeof(nn_variable*));
    if (!buckets) return false;
    nn_alloc_give(variables->alloc, variables->buckets, former * sizeof(nn_variable*));
    variables->buckets = buckets;
    variables->bucket_count = count;
    for (nn_variable* at = variables->oldest; at; at = at->newer) {
        nn_variable** bucket = variables_bucket(variables, nn_variable_key(at), at->key_bytes);
        at->next = *bucket;
        *bucket = at;
    }
    return true;
}

static void variables_unhash(nn_variables* variables, nn_variable* variable)
{
    nn_variable** at = variables_bucket(variables, nn_variable_key(variable), variable->key_bytes);
    while (*at != variable) at = &(*at)->next;
    *at = variable->next;
}

/* ---- the list */

static void variables_unlink(nn_variables* variables, nn_variable* variable)
{
    *(variable->older ? &variable->older->newer : &variables->oldest) = variable->newer;
    *(variable->newer ? &variable->newer->older : &variables->newest) = variable->older;
}

static void variables_link_newest(nn_variables* variables, nn_variable* variable)
{
    variable->number = ++variables->number;
    variable->older = variables->newest;
    variable->newer = NULL;
    *(variables->newest ? &variables->newest->newer : &variables->oldest) = variable;
    variables->newest = variable;
}

static void variables_drop(nn_variables* variables, nn_variable* variable)
{
    variables_unhash(variables, variable);
    variables_unlink(variables, variable);
    variables->count--;
    variables_give(variables, variable);
}

/* Room for one more: the oldest removal is forgotten. */
static bool variables_make_room(nn_variables* variables)
{
    nn_variable* at = variables->oldest;
    if (variables->count < NECPNET_VARIABLES_MAX) return true;
    while (at && at->type != NECPNET_VALUE_NONE) at = at->newer;
    if (!at) return false;
    variables->forgotten = nn_max_u64(variables->forgotten, at->number);
    variables_drop(variables, at);
    return true;
}

NN_PRIVATE nn_variable* nn_variables_after(const nn_variables* variables, uint64_t number)
{
    nn_variable* after = NULL;
    for (nn_variable* at = variables->newest; at && at->number > number; at = at->older) after = at;
    return after;
}

/* ---- changes */

static nn_variable* variables_make(nn_variables* variables, const char* key, size_t key_bytes,
                                   const necpnet_value* value)
{
    size_t bytes = variables_has_data((uint8_t)value->type) ? value->bytes : 0;
    nn_variable* made = (nn_variable*)nn_alloc_take(variables->alloc, variables_bytes(key_bytes, bytes));
    if (!made) return NULL;
    char* at = (char*)(made + 1);
    made->key_bytes = (uint8_t)key_bytes;
    made->bytes = (uint32_t)bytes;
    made->type = (uint8_t)value->type;
    made->bits = variables_bits(value);
    memcpy(at, key, key_bytes);
    nn_copy(at + key_bytes + 1, value->data, bytes);
    return made;
}

NN_PRIVATE necpnet_result nn_variables_set(nn_variables* variables, const char* key, size_t key_bytes,
                                           const necpnet_value* value)
{
    nn_variable* former = nn_variables_find(variables, key, key_bytes);
    bool gone = !former || former->type == NECPNET_VALUE_NONE;
    if (value->type == NECPNET_VALUE_NONE && gone) return NECPNET_ERR_NOT_FOUND;
    if (former && variables_same(former, value)) {
        former->stale = false;
        return NECPNET_OK;
    }
    if (value->type == NECPNET_VALUE_NONE) { /* its data goes with the mark */
        former->type = NECPNET_VALUE_NONE;
        former->stale = false;
        variables_unlink(variables, former);
        variables_link_newest(variables, former);
        return NECPNET_OK;
    }
    nn_variable* made = variables_make(variables, key, key_bytes, value);
    if (!made) return NECPNET_ERR_OUT_OF_MEMORY;
    necpnet_result result = NECPNET_OK;
    if (!former && !variables_make_room(variables)) result = NECPNET_ERR_LIMIT_REACHED;
    if (!former && result == NECPNET_OK && !variables_reserve(variables)) result = NECPNET_ERR_OUT_OF_MEMORY;
    if (result) {
        variables_give(variables, made);
        return result;
    }
    if (former) variables_drop(variables, former); /* the key may have been its own */
    nn_variable** bucket = variables_bucket(variables, nn_variable_key(made), key_bytes);
    made->next = *bucket;
    *bucket = made;
    variables->count++;
    variables_link_newest(variables, made);
    return NECPNET_OK;
}

/* ---- the wire */

NN_PRIVATE void nn_variable_write(const nn_variable* variable, nn_writer* writer)
{
    necpnet_value value = nn_variable_value(variable);
    nn_write_u8(writer, variable->key_bytes);
    nn_write_bytes(writer, nn_variable_key(variable), variable->key_bytes);
    nn_write_u8(writer, variable->type);
    if (value.type == NECPNET_VALUE_BOOL) nn_write_u8(writer, value.boolean);
    if (value.type == NECPNET_VALUE_INTEGER || value.type == NECPNET_VALUE_NUMBER) nn_write_u64(writer, variable->bits);
    if (!variables_has_data(variable->type)) return;
    nn_write_u16(writer, (uint16_t)value.bytes);
    nn_write_bytes(writer, value.data, value.bytes);
}

NN_PRIVATE bool nn_variable_read(nn_reader* reader, const char** out_key, size_t* out_key_bytes,
                                 necpnet_value* out_value)
{
    memset(out_value, 0, sizeof *out_value);
    *out_key_bytes = nn_read_u8(reader);
    *out_key = (const char*)nn_read_view(reader, *out_key_bytes);
    unsigned type = nn_read_u8(reader);
    if (reader->failed || type > NECPNET_VALUE_BYTES) return false;
    out_value->type = (necpnet_value_type)type;
    if (type == NECPNET_VALUE_BOOL) {
        unsigned byte = nn_read_u8(reader);
        if (byte > 1) return false;
        out_value->boolean = byte != 0;
    }
    if (type == NECPNET_VALUE_INTEGER) out_value->integer = (int64_t)nn_read_u64(reader);
    if (type == NECPNET_VALUE_NUMBER) {
        uint64_t bits = nn_read_u64(reader);
        memcpy(&out_value->number, &bits, sizeof bits);
    }
    if (variables_has_data((uint8_t)type)) {
        out_value->bytes = nn_read_u16(reader);
        out_value->data = nn_read_view(reader, out_value->bytes);
    }
    return !reader->failed && nn_variables_check(*out_key, *out_key_bytes, out_value) == NECPNET_OK;
}
