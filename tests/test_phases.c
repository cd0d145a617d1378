/* test_phases - aim: the keys of a connection change without losing a packet that was not lost anyway, whoever begins, and
 * nobody without the keys can make them change.
 *
 * Method: two sides exchange packets through a list that loses, delays and repeats by a seeded generator. Each AEAD is
 * hooked once it is there: a table remembers (key, nonce) of everything sealed, and a repetition fails the test.
 */
#include "test.h"

#include "nn_hash.h"
#include "nn_phases.h"

#define PIPE_MAX 64
#define SEALED_MAX (1u << 17)
#define KEEP_US 60000

struct datagram {
    uint8_t data[64];
    size_t bytes;
    uint64_t due_us;
};

struct side {
    nn_phases phases;
    uint64_t next_number;
    uint64_t largest_acked;    /* of ours, by the peer */
    uint64_t largest_received; /* of the peer's */
    uint64_t opened, refused;
    struct datagram pipe[PIPE_MAX]; /* on its way to this side */
    size_t pipe_count;
};

struct pair {
    nn_alloc alloc;
    struct side sides[2];
    uint64_t now_us;
    struct test_random random;
};

/* -- the recorder -- */

struct sealed {
    uint8_t iv[NN_AEAD_IV_BYTES]; /* made with the key from one secret: it names the key */
    uint8_t nonce[NN_AEAD_IV_BYTES];
    bool is_used;
};

static struct sealed sealed_table[SEALED_MAX];
static size_t sealed_count, sealed_repeats;
static void (*sealed_by)(nn_aead*, const uint8_t*, const uint8_t*, size_t, uint8_t*, size_t, uint8_t*);

static void record_seal(nn_aead* aead, const uint8_t nonce[NN_AEAD_IV_BYTES], const uint8_t* header,
                        size_t header_bytes, uint8_t* data, size_t bytes, uint8_t tag[NN_AEAD_TAG_BYTES])
{
    struct sealed entry;
    memset(&entry, 0, sizeof entry);
    memcpy(entry.iv, aead->iv, sizeof entry.iv);
    memcpy(entry.nonce, nonce, sizeof entry.nonce);
    entry.is_used = true;
    size_t at = (size_t)(nn_fnv1a64(NN_FNV1A64_BASIS, &entry, sizeof entry) % SEALED_MAX);
    while (sealed_table[at].is_used && memcmp(&sealed_table[at], &entry, sizeof entry) != 0) at = (at + 1) % SEALED_MAX;
    if (sealed_table[at].is_used) sealed_repeats++;
    sealed_table[at] = entry;
    sealed_count++;
    sealed_by(aead, nonce, header, header_bytes, data, bytes, tag);
}

static void record(nn_aead* aead)
{
    if (aead->seal == record_seal) return;
    sealed_by = aead->seal;
    aead->seal = record_seal;
}

/* -- two sides -- */

static void begin(struct pair* pair, uint64_t seed)
{
    static const uint8_t master[NN_SECRET_BYTES] = {1, 2, 3};
    necpnet_allocator allocator = test_allocator();
    memset(pair, 0, sizeof *pair);
    memset(sealed_table, 0, sizeof sealed_table);
    sealed_count = sealed_repeats = 0;
    nn_alloc_init(&pair->alloc, &allocator);
    pair->now_us = 1000000;
    pair->random = test_random_begin(seed);
    for (int i = 0; i < 2; i++) {
        nn_connection_keys keys;
        TEST_OK(nn_key_connection(&pair->alloc, NN_SUITE_NONE, master, i == 1, &keys));
        nn_phases_init(&pair->sides[i].phases, &keys, 600000000, pair->now_us);
        TEST_CHECK(keys.send == NULL);
        pair->sides[i].largest_acked = pair->sides[i].largest_received = NN_PACKET_NONE;
    }
}

static void end(struct pair* pair)
{
    for (int i = 0; i < 2; i++) nn_phases_reset(&pair->sides[i].phases);
}

