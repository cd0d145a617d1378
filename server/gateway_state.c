/* gateway_state - the world as JSON: whole for who begins, then what changed, once for all who follow. Fields for the owner alone are
 * left out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway_inside.h"
#include "log.h"

#define STATE_SLOTS 65536 /* low 16 bits of an entity are its slot */

/* What was last told of an entity. */
typedef struct state_entity {
    necpnet_entity entity;
    const necpnet_entity_type* type;
    uint32_t seen;     /* in which round */
    uint64_t hashes[]; /* of each field's JSON */
} state_entity;

struct gateway_state {
    necpnet_world* world;
    const necpnet_schema* schema;
    uint64_t period_us;
    uint64_t next_us;
    uint32_t round;
    bool active;
    text value; /* scratch: one field */
    state_entity** entities;
};

necpnet_result gateway_state_create(necpnet_world* world, uint32_t hz, struct gateway_state** out_state)
{
    struct gateway_state* state = calloc(1, sizeof(*state));
    if (!state) return NECPNET_ERR_OUT_OF_MEMORY;
    state->world = world;
    state->schema = necpnet_world_get_schema(world);
    state->period_us = 1000000u / (hz ? hz : 10);
    text_begin_growing(&state->value);
    *out_state = state;
    return NECPNET_OK;
}

static void state_forget(struct gateway_state* state)
{
    for (int i = 0; state->entities && i < STATE_SLOTS; i++) free(state->entities[i]);
    free(state->entities);
    state->entities = NULL;
    state->active = false;
}

void gateway_state_destroy(struct gateway_state* state)
{
    if (!state) return;
    state_forget(state);
    text_end(&state->value);
    free(state);
}

/* ------------------------------------------------------------------------------------------------------ fields -- */

static void state_put_number(text* out, const uint8_t* at, unsigned bytes)
{
    double value;
    if (bytes == 8) {
        memcpy(&value, at, 8);
    } else {
        float narrow;
        memcpy(&narrow, at, 4);
        value = (double)narrow;
    }
    if (value - value == 0) {
        text_format(out, bytes == 8 ? "%.15g" : "%.7g", value);
    } else {
        text_put(out, "null"); /* JSON has no infinity */
    }
}

static void state_put_integer(text* out, const uint8_t* at, const necpnet_field* field)
{
    uint64_t value = 0;
    memcpy(&value, at, field->storage_bytes); /* little-endian machines alone are built for */
    if (field->flags & NECPNET_FIELD_SIGNED) {
        unsigned shift = 64u - 8u * field->storage_bytes;
        text_format(out, "%lld", (long long)((int64_t)(value << shift) >> shift));
    } else {
        text_format(out, "%llu", (unsigned long long)value);
    }
}

static void state_put_bytes(text* out, const uint8_t* at, uint32_t count)
{
    text_put(out, "\"");
    for (uint32_t i = 0; i < count; i++) text_format(out, "%02x", at[i]);
    text_put(out, "\"");
}

static unsigned state_numbers(unsigned kind)
{
    return kind == NECPNET_FIELD_VEC2 ? 2 : kind == NECPNET_FIELD_VEC3 ? 3 : kind == NECPNET_FIELD_QUAT ? 4 : 1;
}

/* One value of a field that may be an array. */
static void state_put_value(text* out, const uint8_t* at, const necpnet_field* field)
{
    necpnet_entity entity;
    unsigned numbers = state_numbers(field->kind);
    switch (field->kind) {
    case NECPNET_FIELD_BOOL: text_put(out, *at ? "true" : "false"); break;
    case NECPNET_FIELD_INTEGER:
    case NECPNET_FIELD_ENUM: state_put_integer(out, at, field); break;
    case NECPNET_FIELD_ENTITY:
        memcpy(&entity, at, sizeof(entity));
        text_format(out, "%lu", (unsigned long)entity);
        break;
    case NECPNET_FIELD_FLOAT:
    case NECPNET_FIELD_ANGLE: state_put_number(out, at, field->storage_bytes); break;
    default:
        text_put(out, "[");
        for (unsigned i = 0; i < numbers; i++) {
            if (i > 0) text_put(out, ",");
            state_put_number(out, at + i * field->storage_bytes, field->storage_bytes);
        }
        text_put(out, "]");
        break;
    }
}

