/* nn_schema - lay out rows, hash the wire form. What is refused is in nn_schema_check.c. */
#include "nn_schema.h"

#include "nn_bits.h"
#include "nn_bytes.h"
#include "nn_hash.h"

#define SCHEMA_TURN 6.283185307179586
#define SCHEMA_HALF_ROOT 0.7071067811865476 /* the most that the second largest of a unit quaternion can be */
#define SCHEMA_FLAGS_HASHED \
    (NECPNET_FIELD_OWNER_ONLY | NECPNET_FIELD_NOT_OWNER | NECPNET_FIELD_ARRAY | NECPNET_FIELD_BOUNDED | \
     NECPNET_FIELD_SERVER)

NN_PRIVATE uint32_t nn_field_value_bytes(const necpnet_field* field)
{
    uint32_t number = field->storage_bytes;
    switch (field->kind) {
    case NECPNET_FIELD_VEC2: return number * 2;
    case NECPNET_FIELD_VEC3: return number * 3;
    case NECPNET_FIELD_QUAT: return number * 4;
    default: return number;
    }
}

NN_PRIVATE uint32_t nn_field_bytes(const necpnet_field* field)
{
    bool many = nn_field_is_text(field) || (field->flags & NECPNET_FIELD_ARRAY);
    return many ? nn_field_value_bytes(field) * field->count : nn_field_value_bytes(field);
}

NN_PRIVATE uint32_t nn_field_end(const necpnet_field* field)
{
    uint32_t end = field->offset + nn_field_bytes(field);
    uint32_t length_end = field->length_offset + field->length_bytes;
    return (field->flags & NECPNET_FIELD_BOUNDED) && length_end > end ? length_end : end;
}

/* ---- plans */

static uint64_t schema_round(double value)
{
    return (uint64_t)(value + 0.5);
}

/* One value of a field. */
static void schema_plan_value(nn_field_plan* plan, const necpnet_field* field)
{
    memset(plan, 0, sizeof *plan);
    plan->field = field;
    plan->kind = field->kind;
    plan->components = 1;
    plan->step = field->step;
    plan->room = (uint8_t)field->count;
    switch (field->kind) {
    case NECPNET_FIELD_BOOL: plan->range = 1; break;
    case NECPNET_FIELD_INTEGER:
    case NECPNET_FIELD_ENUM:
        plan->base = (int64_t)field->min;
        plan->range = (uint64_t)((int64_t)field->max - (int64_t)field->min);
        plan->wide = plan->range > UINT32_MAX;
        break;
    case NECPNET_FIELD_VEC2: plan->components = 2; break;
    case NECPNET_FIELD_VEC3: plan->components = 3; break;
    case NECPNET_FIELD_QUAT:
        plan->components = 3;
        plan->range = 2 * schema_round(SCHEMA_HALF_ROOT / field->step);
        break;
    case NECPNET_FIELD_ANGLE:
        plan->range = schema_round(SCHEMA_TURN / field->step) - 1;
        plan->step = SCHEMA_TURN / (double)(plan->range + 1);
        break;
    case NECPNET_FIELD_FLOAT: break;
    default: plan->components = 0; break; /* ENTITY, STRING, BYTES */
    }
    if (field->kind == NECPNET_FIELD_FLOAT || field->kind == NECPNET_FIELD_VEC2 || field->kind == NECPNET_FIELD_VEC3) {
        plan->range = schema_round((field->max - field->min) / field->step);
    }
    plan->words = (uint16_t)(plan->components * (plan->wide ? 2 : 1));
    if (field->kind == NECPNET_FIELD_QUAT) plan->words = 4;
    if (field->kind == NECPNET_FIELD_ENTITY) plan->words = 1;
    plan->bits = (uint8_t)nn_bits_for(plan->range);
}

/* element: filled for an ARRAY, and kept as long as the plan. */
static void schema_plan_field(nn_field_plan* plan, nn_field_plan* element, const necpnet_field* field, uint16_t word)
{
    schema_plan_value(plan, field);
    plan->word = word;
    bool array = (field->flags & NECPNET_FIELD_ARRAY) != 0;
    if (!array && !nn_field_is_text(field)) return;
    plan->has_length = field->kind == NECPNET_FIELD_STRING || (field->flags & NECPNET_FIELD_BOUNDED);
    plan->bits = (uint8_t)nn_bits_for(plan->has_length ? nn_field_length_max(field) : field->count - 1);
    plan->words = (uint16_t)((field->count + 3) / 4 + plan->has_length);
    if (!array) return;
    schema_plan_value(element, field);
    plan->element = element;
    plan->kind = NECPNET_FIELD_BYTES;
    plan->components = 0;
    plan->wide = false;
    plan->words = (uint16_t)(field->count * element->words + plan->has_length);
}