/* A packet that tells what its sender has received. */
static size_t make(struct pair* pair, struct side* from, uint8_t* data)
{
    uint64_t number = from->next_number++;
    uint8_t flags = nn_phases_before_send(&from->phases, number, from->largest_acked, pair->now_us);
    record(from->phases.send);
    size_t header_bytes = nn_packet_begin(data, 7, number, from->largest_acked, flags);
    nn_store_u64(data + header_bytes, from->largest_received);
    return nn_packet_seal(from->phases.send, data, header_bytes, 8, number);
}

static bool take(struct pair* pair, struct side* to, uint8_t* data, size_t bytes, necpnet_drop* why)
{
    nn_packet packet;
    if (!nn_packet_parse(data, bytes, to->largest_received, &packet, why)) return false;
    if (!nn_phases_open(&to->phases, data, &packet, to->next_number, KEEP_US, pair->now_us, why)) return false;
    uint64_t acked = nn_load_u64(packet.frames);
    if (acked != NN_PACKET_NONE && (to->largest_acked == NN_PACKET_NONE || acked > to->largest_acked)) {
        TEST_LESS(acked, to->next_number);
        to->largest_acked = acked;
    }
    if (to->largest_received == NN_PACKET_NONE || packet.number > to->largest_received) {
        to->largest_received = packet.number;
    }
    return true;
}

/* From one side to the other, at once. */
static bool pass(struct pair* pair, int from)
{
    uint8_t data[64];
    necpnet_drop why;
    size_t bytes = make(pair, &pair->sides[from], data);
    return take(pair, &pair->sides[1 - from], data, bytes, &why);
}

static void deliver(struct pair* pair, struct side* to)
{
    for (size_t i = 0; i < to->pipe_count;) {
        struct datagram* datagram = &to->pipe[i];
        if (datagram->due_us > pair->now_us) {
            i++;
            continue;
        }
        necpnet_drop why;
        if (take(pair, to, datagram->data, datagram->bytes, &why)) {
            to->opened++;
        } else {
            to->refused++;
        }
        *datagram = to->pipe[--to->pipe_count];
    }
}

static void send(struct pair* pair, int from, uint32_t loss_percent)
{
    struct side* to = &pair->sides[1 - from];
    struct datagram datagram;
    datagram.bytes = make(pair, &pair->sides[from], datagram.data);
    if (test_random_below(&pair->random, 100) < loss_percent || to->pipe_count == PIPE_MAX) return;
    datagram.due_us = pair->now_us + 10000 + test_random_below(&pair->random, 10000);
    to->pipe[to->pipe_count++] = datagram;
}

/* -- ordinary -- */

TEST(test_phases_are_followed_by_the_peer_whoever_begins)
{
    for (int who = 0; who < 2; who++) {
        struct pair pair;
        begin(&pair, 1);
        TEST_CHECK(pass(&pair, who));
        TEST_CHECK(pass(&pair, 1 - who));
        pair.sides[who].phases.packets_max = 1;
        TEST_CHECK(pass(&pair, who));
        TEST_EQUAL(pair.sides[who].phases.count, 1);
        TEST_EQUAL(pair.sides[1 - who].phases.count, 1);
        pair.sides[who].phases.packets_max = UINT32_MAX;
        for (int i = 0; i < 4; i++) TEST_CHECK(pass(&pair, i % 2));
        TEST_EQUAL(sealed_repeats, 0);
        end(&pair);
    }
}

TEST(test_phases_change_by_time_and_by_number_of_packets)
{
    struct pair pair;
    begin(&pair, 1);
    pair.sides[0].phases.interval_us = 1000;
    pair.sides[1].phases.packets_max = 5;
    TEST_CHECK(pass(&pair, 0) && pass(&pair, 1));
    pair.now_us += 999;
    TEST_CHECK(pass(&pair, 0));
    TEST_EQUAL(pair.sides[0].phases.count, 0);
    pair.now_us += 1;
    TEST_CHECK(pass(&pair, 0));
    TEST_EQUAL(pair.sides[0].phases.count, 1);
    TEST_EQUAL(pair.sides[1].phases.count, 1);
    pair.sides[0].phases.interval_us = NN_NEVER;
    TEST_CHECK(pass(&pair, 1) && pass(&pair, 0));
    pair.now_us += KEEP_US; /* the old keys are gone */
    for (int i = 0; i < 3; i++) TEST_CHECK(pass(&pair, 1));
    TEST_EQUAL(pair.sides[1].phases.count, 1);
    TEST_CHECK(pass(&pair, 1));
    TEST_CHECK(pass(&pair, 1));
    TEST_EQUAL(pair.sides[1].phases.count, 2);
    TEST_EQUAL(pair.sides[0].phases.count, 2);
    end(&pair);
}

