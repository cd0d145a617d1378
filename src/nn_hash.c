/* nn_hash - SipHash-2-4, FNV-1a and SHA-1. */
#include "nn_hash.h"

#include "nn_bytes.h"

#define HASH_ROTATE64(x, k) ((x) << (k) | (x) >> (64 - (k)))

typedef struct hash_sip {
    uint64_t v0, v1, v2, v3;
} hash_sip;

static void hash_sip_round(hash_sip* s)
{
    s->v0 += s->v1;
    s->v1 = HASH_ROTATE64(s->v1, 13) ^ s->v0;
    s->v0 = HASH_ROTATE64(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = HASH_ROTATE64(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = HASH_ROTATE64(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = HASH_ROTATE64(s->v1, 17) ^ s->v2;
    s->v2 = HASH_ROTATE64(s->v2, 32);
}

static hash_sip hash_sip_absorb(const uint8_t* key, const uint8_t* data, size_t bytes, bool wide)
{
    uint64_t k0 = nn_load_u64(key);
    uint64_t k1 = nn_load_u64(key + 8);
    hash_sip s = {k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d),
                  k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573)};
    if (wide) s.v1 ^= 0xee;
    size_t whole = bytes & ~(size_t)7;
    for (size_t i = 0; i < whole; i += 8) {
        uint64_t m = nn_load_u64(data + i);
        s.v3 ^= m;
        hash_sip_round(&s);
        hash_sip_round(&s);
        s.v0 ^= m;
    }
    uint64_t last = (uint64_t)bytes << 56;
    for (size_t i = whole; i < bytes; i++) last |= (uint64_t)data[i] << (8 * (i - whole));
    s.v3 ^= last;
    hash_sip_round(&s);
    hash_sip_round(&s);
    s.v0 ^= last;
    return s;
}

static uint64_t hash_sip_finish(hash_sip* s)
{
    for (int i = 0; i < 4; i++) hash_sip_round(s);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

NN_PRIVATE uint64_t nn_siphash64(const uint8_t key[NN_SIPHASH_KEY_BYTES], const void* data, size_t bytes)
{
    hash_sip s = hash_sip_absorb(key, (const uint8_t*)data, bytes, false);
    s.v2 ^= 0xff;
    return hash_sip_finish(&s);
}

NN_PRIVATE void nn_siphash128(const uint8_t key[NN_SIPHASH_KEY_BYTES], const void* data, size_t bytes, uint8_t out[16])
{
    hash_sip s = hash_sip_absorb(key, (const uint8_t*)data, bytes, true);
    s.v2 ^= 0xee;
    nn_store_u64(out, hash_sip_finish(&s));
    s.v1 ^= 0xdd;
    nn_store_u64(out + 8, hash_sip_finish(&s));
}

NN_PRIVATE uint64_t nn_fnv1a64(uint64_t hash, const void* data, size_t bytes)
{
    const uint8_t* p = (const uint8_t*)data;
    for (size_t i = 0; i < bytes; i++) hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint32_t hash_rotate32(uint32_t x, unsigned k)
{
    return x << k | x >> (32 - k);
}

static void hash_sha1_block(uint32_t h[5], const uint8_t* block)
{
    uint32_t w[80];
    for (size_t i = 0; i < 16; i++) {
        const uint8_t* p = block + i * 4;
        w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
    }
    for (size_t i = 16; i < 80; i++) w[i] = hash_rotate32(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (size_t i = 0; i < 80; i++) {
        uint32_t f, k;
        if (i < 20) {
            f = (b & c) | (~b & d);
            k = 0x5a827999;
        } else if (i < 40) {
            f = b ^ c ^ d;
            k = 0x6ed9eba1;
        } else if (i < 60) {
            f = (b & c) | (b & d) | (c & d);
            k = 0x8f1bbcdc;
        } else {
            f = b ^ c ^ d;
            k = 0xca62c1d6;
        }
        uint32_t t = hash_rotate32(a, 5) + f + e + k + w[i];
        e = d;
        d = c;
        c = hash_rotate32(b, 30);
        b = a;
        a = t;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

NN_PRIVATE void nn_sha1(const void* data, size_t bytes, uint8_t out[20])
{
    const uint8_t* p = (const uint8_t*)data;
    uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    size_t left = bytes;
    for (; left >= 64; left -= 64, p += 64) hash_sha1_block(h, p);
    uint8_t tail[128] = {0};
    nn_copy(tail, p, left);
    tail[left] = 0x80;
    size_t tail_bytes = left < 56 ? 64 : 128;
    uint64_t bits = (uint64_t)bytes * 8;
    for (size_t i = 0; i < 8; i++) tail[tail_bytes - 1 - i] = (uint8_t)(bits >> (8 * i));
    hash_sha1_block(h, tail);
    if (tail_bytes == 128) hash_sha1_block(h, tail + 64);
    for (size_t i = 0; i < 20; i++) out[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}
