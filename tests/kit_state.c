/* kit_state - see kit_state.h. */
#include "kit_state.h"

#include <string.h>

static double kit_share(nn_random* random)
{
    return (double)(nn_random_u64(random) >> 11) / 9007199254740992.0;
}

static void kit_field_random(necpnet_field* field, nn_random* random)
{
    static const uint8_t sizes[4] = {1, 2, 4, 8};
    static const double steps[4] = {0.001, 0.01, 0.25, 1.0};
    field->kind = (uint8_t)nn_random_below(random, NECPNET_FIELD_BYTES + 1);
    field->count = 1;
    field->storage_bytes = nn_random_below(random, 2) ? 4 : 8;
    field->step = steps[nn_random_below(random, 4)];
    field->min = -(double)nn_random_below(random, 1000);
    field->max = field->min + 2 + (double)nn_random_below(random, 5000);
    switch (field->kind) {
    case NECPNET_FIELD_BOOL: field->storage_bytes = sizeof(bool); break;
    case NECPNET_FIELD_INTEGER: {
        uint64_t pick = nn_random_below(random, 4);
        field->storage_bytes = sizes[pick];
        double most = pick == 3 ? 4503599627370496.0 : (double)((UINT64_C(1) << (sizes[pick] * 8 - 1)) - 1);
        if (nn_random_below(random, 2)) {
            field->flags |= NECPNET_FIELD_SIGNED;
            field->min = -most;
            field->max = most;
        } else {
            field->min = 3;
            field->max = 4 + (double)nn_random_below(random, (uint64_t)most - 4);
        }
        break;
    }
    case NECPNET_FIELD_ENUM:
        field->storage_bytes = 1;
        field->min = 0;
        field->max = 1 + (double)nn_random_below(random, 20);
        break;
    case NECPNET_FIELD_QUAT: field->step = nn_random_below(random, 2) ? 0.0028 : 0.0005; break;
    case NECPNET_FIELD_ANGLE: field->step = nn_random_below(random, 2) ? 0.001 : 0.1; break;
    case NECPNET_FIELD_ENTITY: field->storage_bytes = 4; break;
    case NECPNET_FIELD_STRING:
    case NECPNET_FIELD_BYTES:
        field->storage_bytes = 1;
        field->count = 2 + (uint32_t)nn_random_below(random, 40);
        break;
    default: break;
    }
    bool number = field->kind == NECPNET_FIELD_INTEGER ||
                  (field->kind >= NECPNET_FIELD_FLOAT && field->kind <= NECPNET_FIELD_ANGLE);
    bool many = nn_random_below(random, 6) == 0 && field->kind != NECPNET_FIELD_STRING;
    if (many && field->kind != NECPNET_FIELD_BYTES) {
        field->flags |= NECPNET_FIELD_ARRAY;
        field->count = 1 + (uint32_t)nn_random_below(random, 7);
    }
    if (many && nn_random_below(random, 2)) {
        field->flags |= NECPNET_FIELD_BOUNDED;
        field->length_bytes = 1u << nn_random_below(random, 3);
    }
    if (number && !many && nn_random_below(random, 2)) field->flags |= NECPNET_FIELD_INTERPOLATE;
    if (nn_random_below(random, 8) == 0) field->flags |= NECPNET_FIELD_SLOW;
}

void kit_schema_random(kit_schema* kit, nn_random* random, bool restricted)
{
    memset(kit, 0, sizeof *kit);
    kit->type_count = 1 + (int)nn_random_below(random, KIT_TYPES_MAX);
    for (int i = 0; i < kit->type_count; i++) {
        necpnet_entity_type* type = &kit->types[i];
        type->name = "type";
        type->id = (uint16_t)(1 + nn_random_below(random, 1000) * KIT_TYPES_MAX + (uint64_t)i);
        type->fields = kit->fields[i];
        type->field_count = 1 + (int)nn_random_below(random, KIT_FIELDS_MAX);
        uint32_t offset = 0;
        bool rides = false;
        for (int j = 0; j < type->field_count; j++) {
            necpnet_field* field = &kit->fields[i][j];
            kit_field_random(field, random);
            if (field->kind == NECPNET_FIELD_ENTITY && !(field->flags & NECPNET_FIELD_ARRAY) && !rides) {
                field->flags |= NECPNET_FIELD_PARENT;
                rides = true;
            }
            field->name = "field";
            field->id = (uint16_t)(1 + nn_random_below(random, 1000) * KIT_FIELDS_MAX + (uint64_t)j);
            field->offset = offset;
            uint64_t who = nn_random_below(random, 4);
            if (restricted && who == 0) field->flags |= NECPNET_FIELD_OWNER_ONLY;
            if (restricted && who == 1) field->flags |= NECPNET_FIELD_NOT_OWNER;
            offset += nn_field_bytes(field) + (uint32_t)nn_random_below(random, 4);
            field->length_offset = field->length_bytes ? offset : 0;
            offset += field->length_bytes;
        }
        type->struct_bytes = offset + 1;
    }
}

