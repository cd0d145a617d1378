/* nn_random - a seeded generator for everything that is not a secret. */
#include "nn_random.h"

static uint64_t random_rotate(uint64_t x, unsigned k)
{
    return x << k | x >> (64 - k);
}

NN_PRIVATE void nn_random_seed(nn_random* random, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++) {
        seed += UINT64_C(0x9e3779b97f4a7c15);
        uint64_t z = seed;
        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        random->state[i] = z ^ z >> 31;
    }
}

NN_PRIVATE uint64_t nn_random_u64(nn_random* random)
{
    uint64_t* s = random->state;
    uint64_t result = random_rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = random_rotate(s[3], 45);
    return result;
}

NN_PRIVATE uint64_t nn_random_below(nn_random* random, uint64_t bound)
{
    return bound ? nn_random_u64(random) % bound : 0;
}

NN_PRIVATE bool nn_random_chance(nn_random* random, uint32_t ppm)
{
    return nn_random_below(random, 1000000) < ppm;
}