static uint32_t schema_value_bits(const nn_field_plan* plan)
{
    switch (plan->field->kind) {
    case NECPNET_FIELD_QUAT: return 2 + 3u * plan->bits;
    case NECPNET_FIELD_ENTITY: return 32;
    default: return (uint32_t)plan->components * plan->bits;
    }
}

NN_PRIVATE void nn_schema_measure(const necpnet_entity_type* type, uint32_t* out_bits, uint32_t* out_words)
{
    *out_bits = *out_words = 0;
    for (int i = 0; i < type->field_count; i++) {
        nn_field_plan plan;
        nn_field_plan element;
        const necpnet_field* field = &type->fields[i];
        schema_plan_field(&plan, &element, field, 0);
        *out_words += plan.words;
        if (plan.has_length) *out_bits += plan.bits;
        if (plan.element) {
            *out_bits += field->count * schema_value_bits(&element);
        } else {
            *out_bits += nn_field_is_text(field) ? nn_field_length_max(field) * 8 : schema_value_bits(&plan);
        }
    }
}

/* The number of steps that 0 is from min, within the range. */
static uint64_t schema_zero_of(const nn_field_plan* plan)
{
    const necpnet_field* field = plan->field;
    switch (field->kind) {
    case NECPNET_FIELD_INTEGER:
    case NECPNET_FIELD_ENUM:
        if (plan->base >= 0) return 0;
        return nn_min_u64((uint64_t)-plan->base, plan->range);
    case NECPNET_FIELD_FLOAT:
    case NECPNET_FIELD_VEC2:
    case NECPNET_FIELD_VEC3:
        if (field->min >= 0) return 0;
        if (field->max <= 0) return plan->range;
        return nn_min_u64(schema_round(-field->min / field->step), plan->range);
    case NECPNET_FIELD_QUAT: return plan->range / 2;
    default: return 0;
    }
}

static void schema_plan_zeroes(const nn_field_plan* plan, uint32_t* row)
{
    uint32_t* at = row + plan->word;
    if (plan->element && !plan->has_length) {
        for (uint32_t i = 0; i < plan->field->count; i++)
            schema_plan_zeroes(plan->element, at + i * plan->element->words);
    }
    if (plan->element) return; /* of a list none, and zeroes behind */
    uint64_t zero = schema_zero_of(plan);
    if (plan->field->kind == NECPNET_FIELD_QUAT) *at++ = 3; /* (0, 0, 0, 1) */
    for (unsigned i = 0; i < plan->components; i++) {
        *at++ = (uint32_t)zero;
        if (plan->wide) *at++ = (uint32_t)(zero >> 32);
    }
}

/* The field's rate among those of its type; that there is room was checked. */
static uint8_t schema_plan_rate(nn_type_plan* plan, const necpnet_field* field)
{
    uint32_t rate = nn_field_rate(field);
    uint8_t index = 0;
    if (!rate && !(field->flags & NECPNET_FIELD_SLOW)) return 0;
    while (index < plan->rate_count && plan->rates[index] != rate) index++;
    if (index == plan->rate_count) plan->rates[plan->rate_count++] = (uint16_t)rate;
    return (uint8_t)(index + 1);
}

/* elements: as many as the type has arrays. */
static void schema_plan_type(nn_type_plan* plan, nn_field_plan* fields, nn_field_plan* elements,
                             const necpnet_entity_type* type)
{
    plan->type = type;
    plan->fields = fields;
    plan->field_count = (uint16_t)type->field_count;
    for (int i = 0; i < type->field_count; i++) {
        const necpnet_field* field = &type->fields[i];
        schema_plan_field(&fields[i], elements, field, plan->row_words);
        if (fields[i].element) elements++;
        plan->row_words = (uint16_t)(plan->row_words + fields[i].words);
        if (field->flags & (NECPNET_FIELD_OWNER_ONLY | NECPNET_FIELD_NOT_OWNER)) plan->restricted = true;
        if (!(field->flags & NECPNET_FIELD_OWNER_ONLY)) plan->visible[0] |= UINT64_C(1) << i;
        if (!(field->flags & NECPNET_FIELD_NOT_OWNER)) plan->visible[1] |= UINT64_C(1) << i;
        if (field->flags & NECPNET_FIELD_PARENT) plan->parent = (uint16_t)(fields[i].word + 1u);
        fields[i].rate = schema_plan_rate(plan, field);
        plan->blend_count = (uint16_t)(plan->blend_count + nn_blend_components(field));
    }
}

/* ---- hash */

