/* Golden vectors of state: whole states, deltas and what they follow from must not change unnoticed, in both codecs.
 *
 * tests/vectors/state.txt holds worlds of all kinds of fields that move in all ways, as one client gets them: with losses, in
 * wrong order, over an ordered stream, with small frames, with tables of its own. Its lines are
 *
 *   tables HEX HASH                 a blob of the codec's tables
 *   schema HEX HASH                 the description of a schema
 *   begin NAME                      a client comes
 *   state HEX MEANING               a STATE frame in the order of arrival, and all records in it as rows, in hex words
 *   write HEX MEANING               a WRITE frame of one write
 *   control HEX MEANING             a message on CONTROL about authority
 *
 * tests/e2e/state_vectors.test.py works the meaning out again with nothing but src/PROTOCOL.md. After a deliberate change of the
 * protocol: NECPNET_WRITE_VECTORS=1 test_state_vectors. No function of libm is used: all machines must get the same floats. */
#include "kit_kinds.h"
#include "nn_authority.h"
#include "nn_bytes.h"
#include "nn_follower.h"
#include "nn_frame.h"
#include "nn_quantise.h"
#include "nn_random.h"
#include "nn_schema_map.h"
#include "nn_view.h"
#include "test.h"

#define VECTORS "tests/vectors/state.txt"
#define PEER 77
#define FLIGHT 16 /* frames that nobody knows the fate of */

typedef struct holder {
    float position[2];
    uint16_t secret;
    uint16_t outside;
    uint32_t rides;
} holder;
typedef struct walker {
    float position[2];
    float heading;
    uint32_t score;
} walker;

static const necpnet_field holder_fields[] = {
    NECPNET_VEC2(holder, position, 1, -100, 100, 0.0625, 0),
    NECPNET_INTEGER(holder, secret, 2, 0, 5000, NECPNET_FIELD_OWNER_ONLY),
    NECPNET_INTEGER(holder, outside, 3, 0, 5000, NECPNET_FIELD_NOT_OWNER),
    NECPNET_ENTITY_REFERENCE(holder, rides, 4, NECPNET_FIELD_PARENT),
};
static const necpnet_field walker_fields[] = {
    NECPNET_VEC2(walker, position, 1, -500, 500, 0.015625, 0),
    NECPNET_ANGLE(walker, heading, 2, 0.02, 0),
    NECPNET_INTEGER(walker, score, 3, 0, 100000, 0),
};
static const necpnet_entity_type types[] = {{"mixed", 2, sizeof(mixed), mixed_fields, NN_COUNT(mixed_fields)},
                                            {"body", 5, sizeof(body), body_fields, NN_COUNT(body_fields)},
                                            {"holder", 6, sizeof(holder), holder_fields, NN_COUNT(holder_fields)},
                                            {"walker", 40, sizeof(walker), walker_fields, NN_COUNT(walker_fields)}};

#define BODIES 5
#define WALKERS 3

typedef struct flight {
    uint8_t data[1200];
    size_t bytes;
    uint32_t value; /* for the follower */
    uint32_t number;
    uint32_t arrives; /* step */
    uint32_t settles;
    bool lost;
    bool used;
} flight;

typedef struct scene {
    const char* name;
    necpnet_codec codec;
    bool ordered;
    bool own_tables;
    bool mixed_codecs;
    uint32_t loss; /* every so many frames one is lost; 0: none */
    uint32_t gap;  /* ticks from one commit to the next, at most */
    size_t budget;
    unsigned steps;
} scene;

typedef struct stage {
    const scene* scene;
    necpnet_schema* schema;
    necpnet_world* world;
    nn_follower* follower;
    necpnet_view* view;
    nn_random random;
    necpnet_entity all[2];
    necpnet_entity bodies[BODIES];
    necpnet_entity holders[2];
    necpnet_entity walkers[WALKERS];
    double turn[2]; /* cosine and sine of a half angle */
    double way[2];
    flight flights[FLIGHT];
    uint32_t frames;
    uint32_t step;
    uint32_t tick;
    uint64_t now_us;
} stage;

