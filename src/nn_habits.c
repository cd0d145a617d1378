/* nn_habits - a table where each key has one place. */
#include "nn_habits.h"

#define HABITS_BITS_FIRST 8
#define HABITS_BITS_MAX 18
#define HABITS_BITS_STEP 2

NN_PRIVATE void nn_habits_reset(nn_habits* habits, nn_alloc* alloc)
{
    if (habits->entries) nn_alloc_give(alloc, habits->entries, sizeof(nn_habit) << habits->bits);
    memset(habits, 0, sizeof *habits);
}

NN_PRIVATE void nn_habits_prepare(nn_habits* habits, nn_alloc* alloc)
{
    bool crowded = habits->entries && habits->crowded >> (habits->bits - 3) && habits->bits < HABITS_BITS_MAX;
    if (habits->entries && !crowded) return;
    unsigned bits = habits->entries ? habits->bits + HABITS_BITS_STEP : HABITS_BITS_FIRST;
    habits->crowded = 0;
    nn_habit* entries = (nn_habit*)nn_alloc_take(alloc, sizeof(nn_habit) << bits);
    if (!entries) return;
    nn_habits_reset(habits, alloc);
    habits->entries = entries;
    habits->bits = bits;
}

static nn_habit* habits_place(const nn_habits* habits, uint64_t key)
{
    return &habits->entries[key >> (64 - habits->bits)];
}

NN_PRIVATE const nn_habit* nn_habits_find(const nn_habits* habits, uint64_t key)
{
    if (!habits->entries) return NULL;
    const nn_habit* habit = habits_place(habits, key);
    return habit->key == key ? habit : NULL;
}

NN_PRIVATE void nn_habits_keep(nn_habits* habits, const nn_habit* habit)
{
    if (!habits->entries) return;
    nn_habit* place = habits_place(habits, habit->key);
    if (place->key && place->stamp == habit->stamp) habits->crowded++;
    *place = *habit;
}