static void state_put_field(text* out, const uint8_t* structure, const necpnet_field* field)
{
    const uint8_t* at = structure + field->offset;
    uint32_t count = field->count;
    if (field->flags & NECPNET_FIELD_BOUNDED) {
        uint32_t length = 0;
        memcpy(&length, structure + field->length_offset, field->length_bytes);
        if (length < count) count = length;
    }
    if (field->kind == NECPNET_FIELD_STRING) {
        char copy[4097];
        size_t bytes = strnlen((const char*)at, count < sizeof(copy) ? count : sizeof(copy) - 1);
        memcpy(copy, at, bytes);
        copy[bytes] = 0;
        text_json(out, copy);
    } else if (field->kind == NECPNET_FIELD_BYTES) {
        state_put_bytes(out, at, count);
    } else if (field->flags & NECPNET_FIELD_ARRAY) {
        text_put(out, "[");
        for (uint32_t i = 0; i < count; i++) {
            if (i > 0) text_put(out, ",");
            state_put_value(out, at + (size_t)i * state_numbers(field->kind) * field->storage_bytes, field);
        }
        text_put(out, "]");
    } else {
        state_put_value(out, at, field);
    }
}

/* ---------------------------------------------------------------------------------------------------- entities -- */

static void state_put_head(text* out, necpnet_entity entity, const necpnet_entity_type* type)
{
    text_format(out, "{\"entity\":%lu,\"type\":", (unsigned long)entity);
    text_json(out, type->name);
    text_put(out, ",\"fields\":{");
}

/* Fields that differ from what is known (all, where nothing is); learns them. Returns how many. */
static int state_put_fields(struct gateway_state* state, text* out, const uint8_t* structure,
                            const necpnet_entity_type* type, uint64_t* hashes, bool all)
{
    int count = 0;
    for (int i = 0; i < type->field_count; i++) {
        const necpnet_field* field = &type->fields[i];
        uint64_t hash = UINT64_C(0xcbf29ce484222325);
        if (field->flags & NECPNET_FIELD_OWNER_ONLY) continue;
        state->value.bytes = 0;
        state_put_field(&state->value, structure, field);
        for (size_t b = 0; b < state->value.bytes; b++) {
            hash = (hash ^ (uint8_t)state->value.to[b]) * UINT64_C(0x100000001b3);
        }
        if (hashes && !all && hashes[i] == hash) continue;
        if (hashes) hashes[i] = hash;
        if (count++ > 0) text_put(out, ",");
        text_json(out, field->name);
        text_put(out, ":");
        text_put_bytes(out, state->value.to, state->value.bytes);
    }
    return count;
}

static state_entity* state_learn(struct gateway_state* state, necpnet_entity entity, const necpnet_entity_type* type,
                                 bool* out_new)
{
    state_entity** at = &state->entities[entity & 0xffffu];
    *out_new = !*at || (*at)->entity != entity;
    if (!*out_new) return *at;
    free(*at);
    *at = calloc(1, sizeof(**at) + (size_t)type->field_count * sizeof(uint64_t));
    if (!*at) return NULL;
    (*at)->entity = entity;
    (*at)->type = type;
    return *at;
}