static char* made;
static size_t made_length;
static size_t made_max = 1u << 21;

TEST_PRINTF(1) static void put(const char* format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(made + made_length, made_max - made_length, format, arguments);
    va_end(arguments);
    TEST_CHECK(length >= 0 && made_length + (size_t)length < made_max);
    made_length += (size_t)length;
}

static void put_hex(const uint8_t* data, size_t count)
{
    for (size_t i = 0; i < count; i++) put("%02x", data[i]);
}

static const uint8_t* own_blob(size_t* out_bytes)
{
    static uint8_t blob[16384];
    const uint8_t* built_in = nn_tables_blob(out_bytes);
    TEST_LESS(*out_bytes, sizeof blob);
    memcpy(blob, built_in, *out_bytes);
    for (size_t i = 0; i < NN_EVENT_LEVELS; i++) nn_store_u16(blob + 5 + 2 * i, (uint16_t)(9000 * (i + 1)));
    return blob;
}

/* ---- motion */

static void turn_by(double pair[2], double cosine, double sine)
{
    double first = pair[0] * cosine - pair[1] * sine;
    pair[1] = pair[0] * sine + pair[1] * cosine;
    pair[0] = first;
}

static float noise(stage* s, uint64_t most)
{
    return ((float)nn_random_below(&s->random, most + 1) - (float)most / 2) / 64;
}

static bool now_and_then(stage* s, uint64_t of)
{
    return nn_random_below(&s->random, of) == 0;
}

static void move_mixed(stage* s, int i)
{
    mixed* m = (mixed*)necpnet_world_get(s->world, s->all[i]);
    double t = s->step;
    m->position[0] += i ? 0.75 : 3.5 - t / 8; /* a line; a parabola that jumps now and then */
    m->position[1] = i ? m->position[1] + (double)noise(s, 40) : t * t * 0.25 - t * t * t / 512;
    if (!i && now_and_then(s, 15)) m->position[2] += 900;
    if (i && s->step > 20) m->health = (uint8_t)(m->health > 3 ? m->health - 3 : 90);
    m->rotation[0] = (float)(s->turn[1] * 0.6);
    m->rotation[2] = (float)(s->turn[1] * 0.8);
    m->rotation[3] = (float)s->turn[0];
    if (i) m->rotation[1] = noise(s, 4);
    m->heading += i ? 0.11f : noise(s, 10);
    if (m->heading > 6) m->heading -= 6;
    m->aim[0] = (float)s->way[0];
    m->aim[1] = (float)s->way[1];
    m->heat = (float)(20 + (s->step & 7));
    if (now_and_then(s, 9)) m->armed = !m->armed;
    if (now_and_then(s, 9)) m->stance = (uint8_t)nn_random_below(&s->random, 7);
    if (now_and_then(s, 9)) m->money -= (int64_t)nn_random_below(&s->random, 100000000000);
    if (now_and_then(s, 9)) m->target = s->bodies[nn_random_below(&s->random, BODIES)];
    if (now_and_then(s, 9)) snprintf(m->name, sizeof m->name, "n%u", (unsigned)nn_random_below(&s->random, 100000));
    if (now_and_then(s, 9)) m->badge[nn_random_below(&s->random, 5)] ^= 7;
    if (now_and_then(s, 9)) m->slots_used = (uint8_t)nn_random_below(&s->random, 7);
    if (now_and_then(s, 5)) m->slots[nn_random_below(&s->random, 6)] = (int16_t)nn_random_below(&s->random, 900);
    if (now_and_then(s, 9)) m->scale[1] = (float)nn_random_below(&s->random, 16) / 4;
    TEST_OK(necpnet_world_mark(s->world, s->all[i]));
}

