/* nn_check - what a follower's client has, compared now and then: a hash of an entity's state as the server knows that it
 * arrived, which the view compares with its own. src/PROTOCOL.md "Checks".
 */
#ifndef NN_CHECK_H
#define NN_CHECK_H

#include "nn_hash.h"
#include "nn_schema.h"

#define NN_CHECKS_MAX 16 /* of one frame */
#define NN_CHECK_BYTES_MAX 12
#define NN_CHECKS_BYTES_MAX (2 + NN_CHECKS_MAX * NN_CHECK_BYTES_MAX)

/* nn_check_hash - of the fields that the client sees. salt: another for each frame, so that two states that look alike once do
 * not look alike for ever. */
NN_INLINE uint16_t nn_check_hash(const nn_type_plan* plan, const uint32_t* row, bool owner, uint16_t generation,
                                 uint8_t salt)
{
    uint8_t head[4] = {salt, (uint8_t)owner, (uint8_t)generation, (uint8_t)(generation >> 8)};
    uint64_t hash = nn_fnv1a64(NN_FNV1A64_BASIS, head, sizeof head);
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        if (!nn_field_visible(field, owner)) continue;
        for (uint32_t w = 0; w < field->words; w++) {
            uint8_t word[4];
            uint32_t value = row[field->word + w];
            for (unsigned b = 0; b < 4; b++) word[b] = (uint8_t)(value >> (8 * b));
            hash = nn_fnv1a64(hash, word, sizeof word);
        }
    }
    hash ^= hash >> 32;
    return (uint16_t)(hash ^ hash >> 16);
}

#endif
