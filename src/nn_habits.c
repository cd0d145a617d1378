/* nn_habits - a table where each key has two places. */
#include "nn_habits.h"

#define HABITS_BITS_FIRST 8
#define HABITS_BITS_MAX 18
#define HABITS_IN_USE_TICKS 4 /* nothing has asked for so long: others may have the place */

NN_PRIVATE void nn_habits_reset(nn_habits* habits, nn_alloc* alloc)
{
    if (habits->entries) nn_alloc_give(alloc, habits->entries, sizeof(nn_habit) << habits->bits);
    memset(habits, 0, sizeof *habits);
}

/* More when of as many as there is room for, every eighth took the place of another in use. */
NN_PRIVATE void nn_habits_prepare(nn_habits* habits, nn_alloc* alloc)
{
    bool counted = habits->entries && habits->kept >> habits->bits;
    bool crowded = counted && habits->crowded > habits->kept / 8 && habits->bits < HABITS_BITS_MAX;
    if (counted) habits->kept = habits->crowded = 0;
    if (habits->entries && !crowded) return;
    unsigned bits = habits->entries ? habits->bits + 1 : HABITS_BITS_FIRST;
    nn_habit* entries = (nn_habit*)nn_alloc_take(alloc, sizeof(nn_habit) << bits);
    if (!entries) return;
    nn_habits_reset(habits, alloc);
    habits->entries = entries;
    habits->bits = bits;
}

/* The first of the two places that a key may have. */
static nn_habit* habits_places(const nn_habits* habits, uint64_t key)
{
    return &habits->entries[key >> (64 - habits->bits) & ~UINT64_C(1)];
}

NN_PRIVATE const nn_habit* nn_habits_find(nn_habits* habits, uint64_t key, uint16_t stamp)
{
    if (!habits->entries) return NULL;
    nn_habit* places = habits_places(habits, key);
    for (unsigned i = 0; i < 2; i++) {
        if (places[i].key != key) continue;
        places[i].stamp = stamp;
        return &places[i];
    }
    return NULL;
}

/* Whether a place is free, or its habit was not asked for of late: what it follows from has changed since. */
static bool habits_is_free(const nn_habit* place, uint16_t now)
{
    return !place->key || (uint16_t)(now - place->stamp) >= HABITS_IN_USE_TICKS;
}

NN_PRIVATE void nn_habits_keep(nn_habits* habits, const nn_habit* habit)
{
    if (!habits->entries) return;
    nn_habit* places = habits_places(habits, habit->key);
    unsigned at = habits_is_free(&places[0], habit->stamp) ? 0 : 1;
    habits->kept++;
    if (at && !habits_is_free(&places[1], habit->stamp)) {
        habits->crowded++;
        at = habit->key >> 1 & 1;
    }
    places[at] = *habit;
}