/* The first carries the next three: two say so, of one it is to be found out. The last flies by itself. */
static void move_bodies(stage* s)
{
    body* first = (body*)necpnet_world_get(s->world, s->bodies[0]);
    double cosine = s->turn[0] * s->turn[0] - s->turn[1] * s->turn[1];
    double sine = 2 * s->turn[0] * s->turn[1];
    first->position[0] = (float)(s->way[0] * 60) + noise(s, 20);
    first->position[1] = (float)(s->way[1] * 60) + noise(s, 20);
    for (int i = 0; i < BODIES; i++) {
        body* one = (body*)necpnet_world_get(s->world, s->bodies[i]);
        double x = 3.0 * i;
        double y = 1.0 - i;
        if (i && i < 4) {
            one->position[0] = first->position[0] + (float)(x * cosine - y * sine);
            one->position[1] = first->position[1] + (float)(x * sine + y * cosine);
            one->carrier = i < 3 ? s->bodies[0] : 0;
        }
        if (i == 4) one->position[2] += 2.5f;
        if (i < 4) {
            one->rotation[2] = (float)s->turn[1];
            one->rotation[3] = (float)s->turn[0];
        }
        if (now_and_then(s, 12)) one->flag = !one->flag;
        TEST_OK(necpnet_world_mark(s->world, s->bodies[i]));
    }
}

static void move_others(stage* s)
{
    for (int i = 0; i < 2; i++) {
        holder* one = (holder*)necpnet_world_get(s->world, s->holders[i]);
        one->position[0] = one->position[0] > 90 ? -90 : one->position[0] + 0.5f;
        one->secret = (uint16_t)((one->secret + 7) % 5000);
        if (now_and_then(s, 4)) one->outside = (uint16_t)nn_random_below(&s->random, 5000);
        TEST_OK(necpnet_world_mark(s->world, s->holders[i]));
    }
    for (int i = 0; i < WALKERS; i++) {
        if (i == 2 && s->step % 24 > 8) continue; /* it stands, then walks again */
        walker* one = (walker*)necpnet_world_get(s->world, s->walkers[i]);
        one->position[0] += 0.25f * (float)i;
        one->position[1] += i ? 0.125f : noise(s, 90);
        one->heading = one->heading > 5 ? 0 : one->heading + 0.05f;
        if (now_and_then(s, 6)) one->score += (uint32_t)nn_random_below(&s->random, 300);
        TEST_OK(necpnet_world_mark(s->world, s->walkers[i]));
    }
    if (s->step % 26 == 25) { /* another one in its place, later */
        walker fresh = {{-3, 4}, 1, 5};
        TEST_OK(necpnet_world_despawn(s->world, s->walkers[0]));
        TEST_OK(necpnet_world_spawn(s->world, 40, &fresh, &s->walkers[0]));
    }
    if (s->step % 30 == 17) TEST_OK(necpnet_world_set_owner(s->world, s->holders[1], s->step < 30 ? PEER : 0));
}

/* ---- the stage */