static void schema_hash_bytes(uint64_t* hash, uint64_t value, size_t bytes)
{
    uint8_t piece[8];
    nn_store_u64(piece, value);
    *hash = nn_fnv1a64(*hash, piece, bytes);
}

static void schema_hash_double(uint64_t* hash, double value)
{
    uint64_t bits;
    value += 0.0; /* -0 becomes 0 */
    memcpy(&bits, &value, sizeof bits);
    schema_hash_bytes(hash, bits, 8);
}

static uint64_t schema_hash(const necpnet_schema* schema)
{
    uint64_t hash = NN_FNV1A64_BASIS;
    schema_hash_bytes(&hash, (uint64_t)schema->type_count, 2);
    for (int i = 0; i < schema->type_count; i++) {
        const nn_type_plan* plan = &schema->plans[i];
        schema_hash_bytes(&hash, plan->type->id, 2);
        schema_hash_bytes(&hash, plan->field_count, 2);
        for (int j = 0; j < plan->field_count; j++) {
            const necpnet_field* field = plan->fields[j].field;
            schema_hash_bytes(&hash, field->id, 2);
            schema_hash_bytes(&hash, field->kind, 1);
            schema_hash_bytes(&hash, field->flags & SCHEMA_FLAGS_HASHED, 2);
            schema_hash_bytes(&hash, field->count, 1);
            schema_hash_bytes(&hash, plan->fields[j].range, 8);
            if (field->kind == NECPNET_FIELD_INTEGER || nn_field_is_float(field)) {
                schema_hash_double(&hash, field->min);
                schema_hash_double(&hash, field->step);
            }
        }
    }
    return hash;
}

/* ---- building: one block, carved from the front */

typedef struct schema_carver {
    uint8_t* memory; /* NULL: measure */
    size_t used;
} schema_carver;

static void* schema_carve(schema_carver* carver, size_t bytes)
{
    void* piece = carver->memory ? carver->memory + carver->used : NULL;
    carver->used += (bytes + 15) / 16 * 16;
    return piece;
}

static const char* schema_carve_name(schema_carver* carver, const char* name)
{
    size_t bytes = strlen(name) + 1;
    char* copy = (char*)schema_carve(carver, bytes);
    if (copy) memcpy(copy, name, bytes);
    return copy;
}

static void schema_build_type(schema_carver* carver, necpnet_schema* schema, const necpnet_entity_type* type, int index)
{
    necpnet_field* fields = (necpnet_field*)schema_carve(carver, (size_t)type->field_count * sizeof(necpnet_field));
    nn_field_plan* plans = (nn_field_plan*)schema_carve(carver, (size_t)type->field_count * sizeof(nn_field_plan));
    const char* type_name = schema_carve_name(carver, type->name);
    uint32_t row_words;
    uint32_t bits;
    size_t arrays = 0;
    nn_schema_measure(type, &bits, &row_words);
    for (int i = 0; i < type->field_count; i++) { /* by rising id: insertion sort */
        arrays += (type->fields[i].flags & NECPNET_FIELD_ARRAY) != 0;
        const char* name = schema_carve_name(carver, type->fields[i].name);
        if (!fields) continue;
        int place = i;
        for (; place > 0 && fields[place - 1].id > type->fields[i].id; place--) fields[place] = fields[place - 1];
        fields[place] = type->fields[i];
        fields[place].name = name;
    }
    nn_field_plan* elements = (nn_field_plan*)schema_carve(carver, arrays * sizeof(nn_field_plan));
    uint32_t* zeroes = (uint32_t*)schema_carve(carver, row_words * sizeof(uint32_t));
    if (!schema) return;
    necpnet_entity_type* copy = &schema->types[index];
    *copy = *type;
    copy->name = type_name;
    copy->fields = fields;
    nn_type_plan* plan = &schema->plans[index];
    schema_plan_type(plan, plans, elements, copy);
    for (int i = 0; i < type->field_count; i++) schema_plan_zeroes(&plans[i], zeroes);
    plan->row_zeroes = zeroes;
    plan->own = (int16_t)index;
}

/* Measures with memory NULL, builds otherwise. */
static size_t schema_build(void* memory, const necpnet_entity_type* types, int type_count)
{
    schema_carver carver = {(uint8_t*)memory, 0};
    necpnet_schema* schema = (necpnet_schema*)schema_carve(&carver, sizeof(necpnet_schema));
    void* copies = schema_carve(&carver, (size_t)type_count * sizeof(necpnet_entity_type));
    void* plans = schema_carve(&carver, (size_t)type_count * sizeof(nn_type_plan));
    if (schema) {
        schema->types = (necpnet_entity_type*)copies;
        schema->plans = (nn_type_plan*)plans;
        schema->type_count = type_count;
        schema->type_bits = nn_bits_for((uint64_t)type_count - 1);
    }
    int id = 0;
    for (int index = 0; index < type_count; index++) { /* by rising id: take the smallest not yet taken */
        int next = -1;
        for (int i = 0; i < type_count; i++) {
            if (types[i].id > id && (next < 0 || types[i].id < types[next].id)) next = i;
        }
        NN_ASSERT(next >= 0);
        id = types[next].id;
        schema_build_type(&carver, schema, &types[next], index);
    }
    return carver.used;
}