/* What changed since the last round, as {"tick":..,"entities":[..],"gone":[..]}; returns whether anything did. */
static bool state_put_changes(gateway* at, text* out)
{
    struct gateway_state* state = at->state;
    bool any = false;
    state->round++;
    text_format(out, "{\"tick\":%u,\"entities\":[", necpnet_server_tick(at->server));
    for (necpnet_entity entity = necpnet_world_next(state->world, NECPNET_ENTITY_NONE); entity != NECPNET_ENTITY_NONE;
         entity = necpnet_world_next(state->world, entity)) {
        const necpnet_entity_type* type =
            necpnet_schema_find_type(state->schema, necpnet_world_get_type(state->world, entity));
        bool is_new = false;
        state_entity* known = type ? state_learn(state, entity, type, &is_new) : NULL;
        if (!known) continue;
        known->seen = state->round;
        size_t before = out->bytes;
        if (any) text_put(out, ",");
        state_put_head(out, entity, type);
        if (state_put_fields(state, out, necpnet_world_get(state->world, entity), type, known->hashes, is_new) == 0 &&
            !is_new && !out->failed) {
            out->bytes = before;
            continue;
        }
        text_put(out, "}}");
        any = true;
    }
    text_put(out, "],\"gone\":[");
    bool first = true;
    for (int i = 0; i < STATE_SLOTS; i++) {
        state_entity* known = state->entities[i];
        if (!known || known->seen == state->round) continue;
        text_format(out, first ? "%lu" : ",%lu", (unsigned long)known->entity);
        first = false;
        any = true;
        free(known);
        state->entities[i] = NULL;
    }
    text_put(out, "]}");
    return any;
}

bool gateway_state_put_all(gateway* at, text* out)
{
    struct gateway_state* state = at->state;
    bool first = true;
    if (!state->world) return false;
    text_format(out, "{\"tick\":%u,\"entities\":[", necpnet_server_tick(at->server));
    for (necpnet_entity entity = necpnet_world_next(state->world, NECPNET_ENTITY_NONE); entity != NECPNET_ENTITY_NONE;
         entity = necpnet_world_next(state->world, entity)) {
        const necpnet_entity_type* type =
            necpnet_schema_find_type(state->schema, necpnet_world_get_type(state->world, entity));
        if (!type) continue;
        if (!first) text_put(out, ",");
        first = false;
        state_put_head(out, entity, type);
        (void)state_put_fields(state, out, necpnet_world_get(state->world, entity), type, NULL, true);
        text_put(out, "}}");
    }
    text_put(out, "]}");
    return true;
}

/* Makes the changes since the last round into one message; the first round only learns. */
static void state_run_round(gateway* at, topics_topic* topic)
{
    struct gateway_state* state = at->state;
    topics_position position = topics_get_position(topic);
    text out;
    text_begin_growing(&out);
    text_format(
        &out, "{\"jsonrpc\":\"2.0\",\"method\":\"state.changed\",\"params\":{\"epoch\":%llu,\"offset\":%llu,\"state\":",
        (unsigned long long)position.epoch, (unsigned long long)position.offset + 1);
    bool any = state_put_changes(at, &out);
    text_put(&out, "}}");
    if (out.failed) {
        LOG(NECPNET_LOG_ERROR, "state_too_large", "the world's changes do not fit a message", LOG_END);
    } else if (any && state->active) {
        topics_message message = {.text = out.to, .text_bytes = out.bytes};
        (void)topics_publish(at->hub, topic, &message, at->now_us);
    }
    state->active = true;
    text_end(&out);
}

bool gateway_state_begin(gateway* at, topics_topic* topic)
{
    struct gateway_state* state = at->state;
    if (!state->world) return false;
    if (!state->entities) state->entities = calloc(STATE_SLOTS, sizeof(state->entities[0]));
    if (!state->entities) return false;
    state_run_round(at, topic); /* what others are told late, a new one knows from the whole world */
    return true;
}

void gateway_state_work(gateway* at)
{
    struct gateway_state* state = at->state;
    if (!state->active || at->now_us < state->next_us) return;
    state->next_us = at->now_us + state->period_us;
    topics_topic* topic = topics_find(at->hub, GATEWAY_STATE_TOPIC);
    if (topic && topics_subscribers(topic) > 0) {
        state_run_round(at, topic);
    } else {
        state_forget(state);
    }
}
