/* kit_kinds.h - two types of entity that have a field of every kind, arrays and a parent among them: for the golden vectors of state,
 * and for the fuzzer whose seeds are these vectors' frames. */
#ifndef KIT_KINDS_H
#define KIT_KINDS_H

#include "necpnet.h"

typedef struct mixed {
    bool armed;
    uint8_t health;
    int64_t money;
    uint8_t stance;
    float heat;
    float aim[2];
    double position[3];
    float rotation[4];
    float heading;
    uint32_t target;
    char name[12];
    uint8_t badge[5];
    uint8_t slots_used;
    int16_t slots[6];
    float scale[2];
} mixed;
typedef struct body {
    float position[3];
    float rotation[4];
    uint32_t carrier;
    bool flag;
} body;

static const necpnet_field mixed_fields[] = {
    NECPNET_BOOL(mixed, armed, 1, 0),
    NECPNET_INTEGER(mixed, health, 2, 0, 200, 0),
    NECPNET_INTEGER(mixed, money, 3, -1e12, 1e12, NECPNET_FIELD_SIGNED),
    NECPNET_ENUM(mixed, stance, 4, 6, 0),
    NECPNET_FLOAT(mixed, heat, 5, -10, 300, 0.125, NECPNET_FIELD_INTERPOLATE),
    NECPNET_VEC2(mixed, aim, 6, -1, 1, 0.015625, 0),
    NECPNET_VEC3(mixed, position, 7, -10000, 10000, 0.001953125, NECPNET_FIELD_INTERPOLATE),
    NECPNET_QUAT(mixed, rotation, 8, 0.002, 0),
    NECPNET_ANGLE(mixed, heading, 9, 0.01, 0),
    NECPNET_ENTITY_REFERENCE(mixed, target, 10, 0),
    NECPNET_STRING(mixed, name, 11, 0),
    NECPNET_BYTES(mixed, badge, 12, 0),
    NECPNET_INTEGER_LIST(mixed, slots, slots_used, 13, -5, 900, NECPNET_FIELD_SIGNED),
    NECPNET_FLOAT_ARRAY(mixed, scale, 14, 0, 4, 0.25, 0),
};
static const necpnet_field body_fields[] = {
    NECPNET_VEC3(body, position, 1, -1000, 1000, 0.0078125, NECPNET_FIELD_INTERPOLATE),
    NECPNET_QUAT(body, rotation, 2, 0.001, NECPNET_FIELD_INTERPOLATE),
    NECPNET_ENTITY_REFERENCE(body, carrier, 3, NECPNET_FIELD_PARENT),
    NECPNET_BOOL(body, flag, 4, 0),
};

#endif