necpnet_result necpnet_schema_create(const necpnet_allocator* allocator, const necpnet_logger* logger,
                                     const necpnet_entity_type* types, int type_count, necpnet_schema** out_schema)
{
    if (!types || type_count < 1 || type_count > NECPNET_ENTITY_TYPES_MAX || !out_schema) {
        return NECPNET_ERR_INVALID_ARGUMENT;
    }
    for (int i = 0; i < type_count; i++) {
        if (!nn_schema_check_type(logger, types, i)) return NECPNET_ERR_BAD_SCHEMA;
    }
    return nn_schema_make(allocator, types, type_count, out_schema);
}

NN_PRIVATE necpnet_result nn_schema_make(const necpnet_allocator* allocator, const necpnet_entity_type* types,
                                         int type_count, necpnet_schema** out_schema)
{
    nn_alloc alloc;
    nn_alloc_init(&alloc, allocator);
    size_t bytes = schema_build(NULL, types, type_count);
    necpnet_schema* schema = (necpnet_schema*)nn_alloc_take(&alloc, bytes);
    if (!schema) return NECPNET_ERR_OUT_OF_MEMORY;
    schema_build(schema, types, type_count);
    schema->alloc = alloc;
    schema->block_bytes = bytes;
    size_t blob_bytes;
    const uint8_t* blob = nn_tables_blob(&blob_bytes);
    schema->tables = (nn_tables*)nn_alloc_take(&schema->alloc, sizeof(nn_tables));
    if (!schema->tables || !nn_tables_load(schema->tables, blob, blob_bytes)) {
        necpnet_schema_destroy(schema);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    schema->hash = schema_hash(schema);
    *out_schema = schema;
    return NECPNET_OK;
}

void necpnet_schema_destroy(necpnet_schema* schema)
{
    if (!schema) return;
    nn_alloc alloc = schema->alloc;
    nn_alloc_give(&alloc, schema->tables, sizeof(nn_tables));
    nn_alloc_give(&alloc, schema->own_tables, sizeof(nn_tables));
    nn_alloc_give(&alloc, schema, schema->block_bytes);
}

necpnet_result necpnet_schema_set_tables(necpnet_schema* schema, const void* blob, size_t bytes)
{
    if (!schema || (!blob && bytes)) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_tables* tables = NULL;
    if (blob) {
        tables = (nn_tables*)nn_alloc_take(&schema->alloc, sizeof(nn_tables));
        if (!tables) return NECPNET_ERR_OUT_OF_MEMORY;
        if (!nn_tables_load(tables, blob, bytes)) {
            nn_alloc_give(&schema->alloc, tables, sizeof(nn_tables));
            return NECPNET_ERR_BAD_DATA;
        }
    }
    nn_alloc_give(&schema->alloc, schema->own_tables, sizeof(nn_tables));
    schema->own_tables = tables;
    return NECPNET_OK;
}

uint64_t necpnet_schema_get_tables_hash(const necpnet_schema* schema)
{
    if (!schema) return 0;
    return schema->own_tables ? schema->own_tables->hash : schema->tables->hash;
}

uint64_t necpnet_schema_get_hash(const necpnet_schema* schema)
{
    return schema ? schema->hash : 0;
}

const necpnet_entity_type* necpnet_schema_get_type(const necpnet_schema* schema, int index)
{
    if (!schema || index < 0 || index >= schema->type_count) return NULL;
    return &schema->types[index];
}

NN_PRIVATE int nn_schema_index(const necpnet_schema* schema, uint16_t type_id)
{
    int low = 0;
    int high = schema->type_count - 1;
    while (low <= high) {
        int middle = (low + high) / 2;
        if (schema->types[middle].id == type_id) return middle;
        if (schema->types[middle].id < type_id) {
            low = middle + 1;
        } else {
            high = middle - 1;
        }
    }
    return -1;
}

const necpnet_entity_type* necpnet_schema_find_type(const necpnet_schema* schema, uint16_t id)
{
    if (!schema) return NULL;
    int index = nn_schema_index(schema, id);
    return index < 0 ? NULL : &schema->types[index];
}