static void kit_number(const necpnet_field* field, nn_random* random, uint8_t* at, bool near)
{
    double value;
    float narrow;
    double min = field->kind == NECPNET_FIELD_ANGLE ? -6.0 : field->min;
    double max = field->kind == NECPNET_FIELD_ANGLE ? 6.0 : field->max;
    memcpy(&narrow, at, 4);
    memcpy(&value, at, field->storage_bytes == 8 ? 8 : 4);
    if (field->storage_bytes == 4) value = (double)narrow;
    if (near) {
        value += (kit_share(random) - 0.5) * 20 * field->step;
    } else {
        value = min + kit_share(random) * (max - min);
    }
    if (value < min) value = min;
    if (value > max) value = max;
    narrow = (float)value;
    if (field->storage_bytes == 8) {
        memcpy(at, &value, 8);
    } else {
        memcpy(at, &narrow, 4);
    }
}

static void kit_quaternion(const necpnet_field* field, nn_random* random, uint8_t* at, bool near)
{
    for (unsigned i = 0; i < 4; i++) {
        double value = 0;
        float narrow = 0;
        memcpy(&narrow, at + i * field->storage_bytes, 4);
        if (field->storage_bytes == 8)
            memcpy(&value, at + i * 8, 8);
        else
            value = (double)narrow;
        value = near ? value + (kit_share(random) - 0.5) * 0.05 : kit_share(random) - 0.5;
        narrow = (float)value;
        if (field->storage_bytes == 8)
            memcpy(at + i * 8, &value, 8);
        else
            memcpy(at + i * 4, &narrow, 4);
    }
}

static void kit_field_move(const necpnet_field* field, nn_random* random, uint8_t* at, bool near)
{
    switch (field->kind) {
    case NECPNET_FIELD_BOOL: {
        bool value = nn_random_below(random, 2) != 0;
        memcpy(at, &value, sizeof value);
        break;
    }
    case NECPNET_FIELD_INTEGER:
    case NECPNET_FIELD_ENUM: {
        uint64_t span = (uint64_t)(field->max - field->min);
        int64_t value = (int64_t)field->min + (int64_t)nn_random_below(random, near && span > 20 ? 20 : span + 1);
        memcpy(at, &value, field->storage_bytes); /* little-endian machines alone run these tests */
        break;
    }
    case NECPNET_FIELD_FLOAT:
    case NECPNET_FIELD_ANGLE: kit_number(field, random, at, near); break;
    case NECPNET_FIELD_VEC2:
    case NECPNET_FIELD_VEC3:
        for (unsigned i = 0; i < (field->kind == NECPNET_FIELD_VEC2 ? 2u : 3u); i++) {
            if (!near || nn_random_below(random, 4)) kit_number(field, random, at + i * field->storage_bytes, near);
        }
        break;
    case NECPNET_FIELD_QUAT: kit_quaternion(field, random, at, near); break;
    case NECPNET_FIELD_ENTITY: {
        uint32_t value = (uint32_t)nn_random_u64(random);
        if (nn_random_below(random, 4)) value = 1u << 16 | (1 + value % 8); /* one of the first: it may be there */
        memcpy(at, &value, 4);
        break;
    }
    case NECPNET_FIELD_STRING: {
        uint32_t length = (uint32_t)nn_random_below(random, field->count);
        memset(at, 0, field->count);
        for (uint32_t i = 0; i < length; i++) at[i] = (uint8_t)(1 + nn_random_below(random, 255));
        break;
    }
    default:
        for (uint32_t i = 0; i < field->count; i++) {
            if (!near || nn_random_below(random, 8) == 0) at[i] = (uint8_t)nn_random_u64(random);
        }
        break;
    }
}

/* An array value by value: near ones change here and there. */
static void kit_values_move(const necpnet_field* field, nn_random* random, void* state, bool near)
{
    uint8_t* at = (uint8_t*)state + field->offset;
    uint32_t many = field->flags & NECPNET_FIELD_ARRAY ? field->count : 1;
    for (uint32_t i = 0; i < many; i++) {
        if (i && near && nn_random_below(random, 3)) continue;
        kit_field_move(field, random, at + i * nn_field_value_bytes(field), near);
    }
    if (!field->length_bytes || (near && nn_random_below(random, 4))) return;
    uint32_t length = (uint32_t)nn_random_below(random, field->count + 1);
    memcpy((uint8_t*)state + field->length_offset, &length, field->length_bytes);
}

void kit_state_random(const necpnet_entity_type* type, nn_random* random, void* state)
{
    memset(state, 0, type->struct_bytes);
    for (int i = 0; i < type->field_count; i++) {
        kit_values_move(&type->fields[i], random, state, false);
    }
}

void kit_state_move(const necpnet_entity_type* type, nn_random* random, void* state)
{
    for (int i = 0; i < type->field_count; i++) {
        if (nn_random_below(random, 2)) continue;
        bool near = nn_random_below(random, 10) != 0;
        kit_values_move(&type->fields[i], random, state, near);
    }
}
