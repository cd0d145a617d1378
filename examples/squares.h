/* squares.h - what server and clients of the moving squares share: one entity type and one input. */
#ifndef SQUARES_H
#define SQUARES_H

#include "necpnet.h"

#define SQUARES_SIZE 20 /* the field is 20 x 20 */

typedef struct square {
    float position[2];
    uint8_t colour;
} square;

static const necpnet_field square_fields[] = {
    NECPNET_VEC2(square, position, 1, 0, SQUARES_SIZE, 0.01, NECPNET_FIELD_INTERPOLATE),
    NECPNET_INTEGER(square, colour, 2, 0, 7, 0),
};
static const necpnet_entity_type squares_types[] = {{"square", 1, sizeof(square), square_fields, 2}};

/* One tick: a byte of direction 0 .. 3 (right, down, left, up), or nothing. The server and the predicting client run it. */
static inline void square_step(void* state, const void* input, size_t bytes, void* user)
{
    static const float ways[4][2] = {{0.1f, 0}, {0, 0.1f}, {-0.1f, 0}, {0, -0.1f}};
    square* self = (square*)state;
    unsigned way = bytes ? *(const uint8_t*)input & 3u : 0;
    (void)user;
    for (int axis = 0; axis < 2; axis++) {
        float to = self->position[axis] + ways[way][axis];
        self->position[axis] = to < 0 ? 0 : to > SQUARES_SIZE ? SQUARES_SIZE : to;
    }
}

#endif