TEST(test_phases_both_begun_at_once_are_the_same_phase)
{
    struct pair pair;
    uint8_t data[2][64];
    size_t bytes[2];
    necpnet_drop why;
    begin(&pair, 1);
    TEST_CHECK(pass(&pair, 0) && pass(&pair, 1) && pass(&pair, 0));
    for (int i = 0; i < 2; i++) pair.sides[i].phases.packets_max = 1;
    for (int i = 0; i < 2; i++) bytes[i] = make(&pair, &pair.sides[i], data[i]);
    for (int i = 0; i < 2; i++) TEST_CHECK(take(&pair, &pair.sides[1 - i], data[i], bytes[i], &why));
    for (int i = 0; i < 2; i++) {
        TEST_EQUAL(pair.sides[i].phases.count, 1);
        pair.sides[i].phases.packets_max = UINT32_MAX;
    }
    for (int i = 0; i < 6; i++) TEST_CHECK(pass(&pair, i % 2));
    end(&pair);
}

TEST(test_phases_wait_for_an_ack_of_the_present_phase)
{
    struct pair pair;
    uint8_t data[64];
    begin(&pair, 1);
    struct side* side = &pair.sides[0];
    side->phases.packets_max = 1;
    for (int i = 0; i < 10; i++) make(&pair, side, data);
    TEST_EQUAL(side->phases.count, 0); /* nothing was acknowledged */
    side->largest_acked = 3;
    make(&pair, side, data);
    TEST_EQUAL(side->phases.count, 1);
    for (int i = 0; i < 10; i++) make(&pair, side, data);
    TEST_EQUAL(side->phases.count, 1);
    side->largest_acked = 9; /* of the phase before */
    make(&pair, side, data);
    TEST_EQUAL(side->phases.count, 1);
    end(&pair);
}

TEST(test_phases_read_overtaken_packets_of_the_phase_before_for_a_bounded_time)
{
    for (int late = 0; late < 2; late++) {
        struct pair pair;
        uint8_t held[64];
        necpnet_drop why = NECPNET_DROP_COUNT;
        begin(&pair, 1);
        TEST_CHECK(pass(&pair, 0) && pass(&pair, 1));
        size_t bytes = make(&pair, &pair.sides[0], held);
        pair.sides[0].phases.packets_max = 1;
        TEST_CHECK(pass(&pair, 0));
        TEST_EQUAL(pair.sides[1].phases.count, 1);
        pair.now_us += late ? KEEP_US : KEEP_US - 1;
        TEST_EQUAL(take(&pair, &pair.sides[1], held, bytes, &why), !late);
        if (late) TEST_EQUAL(why, NECPNET_DROP_AUTHENTICATION);
        TEST_EQUAL(pair.sides[1].phases.count, 1);
        end(&pair);
    }
}

TEST(test_phases_outlast_a_thousand_changes_under_loss_and_reordering)
{
    struct pair pair;
    begin(&pair, test_seed());
    for (int i = 0; i < 2; i++) pair.sides[i].phases.interval_us = 30000;
    uint64_t refused = 0;
    while (pair.sides[0].phases.count < 1000 && pair.now_us < UINT64_C(600000000)) {
        for (int i = 0; i < 2; i++) {
            send(&pair, i, 30);
            deliver(&pair, &pair.sides[i]);
        }
        pair.now_us += 4000;
        uint32_t apart = pair.sides[0].phases.count - pair.sides[1].phases.count + 1;
        TEST_AT_MOST(apart, 2);
    }
    refused = pair.sides[0].refused + pair.sides[1].refused;
    TEST_AT_LEAST(pair.sides[0].phases.count, 1000);
    TEST_GREATER(sealed_count, 10000);
    TEST_HINT("packets of the phase before that came later than its key was kept");
    TEST_EQUAL(refused, 0);
    TEST_EQUAL(sealed_repeats, 0);
    end(&pair);
}

