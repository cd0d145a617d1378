/* nn_columns - for engines that keep components in arrays: many entities in one call, from and to columns. */
#include "nn_log.h"
#include "nn_view.h"
#include "nn_world.h"

/* One column against the type: where the member stands in the struct and how wide it is. */
typedef struct column_plan {
    uint32_t offset;
    uint32_t bytes;
} column_plan;

static const necpnet_field* column_field(const nn_type_plan* plan, uint32_t field_id)
{
    for (unsigned i = 0; i < plan->field_count; i++) {
        if (plan->fields[i].field->id == field_id) return plan->fields[i].field;
    }
    return NULL;
}

static necpnet_result column_resolve(const necpnet_schema* schema, const necpnet_logger* logger, uint16_t type_id,
                                     uint32_t field_id, bool has_data, column_plan* out)
{
    int type = nn_schema_index(schema, type_id);
    bool length = (field_id & NECPNET_COLUMN_LENGTH) != 0;
    if (type < 0 || !has_data) return type < 0 ? NECPNET_ERR_NOT_FOUND : NECPNET_ERR_INVALID_ARGUMENT;
    const necpnet_field* field = column_field(&schema->plans[type], field_id & ~NECPNET_COLUMN_LENGTH);
    if (!field || (length && !field->length_bytes)) {
        nn_log_write(logger, NECPNET_LOG_ERROR, "type %u (%s) has no %s %u", (unsigned)type_id,
                     schema->types[type].name, length ? "list" : "field",
                     (unsigned)(field_id & ~NECPNET_COLUMN_LENGTH));
        return NECPNET_ERR_NOT_FOUND;
    }
    out->offset = length ? field->length_offset : field->offset;
    out->bytes = length ? field->length_bytes : nn_field_bytes(field);
    return NECPNET_OK;
}

#define COLUMN_CHUNK 64 /* entities at a time: a bit each */

/* One column into the structs of a chunk. Returns which were changed. size is a constant where it matters: no call is left of
 * the copying then. */
NN_INLINE uint64_t column_write(uint8_t* const* states, int count, const uint8_t* from, size_t stride, size_t size)
{
    uint64_t changed = 0;
    for (int i = 0; i < count; i++, from += stride) {
        if (!memcmp(states[i], from, size)) continue;
        memcpy(states[i], from, size);
        changed |= UINT64_C(1) << i;
    }
    return changed;
}

static uint64_t column_write_chunk(uint8_t* const* states, int count, const uint8_t* from, size_t stride, size_t size)
{
    switch (size) {
    case 1: return column_write(states, count, from, stride, 1);
    case 2: return column_write(states, count, from, stride, 2);
    case 4: return column_write(states, count, from, stride, 4);
    case 8: return column_write(states, count, from, stride, 8);
    case 12: return column_write(states, count, from, stride, 12);
    case 16: return column_write(states, count, from, stride, 16);
    default: return column_write(states, count, from, stride, size);
    }
}

/* The columns' rows from `first` on, for the entities of a chunk. Returns how many it changed. */
static int columns_write(necpnet_world* world, const necpnet_entity* entities, int count, int first,
                         const necpnet_column* columns, const column_plan* plans, int column_count)
{
    nn_world_slot* slots[COLUMN_CHUNK];
    uint8_t* states[COLUMN_CHUNK];
    uint64_t changed = 0;
    int changed_count = 0;
    for (int i = 0; i < count; i++) slots[i] = nn_world_find(world, entities[first + i]);
    for (int c = 0; c < column_count; c++) {
        size_t stride = columns[c].stride_bytes;
        const uint8_t* from = (const uint8_t*)columns[c].data + (size_t)first * stride;
        for (int i = 0; i < count; i++) states[i] = (uint8_t*)slots[i]->state + plans[c].offset;
        changed |= column_write_chunk(states, count, from, stride, plans[c].bytes);
    }
    for (int i = 0; i < count; i++) {
        if (!(changed >> i & 1)) continue;
        slots[i]->flags |= NN_SLOT_TOUCHED;
        nn_world_mark(world, slots[i]);
        changed_count++;
    }
    return changed_count;
}

static necpnet_result columns_check_entities(const necpnet_world* world, uint16_t type_id,
                                             const necpnet_entity* entities, int count)
{
    int index = nn_schema_index(world->schema, type_id);
    for (int i = 0; i < count; i++) {
        const nn_world_slot* slot = nn_world_find(world, entities[i]);
        if (slot && slot->type == index) continue;
        uint16_t type = necpnet_world_get_type(world, entities[i]);
        nn_log_write(&world->logger, NECPNET_LOG_ERROR, "entity %u at place %d is %s %u", (unsigned)entities[i], i,
                     type ? "of type" : "gone; wanted type", (unsigned)(type ? type : type_id));
        return NECPNET_ERR_NOT_FOUND;
    }
    return NECPNET_OK;
}

necpnet_result necpnet_world_update_many(necpnet_world* world, uint16_t type_id, const necpnet_entity* entities,
                                         int count, const necpnet_column* columns, int column_count, int* out_changed)
{
    column_plan plans[NECPNET_FIELDS_MAX];
    if (!world || count < 0 || (count && !entities) || column_count < 1 || column_count > NECPNET_FIELDS_MAX ||
        !columns) {
        return NECPNET_ERR_INVALID_ARGUMENT;
    }
    if (world->is_rewound) return NECPNET_ERR_INVALID_STATE;
    for (int c = 0; c < column_count; c++) {
        necpnet_result result = column_resolve(world->schema, &world->logger, type_id, columns[c].field_id,
                                               columns[c].data != NULL, &plans[c]);
        if (result) return result;
    }
    necpnet_result result = columns_check_entities(world, type_id, entities, count);
    if (result) return result;
    int changed = 0;
    for (int first = 0; first < count; first += COLUMN_CHUNK) {
        int some = count - first < COLUMN_CHUNK ? count - first : COLUMN_CHUNK;
        changed += columns_write(world, entities, some, first, columns, plans, column_count);
    }
    if (out_changed) *out_changed = changed;
    return NECPNET_OK;
}

necpnet_result necpnet_view_read_many(necpnet_view* view, uint16_t type_id, const necpnet_entity* entities, int count,
                                      const necpnet_column_out* columns, int column_count, int* out_count)
{
    column_plan plans[NECPNET_FIELDS_MAX];
    if (!view || count < 0 || (count && !entities) || column_count < 1 || column_count > NECPNET_FIELDS_MAX ||
        !columns) {
        return NECPNET_ERR_INVALID_ARGUMENT;
    }
    for (int c = 0; c < column_count; c++) {
        necpnet_result result = column_resolve(view->schema, &view->logger, type_id, columns[c].field_id,
                                               columns[c].data != NULL, &plans[c]);
        if (result) return result;
    }
    uint64_t state[NN_STRUCT_BYTES_MAX / sizeof(uint64_t)];
    int found = 0;
    for (int i = 0; i < count; i++) {
        const nn_view_slot* slot = nn_view_find(view, entities[i]);
        if (!slot || view->schema->types[slot->type].id != type_id) continue;
        if (necpnet_view_get(view, entities[i], state, sizeof state) != NECPNET_OK) continue;
        for (int c = 0; c < column_count; c++) {
            memcpy((uint8_t*)columns[c].data + (size_t)i * columns[c].stride_bytes,
                   (const uint8_t*)state + plans[c].offset, plans[c].bytes);
        }
        found++;
    }
    if (out_count) *out_count = found;
    return NECPNET_OK;
}