static void stage_begin(stage* s, const scene* play)
{
    memset(s, 0, sizeof *s);
    s->scene = play;
    nn_random_seed(&s->random, play->steps + play->budget);
    necpnet_allocator allocator = test_allocator();
    TEST_OK(necpnet_schema_create(&allocator, NULL, types, NN_COUNT(types), &s->schema));
    if (play->own_tables) {
        size_t bytes;
        const uint8_t* blob = own_blob(&bytes);
        TEST_OK(necpnet_schema_set_tables(s->schema, blob, bytes));
    }
    necpnet_world_config config;
    TEST_OK(necpnet_world_config_default(&config));
    config.allocator = allocator;
    config.schema = s->schema;
    config.codec = play->codec;
    config.send_hz = 60;
    config.client_bytes_per_s = 10000000;
    config.check_interval_ms = 1000;
    TEST_OK(necpnet_world_create(&config, &s->world));
    if (play->mixed_codecs) TEST_OK(necpnet_world_set_type_codec(s->world, 5, NECPNET_CODEC_THIN));
    necpnet_view_config view;
    TEST_OK(necpnet_view_config_default(&view));
    view.allocator = allocator;
    view.schema = s->schema;
    TEST_OK(necpnet_view_create(&view, &s->view));
    TEST_OK(nn_world_follow(s->world, PEER, play->ordered, &s->follower));
    if (play->own_tables) nn_follower_set_tables(s->follower, necpnet_schema_get_tables_hash(s->schema));
    for (int i = 0; i < 2; i++) {
        mixed one = {false, 120,     5000000000,      2, 20,        {0, 0}, {10, 0, 5}, {0, 0, 0, 1}, 1,
                     0,     "first", {1, 2, 3, 4, 5}, 3, {7, 8, 9}, {1, 2}};
        holder two = {{1, 2}, 30, 40, 0};
        TEST_OK(necpnet_world_spawn(s->world, 2, &one, &s->all[i]));
        TEST_OK(necpnet_world_spawn(s->world, 6, &two, &s->holders[i]));
    }
    TEST_OK(necpnet_world_set_owner(s->world, s->holders[0], PEER));
    for (int i = 0; i < BODIES; i++) {
        body one = {{(float)i, 0, 2}, {0, 0, 0, 1}, 0, false};
        TEST_OK(necpnet_world_spawn(s->world, 5, &one, &s->bodies[i]));
    }
    for (int i = 0; i < WALKERS; i++) {
        walker one = {{(float)i * 10, 0}, 0, 100};
        TEST_OK(necpnet_world_spawn(s->world, 40, &one, &s->walkers[i]));
    }
    s->turn[0] = s->way[0] = 1;
    s->tick = 100;
    s->now_us = 1000000;
}

static void stage_end(stage* s)
{
    nn_world_unfollow(s->world, s->follower);
    necpnet_view_destroy(s->view);
    necpnet_world_destroy(s->world);
    necpnet_schema_destroy(s->schema);
}

static void stage_send(stage* s)
{
    flight* f = &s->flights[0];
    while (f < s->flights + FLIGHT && f->used) f++;
    TEST_CHECK(f < s->flights + FLIGHT);
    nn_writer writer = nn_writer_of(f->data, sizeof f->data);
    if (!nn_follower_write(s->follower, &writer, s->scene->budget, &f->value, s->now_us)) return;
    f->number = ++s->frames;
    uint32_t number = f->number;
    f->bytes = nn_writer_bytes(&writer);
    f->used = true;
    f->lost = s->scene->loss && number % s->scene->loss == 2;
    f->arrives = s->step + (s->scene->loss && number % 5 == 0 ? 3 : 1); /* some are overtaken */
    f->settles = s->step + (f->lost ? 7 : s->scene->loss && number % 5 == 0 ? 5 : 3);
}

static void put_frame(const flight* f)
{
    nn_reader reader = nn_reader_of(f->data + 1, f->bytes - 1);
    (void)nn_read_varint(&reader);
    uint8_t flags = nn_read_u8(&reader);
    uint8_t more = flags & 128 ? nn_read_u8(&reader) : 0;
    if (more & 2) (void)nn_read_u8(&reader);
    put("state ");
    put_hex(f->data, f->bytes);
    put(" tick=%u,number=%u", (unsigned)nn_read_varint(&reader), (unsigned)f->number);
}

static void put_record(const necpnet_view* view, uint32_t place, const nn_track_state* state)
{
    static const char* const kinds[] = {"update", "state", "leave"};
    const nn_view_slot* slot = &view->slots[place];
    put(";%u:%s:%u", (unsigned)place, kinds[state->kind], (unsigned)slot->generation);
    if (state->kind == NN_TRACK_LEAVE) return;
    const uint32_t* row = slot->track.rows + (size_t)state->place * slot->track.row_words;
    put(":%u:%d:", (unsigned)slot->track.type, state->owner);
    for (uint32_t i = 0; i < slot->track.row_words; i++) put("%s%x", i ? "." : "", (unsigned)row[i]);
}

