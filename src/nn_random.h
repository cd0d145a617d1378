/* nn_random - a seeded generator for everything that is not a secret (xoshiro256**, Blackman and Vigna 2018). */
#ifndef NN_RANDOM_H
#define NN_RANDOM_H

#include "nn_base.h"

typedef struct nn_random {
    uint64_t state[4];
} nn_random;

/* nn_random_seed - any seed, 0 included (expanded by splitmix64). */
NN_PRIVATE void nn_random_seed(nn_random* random, uint64_t seed);

NN_PRIVATE uint64_t nn_random_u64(nn_random* random);

/* nn_random_below - 0 .. bound - 1 without bias worth naming; bound 0 gives 0. */
NN_PRIVATE uint64_t nn_random_below(nn_random* random, uint64_t bound);

/* nn_random_chance - true with probability ppm / 1,000,000. */
NN_PRIVATE bool nn_random_chance(nn_random* random, uint32_t ppm);

#endif
