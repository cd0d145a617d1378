/* nn_habits - a table where each key has four places, side by side. */
#include "nn_habits.h"

#define HABITS_BITS_FIRST 8
#define HABITS_BITS_MAX 18
#define HABITS_PLACES 4u
#define HABITS_IN_USE_TICKS 4 /* nothing has asked for so long: others may have the place */

NN_PRIVATE void nn_habits_reset(nn_habits* habits, nn_alloc* alloc)
{
    if (habits->entries) nn_alloc_give(alloc, habits->entries, sizeof(nn_habit) << habits->bits);
    memset(habits, 0, sizeof *habits);
}

/* Asked after as many were kept as there is room for: more when every fourth took the place of another in use, less when
 * nearly none did. Whose place is taken was asked for the longest ago, so most of them would not have been asked for again:
 * a quarter of the room costs 4 % more that is found out anew (bench/world_scale, 4,000 entities). */
NN_PRIVATE void nn_habits_prepare(nn_habits* habits, nn_alloc* alloc)
{
    unsigned bits = habits->entries ? habits->bits : HABITS_BITS_FIRST;
    if (habits->entries) {
        if (!(habits->kept >> bits)) return;
        bool crowded = habits->crowded > habits->kept / 4;
        bool empty = habits->crowded < habits->kept / 32;
        habits->kept = habits->crowded = 0;
        if (crowded && bits < HABITS_BITS_MAX) {
            bits++;
        } else if (empty && bits > HABITS_BITS_FIRST) {
            bits--;
        } else {
            return;
        }
    }
    nn_habit* entries = (nn_habit*)nn_alloc_take(alloc, sizeof(nn_habit) << bits);
    if (!entries) return;
    nn_habits_reset(habits, alloc);
    habits->entries = entries;
    habits->bits = bits;
}

/* The first of the places that a key may have. */
static nn_habit* habits_places(const nn_habits* habits, uint64_t key)
{
    return &habits->entries[key >> (64 - habits->bits) & ~(uint64_t)(HABITS_PLACES - 1)];
}

NN_PRIVATE const nn_habit* nn_habits_find(nn_habits* habits, uint64_t key, uint16_t stamp)
{
    if (!habits->entries) return NULL;
    nn_habit* places = habits_places(habits, key);
    for (unsigned i = 0; i < HABITS_PLACES; i++) {
        if (places[i].key != key) continue;
        places[i].stamp = stamp;
        return &places[i];
    }
    return NULL;
}

/* Ticks since a place was asked for; the most when nothing is in it. */
static uint32_t habits_age(const nn_habit* place, uint16_t now)
{
    return place->key ? (uint16_t)(now - place->stamp) : UINT32_MAX;
}

NN_PRIVATE void nn_habits_keep(nn_habits* habits, const nn_habit* habit)
{
    if (!habits->entries) return;
    nn_habit* places = habits_places(habits, habit->key);
    unsigned at = 0;
    for (unsigned i = 1; i < HABITS_PLACES; i++) {
        if (habits_age(&places[i], habit->stamp) > habits_age(&places[at], habit->stamp)) at = i;
    }
    habits->kept++;
    if (habits_age(&places[at], habit->stamp) < HABITS_IN_USE_TICKS) habits->crowded++;
    places[at] = *habit;
}