static void stage_arrive(stage* s, flight* f)
{
    nn_reader reader = nn_reader_of(f->data, f->bytes);
    TEST_EQUAL(nn_read_u8(&reader), NN_FRAME_STATE);
    necpnet_result result = nn_view_read(s->view, &reader, s->now_us);
    TEST_HINT("%s", nn_view_get_error(s->view));
    TEST_OK(result);
    put_frame(f);
    for (uint32_t place = 1; place < s->view->slot_capacity; place++) {
        const nn_track* track = &s->view->slots[place].track;
        for (uint32_t i = 0; i < track->count; i++) {
            if (track->states[i].number == f->number) put_record(s->view, place, &track->states[i]);
        }
    }
    put("\n");
    f->arrives = 0;
}

static void stage_step(stage* s)
{
    s->step++;
    s->now_us += 16667;
    turn_by(s->turn, 0.9992, 0.03999); /* a shade from 1: it drifts, and is made a unit quaternion by quantising */
    turn_by(s->way, 0.995, 0.0998);
    bool rests = s->step % 32 > 27; /* all stands for a moment */
    if (!rests) {
        for (int i = 0; i < 2; i++) move_mixed(s, i);
        move_bodies(s);
        move_others(s);
    }
    s->tick += 1 + (uint32_t)nn_random_below(&s->random, s->scene->gap);
    TEST_OK(necpnet_world_set_input(s->world, PEER, s->tick - 3));
    TEST_OK(necpnet_world_commit(s->world, s->tick));
    stage_send(s);
    for (int i = 0; i < FLIGHT; i++) { /* of those that arrive together, the one sent first */
        flight* f = NULL;
        for (int j = 0; j < FLIGHT; j++) {
            flight* one = &s->flights[j];
            if (!one->used || one->lost || !one->arrives || one->arrives > s->step) continue;
            if (!f || one->number < f->number) f = one;
        }
        if (!f) break;
        stage_arrive(s, f);
    }
    for (int i = 0; i < FLIGHT; i++) {
        flight* f = &s->flights[i];
        if (!f->used || f->settles > s->step) continue;
        f->used = false;
        if (s->scene->ordered) continue;
        if (f->lost) {
            nn_follower_lost(s->follower, f->value);
        } else {
            nn_follower_acked(s->follower, f->value);
        }
    }
}

/* ---- what clients write */

static uint8_t written[NN_STATE_BYTES_MAX];
static size_t written_bytes;

static void put_words(const nn_type_plan* plan, const uint32_t* row)
{
    for (uint32_t i = 0; i < plan->row_words; i++) put("%s%x", i ? "." : "", (unsigned)row[i]);
}

/* A write as a frame of its own. */
static necpnet_result take_write(void* user, uint32_t entity, uint32_t number, const void* data, size_t bytes)
{
    stage* s = (stage*)user;
    nn_writer writer = nn_writer_of(written, sizeof written);
    const nn_view_held* held = NULL;
    for (uint32_t i = 0; i < s->view->held_count; i++) {
        if (s->view->held[i].entity == entity) held = &s->view->held[i];
    }
    TEST_CHECK(held != NULL);
    nn_write_u8(&writer, NN_FRAME_WRITE);
    nn_write_varint(&writer, 4 + nn_varint_bytes(bytes) + bytes);
    nn_write_u32(&writer, entity);
    nn_write_varint(&writer, bytes);
    nn_write_bytes(&writer, data, bytes);
    TEST_CHECK(!writer.failed);
    written_bytes = nn_writer_bytes(&writer);
    put("write ");
    put_hex(written, written_bytes);
    put(" entity=%u,type=%u,sequence=%u,number=%u,base=%u", (unsigned)entity, (unsigned)held->type,
        (unsigned)held->lease, (unsigned)number, (unsigned)(held->mode ? 0 : held->base_tick));
    const nn_type_plan* plan = &s->schema->plans[held->type];
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        if ((field->field->flags & (NECPNET_FIELD_NOT_OWNER | NECPNET_FIELD_SERVER)) || held->changed[i] <= held->acked)
            continue;
        put(",%u:", (unsigned)field->field->id);
        for (unsigned k = 0; k < field->words; k++) put("%s%x", k ? "." : "", (unsigned)held->row[field->word + k]);
    }
    put("\n");
    return NECPNET_OK;
}

