/* fuzz_writes - what hostile clients write and say of authority, into a world with owners, shared entities, lists and texts.
 *
 * The input is records: kind and client (1), length (1), so many bytes. Kind 0 is a WRITE frame behind its type, 1 a message on CONTROL
 * behind its kind, 2 a commit and a frame to everybody, 3 moves ownership by the first byte. Whatever comes: the world stays within its
 * ranges, what is the server's stays as it is, and a stranger's entity is not written.
 */
#include "nn_follower.h"

#include <stdlib.h>

#define CLIENTS 2
#define ENTITIES 6

typedef struct crate {
    float position[2];
    int16_t health;
    uint8_t used;
    uint16_t items[5];
    char label[8];
    uint8_t seal; /* the server's */
    uint8_t secret;
    uint32_t rides;
} crate;

static const necpnet_field fields[] = {
    NECPNET_VEC2(crate, position, 1, -100, 100, 0.01, NECPNET_FIELD_INTERPOLATE),
    NECPNET_INTEGER(crate, health, 2, -5, 300, NECPNET_FIELD_SIGNED),
    NECPNET_INTEGER_LIST(crate, items, used, 3, 0, 900, 0),
    NECPNET_STRING(crate, label, 4, 0),
    NECPNET_INTEGER(crate, seal, 5, 0, 255, NECPNET_FIELD_SERVER),
    NECPNET_INTEGER(crate, secret, 6, 0, 200, NECPNET_FIELD_OWNER_ONLY),
    NECPNET_ENTITY_REFERENCE(crate, rides, 7, NECPNET_FIELD_PARENT),
};
static const necpnet_entity_type type = {"crate", 1, sizeof(crate), fields, (int)NN_COUNT(fields)};

static struct fuzz {
    necpnet_world* world;
    nn_follower* followers[CLIENTS];
    necpnet_entity entities[ENTITIES]; /* 0, 1: client 0's; 2, 3: client 1's; 4: shared; 5: the server's */
    uint64_t now_us;
    uint32_t tick;
    uint32_t validated;
} fuzz;

static void check_crate(const crate* state, uint8_t seal)
{
    bool right = state->position[0] >= -100 && state->position[0] <= 100 && state->health >= -5 &&
                 state->health <= 300 && state->used <= 5 && memchr(state->label, 0, sizeof state->label) &&
                 state->secret <= 200 && state->seal == seal;
    for (int i = 0; i < state->used && right; i++) right = state->items[i] <= 900;
    if (!right) abort();
}

static bool validate(void* user, const necpnet_write* write, void* state)
{
    (void)user;
    crate* after = (crate*)state;
    check_crate(after, ((const crate*)write->before)->seal);
    fuzz.validated++;
    if (write->elapsed_us > 1000000) abort();
    if (after->health > 250) after->health = 250;
    return after->health != 13;
}

static bool tell_ok;
static necpnet_result tell(void* user, const void* data, size_t bytes)
{
    (void)user;
    if (!data || bytes < 2 || bytes > NN_STATE_CONTROL_BYTES_MAX) abort();
    tell_ok = !tell_ok;
    return tell_ok ? NECPNET_OK : NECPNET_ERR_WOULD_BLOCK;
}

static void turn(void)
{
    uint8_t frame[1200];
    necpnet_world_event event;
    fuzz.now_us += 50000;
    if (necpnet_world_commit(fuzz.world, ++fuzz.tick)) abort();
    while (necpnet_world_poll(fuzz.world, &event)) {
        if (event.type == NECPNET_WORLD_AUTHORITY_REQUESTED && event.entity & 1)
            (void)necpnet_world_deny(fuzz.world, event.peer, event.entity);
    }
    for (int i = 0; i < CLIENTS; i++) {
        uint32_t value = 0;
        nn_writer writer = nn_writer_of(frame, sizeof frame);
        if (nn_follower_write(fuzz.followers[i], &writer, sizeof frame, &value, fuzz.now_us) && fuzz.tick % 2)
            nn_follower_acked(fuzz.followers[i], value);
        (void)nn_follower_tell(fuzz.followers[i], tell, NULL);
    }
}

static void begin(const necpnet_schema* schema)
{
    necpnet_world_config config;
    memset(&fuzz, 0, sizeof fuzz);
    necpnet_world_config_default(&config);
    config.schema = schema;
    config.validate = validate;
    config.strict = true; /* a value out of its range fails the commit */
    if (necpnet_world_create(&config, &fuzz.world)) abort();
    fuzz.now_us = 1000000;
    for (int i = 0; i < CLIENTS; i++) {
        if (nn_world_follow(fuzz.world, 10 + (necpnet_peer)i, i == 1, &fuzz.followers[i])) abort();
    }
    for (int i = 0; i < ENTITIES; i++) {
        crate state = {{(float)i, 0}, 100, 2, {1, 2}, "crate", (uint8_t)(70 + i), 9, 0};
        if (necpnet_world_spawn(fuzz.world, 1, &state, &fuzz.entities[i])) abort();
        necpnet_authority authority = i < 4    ? NECPNET_AUTHORITY_OWNER
                                      : i == 4 ? NECPNET_AUTHORITY_SHARED
                                               : NECPNET_AUTHORITY_SERVER;
        if (necpnet_world_set_authority(fuzz.world, fuzz.entities[i], authority)) abort();
        if (i < 4 && necpnet_world_set_owner(fuzz.world, fuzz.entities[i], 10 + (necpnet_peer)i / 2)) abort();
    }
    for (int i = 0; i < 4; i++) turn();
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes)
{
    necpnet_schema* schema = NULL;
    nn_reader reader = nn_reader_of(data, bytes);
    if (necpnet_schema_create(NULL, NULL, &type, 1, &schema)) abort();
    begin(schema);
    while (nn_reader_left(&reader) >= 2) {
        uint8_t kind = nn_read_u8(&reader);
        size_t length = nn_read_u8(&reader);
        if (length > nn_reader_left(&reader)) length = nn_reader_left(&reader);
        nn_reader record = nn_reader_of(nn_read_view(&reader, length), length);
        nn_follower* follower = fuzz.followers[kind >> 2 & 1];
        crate server_own = *(const crate*)necpnet_world_get(fuzz.world, fuzz.entities[5]);
        if (kind % 4 == 0) {
            necpnet_result result = nn_follower_take_writes(follower, &record, fuzz.now_us);
            if (result != NECPNET_OK && result != NECPNET_ERR_BAD_DATA) abort();
        } else if (kind % 4 == 1) {
            (void)nn_follower_take_control(follower, record.at, nn_reader_left(&record));
        } else if (kind % 4 == 3 && length) {
            uint8_t what = *record.at;
            (void)necpnet_world_set_owner(fuzz.world, fuzz.entities[what % 4], what & 16 ? 0 : 10 + (what >> 5 & 1));
            if (what & 64) (void)necpnet_world_correct(fuzz.world, fuzz.entities[what % 5]);
        }
        if (memcmp(server_own.label, ((const crate*)necpnet_world_get(fuzz.world, fuzz.entities[5]))->label, 8))
            abort();
        for (int i = 0; i < ENTITIES; i++)
            check_crate((const crate*)necpnet_world_get(fuzz.world, fuzz.entities[i]), (uint8_t)(70 + i));
        if (kind % 4 == 2) turn();
    }
    turn();
    for (int i = 0; i < CLIENTS; i++) nn_world_unfollow(fuzz.world, fuzz.followers[i]);
    necpnet_world_destroy(fuzz.world);
    necpnet_schema_destroy(schema);
    return 0;
}
