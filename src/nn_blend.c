/* nn_blend - the interpolated numbers of a struct as a list. */
#include "nn_blend.h"

#include "nn_quantise.h"

#define BLEND_TURN 6.283185307179586

static bool blend_is_finite(double value)
{
    return value - value == 0.0;
}

static double blend_size(double value)
{
    return value < 0 ? -value : value;
}

static double blend_short_way(double angle)
{
    if (angle > BLEND_TURN / 2) return angle - BLEND_TURN;
    return angle < -BLEND_TURN / 2 ? angle + BLEND_TURN : angle;
}

NN_PRIVATE void nn_blend_read(const nn_type_plan* plan, const void* state, double* values)
{
    for (unsigned i = 0; i < plan->field_count; i++) {
        const necpnet_field* field = plan->fields[i].field;
        const uint8_t* at = (const uint8_t*)state + field->offset;
        unsigned count = nn_blend_components(field);
        for (unsigned j = 0; j < count; j++)
            *values++ = nn_load_number(at + j * field->storage_bytes, field->storage_bytes);
    }
}

NN_PRIVATE void nn_blend_shift(const nn_type_plan* plan, void* state, const double* values, double scale)
{
    for (unsigned i = 0; i < plan->field_count; i++) {
        const necpnet_field* field = plan->fields[i].field;
        uint8_t* at = (uint8_t*)state + field->offset;
        unsigned bytes = field->storage_bytes;
        unsigned count = nn_blend_components(field);
        double shifted[NN_BLEND_COMPONENTS_MAX];
        double squares = 0;
        for (unsigned j = 0; j < count; j++) {
            shifted[j] = nn_load_number(at + j * bytes, bytes) + *values++ * scale;
            if (field->kind == NECPNET_FIELD_ANGLE) shifted[j] = blend_short_way(shifted[j]);
            squares += shifted[j] * shifted[j];
        }
        double length = 1;
        if (field->kind == NECPNET_FIELD_QUAT && blend_is_finite(squares))
            length = squares > 1e-12 ? nn_root(squares) : 0;
        for (unsigned j = 0; length > 0 && j < count; j++) nn_store_number(at + j * bytes, bytes, shifted[j] / length);
    }
}

NN_PRIVATE double nn_blend_difference(const nn_type_plan* plan, const double* a, const double* b, double* difference)
{
    double largest = 0;
    for (unsigned i = 0; i < plan->field_count; i++) {
        const necpnet_field* field = plan->fields[i].field;
        unsigned count = nn_blend_components(field);
        double dot = 0;
        for (unsigned j = 0; j < count; j++) dot += a[j] * b[j];
        double side = field->kind == NECPNET_FIELD_QUAT && dot < 0 ? -1 : 1; /* q and -q turn alike */
        for (unsigned j = 0; j < count; j++) {
            double apart = side * *a++ - *b++;
            if (field->kind == NECPNET_FIELD_ANGLE) apart = blend_short_way(apart);
            if (!blend_is_finite(apart)) apart = 0;
            *difference++ = apart;
            if (blend_size(apart) > largest) largest = blend_size(apart);
        }
    }
    return largest;
}

NN_PRIVATE double nn_blend_times(const nn_type_plan* plan, const double* difference, const double* way)
{
    double most = 0;
    for (unsigned i = 0; i < plan->field_count; i++) {
        unsigned count = nn_blend_components(plan->fields[i].field);
        double apart = 0, gone = 0;
        for (unsigned j = 0; j < count; j++, difference++, way++) {
            if (blend_size(*difference) > apart) apart = blend_size(*difference);
            if (blend_size(*way) > gone) gone = blend_size(*way);
        }
        if (gone > 0 && apart > most * gone) most = apart / gone;
    }
    return most;
}