static void put_control(const uint8_t* data, size_t bytes)
{
    put("control ");
    put_hex(data, bytes);
    put(" ");
}

static necpnet_result take_word(void* user, const void* data, size_t bytes)
{
    static const char* const names[] = {"request", "release", "repair"};
    const uint8_t* word = (const uint8_t*)data;
    stage* s = (stage*)user;
    put_control(word, bytes);
    put("%s,entity=%u", names[word[1] - NN_STATE_REQUEST], (unsigned)nn_load_u32(word + 2));
    if (word[1] == NN_STATE_RELEASE) put(",sequence=%u", (unsigned)nn_load_u16(word + 6));
    put("\n");
    TEST_CHECK(nn_follower_take_control(s->follower, word + 1, bytes - 1));
    return NECPNET_OK;
}

/* The fields that an answer says are not as they were written. */
static void put_taken_back(const stage* s, uint32_t entity)
{
    const nn_type_plan* plan = &s->schema->plans[s->world->slots[entity & 0xffff].type];
    put(",back");
    for (uint32_t i = 0; i < s->follower->tell_count; i++) {
        const nn_tell* tell = &s->follower->tells[i];
        if (tell->entity != entity) continue;
        for (unsigned k = 0; k < plan->field_count; k++) {
            if (nn_field_writable(&plan->fields[k]) && tell->fields >> k & 1)
                put(".%u", (unsigned)plan->fields[k].field->id);
        }
    }
}

/* From the server: what it means is worked out from the message itself but for the state, which is the world's. */
static necpnet_result take_tell(void* user, const void* data, size_t bytes)
{
    static const char* const verdicts[] = {"accepted", "clamped", "refused", "conflict"};
    stage* s = (stage*)user;
    nn_reader reader = nn_reader_of(data, bytes);
    put_control((const uint8_t*)data, bytes);
    TEST_EQUAL(nn_read_u8(&reader), NN_CONTROL_STATE);
    uint8_t what = nn_read_u8(&reader);
    if (what == NN_STATE_LIST) {
        put("list,%u\n", (unsigned)nn_read_u8(&reader));
    } else {
        uint32_t entity = nn_read_u32(&reader);
        const nn_world_slot* slot = &s->world->slots[entity & 0xffff];
        bool state = false;
        if (what == NN_STATE_LEASE) {
            uint16_t sequence = nn_read_u16(&reader);
            state = nn_read_u8(&reader) != 0;
            put("lease,entity=%u,sequence=%u,has=%d", (unsigned)entity, (unsigned)sequence, state);
        } else if (what == NN_STATE_ANSWER) {
            unsigned number = (unsigned)nn_read_varint(&reader);
            uint8_t verdict = nn_read_u8(&reader);
            state = (verdict & 127) != 0;
            put("answer,entity=%u,number=%u,%s,tick=%u", (unsigned)entity, number, verdicts[verdict & 127],
                (unsigned)nn_read_varint(&reader));
        } else {
            put("denied,entity=%u", (unsigned)entity);
        }
        if (state) {
            uint32_t row[NN_ROW_WORDS_MAX];
            const nn_type_plan* plan = &s->schema->plans[slot->type];
            (void)nn_quantise(plan, slot->state, row);
            for (unsigned i = 0; i < plan->field_count; i++) {
                const nn_field_plan* field = &plan->fields[i];
                if (nn_field_visible(field, slot->owner == PEER)) continue;
                memcpy(row + field->word, plan->row_zeroes + field->word, field->words * sizeof *row);
            }
            if (what == NN_STATE_ANSWER) put_taken_back(s, entity);
            put(",%u:", (unsigned)slot->type);
            put_words(plan, row);
        }
        put("\n");
    }
    TEST_CHECK(nn_view_take_control(s->view, (const uint8_t*)data + 1, bytes - 1));
    return NECPNET_OK;
}