TEST(test_phases_recorder_sees_a_repeated_nonce)
{
    struct pair pair;
    uint8_t data[64];
    begin(&pair, 1);
    make(&pair, &pair.sides[0], data);
    pair.sides[0].next_number = 0;
    make(&pair, &pair.sides[0], data);
    TEST_EQUAL(sealed_repeats, 1);
    end(&pair);
}

/* -- hostile -- */

TEST(test_phases_are_not_moved_by_forged_packets)
{
    struct pair pair;
    uint8_t data[64];
    necpnet_drop why;
    begin(&pair, 1);
    TEST_CHECK(pass(&pair, 0) && pass(&pair, 1));
    struct side* side = &pair.sides[1];
    uint64_t taken = 0;
    for (int i = 0; i < 1000; i++) {
        if (i == 2) taken = test_allocation_count(); /* the next keys are made once, whatever comes */
        nn_packet_begin(data, 7, 100 + (uint64_t)i, NN_PACKET_NONE, i % 2 ? NN_PACKET_PHASE : 0);
        test_random_bytes(&pair.random, data + 7, 40);
        TEST_CHECK(!take(&pair, side, data, 47, &why));
        TEST_EQUAL(why, NECPNET_DROP_AUTHENTICATION);
    }
    TEST_EQUAL(side->phases.count, 0);
    TEST_CHECK(!side->phases.receive_old);
    TEST_EQUAL(test_allocation_count(), taken);
    /* the true ones go on, and so do true changes */
    pair.sides[0].phases.packets_max = 1;
    TEST_CHECK(pass(&pair, 0));
    TEST_EQUAL(side->phases.count, 1);
    TEST_CHECK(pass(&pair, 1));
    end(&pair);
}

TEST(test_phases_with_a_flipped_bit_are_refused)
{
    struct pair pair;
    uint8_t data[64];
    necpnet_drop why;
    begin(&pair, 1);
    TEST_CHECK(pass(&pair, 0) && pass(&pair, 1));
    size_t bytes = make(&pair, &pair.sides[0], data);
    data[0] ^= NN_PACKET_PHASE;
    TEST_CHECK(!take(&pair, &pair.sides[1], data, bytes, &why));
    TEST_EQUAL(pair.sides[1].phases.count, 0);
    TEST_CHECK(pass(&pair, 0));
    end(&pair);
}

/* -- exhaustion -- */

TEST(test_phases_without_memory_go_on_in_the_present_one)
{
    TEST_EACH_ALLOCATION_FAILS {
        struct pair pair;
        nn_connection_keys keys[2];
        static const uint8_t master[NN_SECRET_BYTES] = {1, 2, 3};
        necpnet_allocator allocator = test_allocator();
        memset(&pair, 0, sizeof pair);
        nn_alloc_init(&pair.alloc, &allocator);
        necpnet_result made[2];
        for (int i = 0; i < 2; i++) {
            made[i] = nn_key_connection(&pair.alloc, NN_SUITE_NONE, master, i == 1, &keys[i]);
            if (made[i]) continue;
            nn_phases_init(&pair.sides[i].phases, &keys[i], 1000, 0);
            pair.sides[i].largest_acked = pair.sides[i].largest_received = NN_PACKET_NONE;
        }
        for (int i = 0; i < 40 && !made[0] && !made[1]; i++) {
            pair.now_us += 100000;
            uint8_t data[64];
            necpnet_drop why = NECPNET_DROP_COUNT;
            size_t bytes = make(&pair, &pair.sides[i % 2], data);
            bool taken = take(&pair, &pair.sides[1 - i % 2], data, bytes, &why);
            TEST_CHECK(taken || why == NECPNET_DROP_MEMORY);
            TEST_CHECK(taken || test_allocation_failed());
        }
        end(&pair);
    }
}

TEST_MAIN