static bool judge(void* user, const necpnet_write* write, void* state)
{
    (void)user;
    if (write->type_id != 2) return true;
    mixed* after = (mixed*)state;
    if (after->health > 150) after->health = 150;
    return after->stance != 5;
}

static void turn(stage* s)
{
    uint8_t frame[1200];
    uint32_t value;
    necpnet_world_event told;
    s->now_us += 50000;
    TEST_OK(necpnet_world_commit(s->world, ++s->tick));
    nn_writer writer = nn_writer_of(frame, sizeof frame);
    if (nn_follower_write(s->follower, &writer, sizeof frame, &value, s->now_us)) {
        nn_reader reader = nn_reader_of(frame + 1, nn_writer_bytes(&writer) - 1);
        TEST_OK(nn_view_read(s->view, &reader, s->now_us));
    }
    while (necpnet_world_poll(s->world, &told)) {
        if (told.type == NECPNET_WORLD_AUTHORITY_REQUESTED && told.entity != s->bodies[0])
            TEST_OK(necpnet_world_set_owner(s->world, told.entity, told.peer));
        if (told.entity == s->bodies[0]) TEST_OK(necpnet_world_deny(s->world, told.peer, told.entity));
    }
    TEST_CHECK(nn_follower_tell(s->follower, take_tell, s));
    TEST_OK(necpnet_view_update(s->view, s->now_us));
}

static void send_write(stage* s, necpnet_entity entity, const void* state, size_t bytes, uint32_t base)
{
    written_bytes = 0;
    TEST_OK(necpnet_view_write(s->view, entity, state, bytes, base, NULL));
    TEST_CHECK(written_bytes > 0);
    nn_reader reader = nn_reader_of(written + 1, written_bytes - 1);
    TEST_OK(nn_follower_take_writes(s->follower, &reader, s->now_us));
}

static void say_writes(stage* s)
{
    static const scene plain = {"writes", NECPNET_CODEC_DEFAULT, true, false, false, 0, 1, 1150, 0};
    stage_begin(s, &plain);
    nn_view_out out = {take_write, take_word, s};
    nn_view_set_out(s->view, &out);
    s->world->config.validate = judge;
    TEST_OK(necpnet_world_set_authority(s->world, s->all[0], NECPNET_AUTHORITY_OWNER));
    TEST_OK(necpnet_world_set_authority(s->world, s->bodies[0], NECPNET_AUTHORITY_OWNER));
    TEST_OK(necpnet_world_set_authority(s->world, s->bodies[1], NECPNET_AUTHORITY_SHARED));
    TEST_OK(necpnet_world_set_authority(s->world, s->holders[0], NECPNET_AUTHORITY_OWNER));
    for (int i = 0; i < 3; i++) turn(s);
    TEST_OK(necpnet_view_request_authority(s->view, s->all[0]));
    TEST_OK(necpnet_view_request_authority(s->view, s->bodies[0]));
    for (int i = 0; i < 2; i++) turn(s);
    mixed m;
    holder h = {{2, -3}, 77, 0, s->bodies[2]};
    TEST_OK(necpnet_view_get(s->view, s->all[0], &m, sizeof m));
    for (unsigned i = 0; i < 8; i++) {
        m.position[0] += 5;
        if (i == 1) m.health = 7;
        if (i == 2) snprintf(m.name, sizeof m.name, "written");
        if (i == 3) m.slots_used = 5;
        if (i == 3) m.slots[4] = 899;
        if (i == 4) m.health = 199; /* is clamped */
        if (i == 5) m.rotation[0] = 0.5f;
        if (i == 6) m.stance = 5; /* is refused */
        if (i == 7) m.money = -999999999999;
        send_write(s, s->all[0], &m, sizeof m, 0);
        nn_view_written(s->view, s->all[0], s->view->write_number - i % 2); /* some have arrived */
        if (i % 3 == 2) turn(s);
    }
    send_write(s, s->holders[0], &h, sizeof h, 0);
    turn(s);
    body b = {{4, 5, 6}, {0, 0.6f, 0, 0.8f}, s->bodies[0], true};
    uint32_t tick = 0;
    body latest;
    TEST_OK(necpnet_view_get_latest(s->view, s->bodies[1], &latest, sizeof latest, &tick));
    send_write(s, s->bodies[1], &b, sizeof b, tick);
    turn(s);
    b.flag = false;
    send_write(s, s->bodies[1], &b, sizeof b, 1); /* of long ago, but nobody else has written since */
    ((body*)necpnet_world_get(s->world, s->bodies[1]))->flag = true;
    TEST_OK(necpnet_world_mark(s->world, s->bodies[1]));
    turn(s);
    b.position[0] = 9;
    send_write(s, s->bodies[1], &b, sizeof b, 1);
    turn(s);
    TEST_OK(necpnet_view_release_authority(s->view, s->all[0]));
    turn(s);
    stage_end(s);
}

static const scene scenes[] = {
    {"datagrams", NECPNET_CODEC_DEFAULT, false, false, false, 7, 1, 1150, 44},
    {"thin", NECPNET_CODEC_THIN, false, false, false, 7, 2, 1150, 36},
    {"ordered", NECPNET_CODEC_DEFAULT, true, false, false, 0, 3, 1150, 30},
    {"small", NECPNET_CODEC_DEFAULT, false, false, false, 9, 1, 150, 44},
    {"types", NECPNET_CODEC_DEFAULT, false, false, true, 6, 1, 1150, 28},
    {"tables", NECPNET_CODEC_DEFAULT, false, true, false, 0, 1, 1150, 20},
};

TEST(test_state_bytes_are_those_of_the_vectors)
{
    static stage the_stage;
    made = (char*)malloc(made_max);
    char* stored = (char*)malloc(made_max);
    TEST_CHECK(made && stored);
    made_length = 0;
    size_t blob_bytes;
    const uint8_t* blobs[2];
    for (int i = 0; i < 2; i++) {
        blobs[i] = i ? own_blob(&blob_bytes) : nn_tables_blob(&blob_bytes);
        static nn_tables tables;
        TEST_CHECK(nn_tables_load(&tables, blobs[i], blob_bytes));
        put("tables ");
        put_hex(blobs[i], blob_bytes);
        put(" hash=%016llx\n", (unsigned long long)tables.hash);
    }
    for (size_t i = 0; i < NN_COUNT(scenes); i++) {
        stage_begin(&the_stage, &scenes[i]);
        if (i == 0) {
            static uint8_t described[4096];
            nn_writer writer = nn_writer_of(described, sizeof described);
            nn_schema_describe(the_stage.schema, &writer);
            TEST_CHECK(!writer.failed);
            put("schema ");
            put_hex(described, nn_writer_bytes(&writer));
            put(" hash=%016llx\n", (unsigned long long)necpnet_schema_get_hash(the_stage.schema));
        }
        put("begin %s\n", scenes[i].name);
        for (unsigned step = 0; step < scenes[i].steps; step++) stage_step(&the_stage);
        TEST_EQUAL(the_stage.view->statistics.mismatches, 0);
        TEST_GREATER(the_stage.frames, scenes[i].steps / 2);
        stage_end(&the_stage);
    }
    say_writes(&the_stage);
    if (getenv("NECPNET_WRITE_VECTORS")) {
        FILE* file = fopen(VECTORS, "wb");
        TEST_CHECK(file != NULL);
        TEST_EQUAL(fwrite(made, 1, made_length, file), made_length);
        TEST_EQUAL(fclose(file), 0);
    }
    FILE* file = fopen(VECTORS, "rb");
    TEST_CHECK(file != NULL);
    size_t length = fread(stored, 1, made_max, file);
    fclose(file);
    TEST_HINT("a change of the codec breaks every peer that is out there; if it is meant, move the version");
    TEST_EQUAL(length, made_length);
    bool equal = !memcmp(made, stored, length);
    free(made);
    free(stored);
    TEST_CHECK(equal);
}

TEST_MAIN
