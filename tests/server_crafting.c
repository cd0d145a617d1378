/* server_crafting - crafting sessions on a clock of the test's own: progress, queues, changes, the store before and after a restart;
 * packets against the client's reader (examples/crafting.h), which shares no line with the writer. Memory and SQLite alike. Threads
 * appear in one test alone, which changes the same sessions from several.
 */
#include "test.h"

#include <pthread.h>
#include <unistd.h>

#include "../examples/crafting.h"
#include "crafting.h"
#include "crafting_packet.h"
#include "log.h"

typedef struct bench {
    store* records;
    crafting* all;
    uint64_t now_us;
    uint32_t slots;
    char file[64];
    char url[80];
} bench;

static const char* const backends[] = {
    "memory",
#if SERVER_WITH_SQLITE
    "sqlite",
#endif
};

#define BACKENDS (int)(sizeof(backends) / sizeof(backends[0]))
#define SECOND 1000000u

static uint64_t bench_now(void* user)
{
    return ((bench*)user)->now_us;
}

static void bench_open_crafting(bench* at)
{
    crafting_config wish = {.records = at->records,
                            .slots = at->slots,
                            .sessions_max = 200,
                            .issuer = "studio",
                            .keep_us = UINT64_C(3600) * SECOND,
                            .now_us = bench_now,
                            .user = at};
    TEST_OK(crafting_create(&wish, &at->all));
}

static void bench_begin(bench* at, int backend, uint32_t slots)
{
    char what[256];
    log_begin(NECPNET_LOG_OFF, true, 2);
    memset(at, 0, sizeof(*at));
    TEST_HINT("backend %s", backends[backend]);
    at->slots = slots;
    at->now_us = necpnet_wall_time_us();
    snprintf(at->file, sizeof(at->file), "/tmp/necpnet-crafting-%d-%d.db", (int)getpid(), backend);
    snprintf(at->url, sizeof(at->url), backend == 0 ? "memory:" : "sqlite:%s", at->file);
    unlink(at->file);
    TEST_OK(store_open(at->url, true, &at->records, what, sizeof(what)));
    bench_open_crafting(at);
}

static void bench_end(bench* at)
{
    static const char* const tails[] = {"", "-wal", "-shm"};
    char name[80];
    crafting_destroy(at->all);
    store_close(at->records);
    for (size_t i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "%s%s", at->file, tails[i]);
        unlink(name);
    }
}

/* The process is gone and comes back; what was only posted may be lost, as after a kill. */
static void bench_restart(bench* at)
{
    crafting_destroy(at->all);
    bench_open_crafting(at);
}

#define EACH_BACKEND(at, slots) \
    for (int backend = 0; backend < BACKENDS; backend++) \
        for (bool open_ = (bench_begin(at, backend, slots), true); open_; open_ = (bench_end(at), false))

static crafting_result begin(bench* at, const char* id, const char* player, uint32_t seconds, crafting_view* out)
{
    static const crafting_material materials[2] = {{"iron", 5, 0}, {"wood", 300, 2}};
    crafting_wish wish = {.id = id,
                          .player = player,
                          .recipe = "sword",
                          .quantity = 1,
                          .duration_ms = seconds * 1000u,
                          .speed = 1000,
                          .materials = materials,
                          .material_count = 2};
    return crafting_begin(at->all, &wish, out);
}

static crafting_view look(bench* at, const char* id)
{
    crafting_view view;
    TEST_CHECK(crafting_find(at->all, id, &view));
    return view;
}

static crafting_result set_status(bench* at, const char* id, crafting_status status)
{
    crafting_view view;
    crafting_change change = {.has_status = true, .status = status};
    return crafting_apply(at->all, id, &change, &view);
}

static void pass(bench* at, uint32_t seconds)
{
    at->now_us += (uint64_t)seconds * SECOND;
    (void)crafting_turn(at->all);
}

/* ---------------------------------------------------------------------------------------------------- ordinary -- */

TEST(test_crafting_progress_follows_from_time_and_speed)
{
    bench at;
    crafting_view view;
    EACH_BACKEND(&at, 1)
    {
        TEST_EQUAL(begin(&at, "a", "ada", 100, &view), CRAFTING_OK);
        TEST_EQUAL(view.course.status, CRAFTING_ACTIVE);
        TEST_EQUAL(view.ends_in_us, UINT64_C(100) * SECOND);
        pass(&at, 25);
        view = look(&at, "a");
        TEST_EQUAL(crafting_progress_ppm(&view.course, at.now_us), 250000);
        crafting_change faster = {.has_speed = true, .speed = 3000};
        TEST_EQUAL(crafting_apply(at.all, "a", &faster, &view), CRAFTING_OK);
        TEST_EQUAL(view.ends_in_us, UINT64_C(25) * SECOND);
        pass(&at, 10);
        view = look(&at, "a");
        TEST_EQUAL(crafting_progress_ppm(&view.course, at.now_us), 550000);
        TEST_EQUAL(set_status(&at, "a", CRAFTING_PAUSED), CRAFTING_OK);
        pass(&at, 1000);
        view = look(&at, "a");
        TEST_EQUAL(crafting_progress_ppm(&view.course, at.now_us), 550000);
        TEST_EQUAL(view.ends_in_us, CRAFTING_UNKNOWN);
        TEST_EQUAL(set_status(&at, "a", CRAFTING_ACTIVE), CRAFTING_OK);
        pass(&at, 15);
        view = look(&at, "a");
        TEST_EQUAL(view.course.status, CRAFTING_COMPLETED);
        TEST_EQUAL(view.ended_us, at.now_us);
        TEST_EQUAL(crafting_progress_ppm(&view.course, at.now_us), CRAFTING_WHOLE_PPM);
        TEST_EQUAL(set_status(&at, "a", CRAFTING_PAUSED), CRAFTING_ENDED);
        TEST_EQUAL(set_status(&at, "a", CRAFTING_COMPLETED), CRAFTING_OK);
    }
}

TEST(test_crafting_queue_tells_positions_and_times_and_goes_on_by_itself)
{
    bench at;
    crafting_view view;
    EACH_BACKEND(&at, 2)
    {
        TEST_EQUAL(begin(&at, "a", "ada", 100, &view), CRAFTING_OK);
        TEST_EQUAL(begin(&at, "b", "ada", 40, &view), CRAFTING_OK);
        TEST_EQUAL(begin(&at, "c", "ada", 10, &view), CRAFTING_OK);
        TEST_EQUAL(view.course.status, CRAFTING_QUEUED);
        TEST_EQUAL(begin(&at, "d", "ada", 70, &view), CRAFTING_OK);
        TEST_EQUAL(view.queue_position, 2);
        TEST_EQUAL(view.queue_length, 2);
        TEST_EQUAL(view.starts_in_us, UINT64_C(50) * SECOND); /* behind c, which is behind b */
        TEST_EQUAL(view.ends_in_us, UINT64_C(120) * SECOND);
        TEST_EQUAL(begin(&at, "x", "bob", 10, &view), CRAFTING_OK);
        TEST_EQUAL(view.queue_length, 0);                                  /* another player's */
        TEST_EQUAL(set_status(&at, "c", CRAFTING_PAUSED), CRAFTING_ENDED); /* it waits */
        pass(&at, 40);
        TEST_EQUAL(look(&at, "b").course.status, CRAFTING_COMPLETED);
        TEST_EQUAL(look(&at, "c").course.status, CRAFTING_ACTIVE);
        TEST_EQUAL(look(&at, "d").queue_position, 1);
        TEST_EQUAL(set_status(&at, "a", CRAFTING_CANCELLED), CRAFTING_OK);
        view = look(&at, "d");
        TEST_EQUAL(view.course.status, CRAFTING_ACTIVE); /* at once */
        /* Nobody looked for long: each began when the one before ended, not when it was looked at. */
        TEST_EQUAL(begin(&at, "e", "ada", 5, &view), CRAFTING_OK);
        at.now_us += UINT64_C(500) * SECOND;
        (void)crafting_turn(at.all);
        view = look(&at, "e");
        TEST_EQUAL(view.course.status, CRAFTING_COMPLETED);
        TEST_EQUAL(at.now_us - view.ended_us, UINT64_C(485) * SECOND);
    }
}

TEST(test_crafting_goes_on_through_a_restart)
{
    bench at;
    crafting_view view;
    EACH_BACKEND(&at, 1)
    {
        static const crafting_material iron = {"iron", 0, 4};
        const char* name = NULL;
        TEST_EQUAL(begin(&at, "a", "ada", 100, &view), CRAFTING_OK);
        TEST_EQUAL(begin(&at, "b", "ada", 100, &view), CRAFTING_OK);
        TEST_EQUAL(begin(&at, "c", "ada", 100, &view), CRAFTING_OK);
        TEST_EQUAL(begin(&at, "p", "bob \xc3\xb6", 100, &view), CRAFTING_OK);
        pass(&at, 10);
        TEST_EQUAL(set_status(&at, "p", CRAFTING_PAUSED), CRAFTING_OK);
        TEST_EQUAL(crafting_supply(at.all, "a", &iron, 1, &name, &view), CRAFTING_OK);
        at.now_us += UINT64_C(20) * SECOND;
        bench_restart(&at);
        view = look(&at, "a");
        TEST_EQUAL(crafting_progress_ppm(&view.course, at.now_us), 300000); /* 10 s before, 20 s while it was away */
        TEST_EQUAL(view.materials[0].available, 4);
        TEST_EQUAL(view.materials[1].required, 300);
        TEST_EQUAL(look(&at, "c").queue_position, 2);
        view = look(&at, "p");
        TEST_EQUAL(crafting_progress_ppm(&view.course, at.now_us), 100000);
        TEST_EQUAL_STRING(view.player, "bob \xc3\xb6");
        at.now_us += UINT64_C(150) * SECOND; /* a ends while the process is away, b is in its middle */
        bench_restart(&at);
        TEST_EQUAL(look(&at, "a").course.status, CRAFTING_COMPLETED);
        view = look(&at, "b");
        TEST_EQUAL(crafting_progress_ppm(&view.course, at.now_us), 800000);
        TEST_EQUAL(begin(&at, "a", "ada", 1, &view), CRAFTING_EXISTS);
    }
}

TEST(test_crafting_materials_are_kept_and_told_with_what_changed)
{
    static const crafting_material both[2] = {{"wood", 0, 2}, {"iron", 0, 9}};
    static const crafting_material unknown = {"gold", 0, 1};
    bench at;
    crafting_view view;
    crafting_news news;
    uint64_t lost;
    const char* name = NULL;
    EACH_BACKEND(&at, 1)
    {
        necpnet_loop* loop = NULL;
        TEST_OK(necpnet_loop_create(NULL, NECPNET_LOOP_BEST, &loop));
        int listener = crafting_listen(at.all, loop);
        TEST_EQUAL(begin(&at, "a", "ada", 100, &view), CRAFTING_OK);
        TEST_CHECK(crafting_read_news(at.all, listener, &news, &lost));
        TEST_EQUAL(news.what, CRAFTING_HAS_STARTED);
        TEST_CHECK(crafting_read_news(at.all, listener, &news, &lost));
        TEST_EQUAL(news.what, CRAFTING_HAS_A_QUEUE);
        TEST_EQUAL(crafting_supply(at.all, "a", both, 2, &name, &view), CRAFTING_OK);
        TEST_EQUAL(view.materials[0].available, 9);
        TEST_CHECK(crafting_read_news(at.all, listener, &news, &lost));
        TEST_EQUAL(news.what, CRAFTING_HAS_MATERIALS);
        TEST_EQUAL(news.changed, 1); /* wood was 2 already */
        TEST_EQUAL(crafting_supply(at.all, "a", both, 2, &name, &view), CRAFTING_OK);
        TEST_CHECK(!crafting_read_news(at.all, listener, &news, &lost)); /* nothing changed */
        TEST_EQUAL(crafting_supply(at.all, "a", &unknown, 1, &name, &view), CRAFTING_NO_MATERIAL);
        TEST_EQUAL_STRING(name, "gold");
        TEST_EQUAL(crafting_supply(at.all, "b", both, 2, &name, &view), CRAFTING_NOT_FOUND);
        for (int i = 0; i < CRAFTING_NEWS_MAX + 10; i++) {
            TEST_EQUAL(set_status(&at, "a", i % 2 ? CRAFTING_ACTIVE : CRAFTING_PAUSED), CRAFTING_OK);
            if (backend == 1 && i == 40) break; /* a commit to a file each is slow */
        }
        TEST_CHECK(crafting_read_news(at.all, listener, &news, &lost));
        TEST_CHECK(backend == 1 || lost > 0);
        crafting_stop_listening(at.all, listener);
        necpnet_loop_destroy(loop);
    }
}

/* ---------------------------------------------------------------------------------------------------- boundary -- */

TEST(test_crafting_has_owners_pages_limits_and_an_end)
{
    bench at;
    crafting_view view, views[10];
    bool more;
    EACH_BACKEND(&at, 1)
    {
        char id[16];
        TEST_EQUAL(begin(&at, "a", "ada", 1, &view), CRAFTING_OK);
        TEST_EQUAL(crafting_owner(at.all, "a", "ada", 0), CRAFTING_OWN);
        TEST_EQUAL(crafting_owner(at.all, "a", "#1", necpnet_token_client_id("studio", "ada")), CRAFTING_OWN);
        TEST_EQUAL(crafting_owner(at.all, "a", "bob", 7), CRAFTING_FOREIGN);
        TEST_EQUAL(crafting_owner(at.all, "z", "ada", 0), CRAFTING_MISSING);
        TEST_EQUAL(begin(&at, "a", "bob", 1, &view), CRAFTING_EXISTS);
        TEST_EQUAL(begin(&at, "a", "ada", 1, &view), CRAFTING_EXISTS);
        for (int i = 1; i < CRAFTING_OF_PLAYER_MAX; i++) {
            snprintf(id, sizeof(id), "a%d", i);
            TEST_EQUAL(begin(&at, id, "ada", 10, &view), CRAFTING_OK);
        }
        TEST_EQUAL(begin(&at, "", "ada", 10, &view), CRAFTING_LIMIT);
        TEST_EQUAL(begin(&at, "", "bob", 10, &view), CRAFTING_OK);
        TEST_EQUAL(strlen(view.id), 32);
        uint64_t after = 0;
        uint32_t seen = 0;
        do {
            uint32_t count = crafting_list(at.all, "ada", -1, after, views, 10, &more);
            for (uint32_t i = 0; i < count; i++) {
                TEST_CHECK(views[i].order > after);
                after = views[i].order;
            }
            seen += count;
        } while (more);
        TEST_EQUAL(seen, CRAFTING_OF_PLAYER_MAX);
        TEST_EQUAL(crafting_list(at.all, NULL, CRAFTING_ACTIVE, 0, views, 10, &more), 2);
        TEST_EQUAL(crafting_list(at.all, "nobody", -1, 0, views, 10, &more), 0);
        crafting_session* held = crafting_hold(at.all, "a1");
        crafting_course course;
        uint32_t version;
        TEST_CHECK(held && crafting_look(at.all, held, &course, &version));
        crafting_forget(at.all, "ada");
        TEST_CHECK(!crafting_look(at.all, held, &course, &version));
        crafting_release(at.all, held);
        TEST_CHECK(!crafting_find(at.all, "a2", &view));
        TEST_EQUAL(crafting_list(at.all, NULL, -1, 0, views, 10, &more), 1);
        /* What ended is forgotten when its time is over. */
        pass(&at, 20);
        TEST_EQUAL(look(&at, view.id).course.status, CRAFTING_COMPLETED);
        pass(&at, 3600);
        TEST_EQUAL(crafting_list(at.all, NULL, -1, 0, views, 10, &more), 0);
    }
}

TEST(test_crafting_the_longest_session_stays_exact)
{
    bench at;
    crafting_view view;
    crafting_wish wish = {.id = "long",
                          .player = "ada",
                          .recipe = "castle",
                          .quantity = CRAFTING_QUANTITY_MAX,
                          .duration_ms = CRAFTING_DURATION_MS_MAX,
                          .speed = CRAFTING_SPEED_MAX};
    bench_begin(&at, 0, 1);
    TEST_EQUAL(crafting_begin(at.all, &wish, &view), CRAFTING_OK);
    TEST_EQUAL(view.ends_in_us, UINT64_C(864000) * SECOND);
    pass(&at, 432000);
    view = look(&at, "long");
    TEST_EQUAL(crafting_progress_ppm(&view.course, at.now_us), 500000);
    at.now_us += UINT64_C(1) << 50; /* decades */
    (void)crafting_turn(at.all);
    TEST_EQUAL(crafting_find(at.all, "long", &view), false); /* complete, and its time is over */
    bench_end(&at);
}

/* ---------------------------------------------------------------------------------------------------- packets -- */

TEST(test_crafting_packets_are_read_as_they_were_meant)
{
    static crafting_track tracks[CRAFTING_TRACKS];
    uint8_t packet[CRAFTING_PACKET_BYTES_MAX];
    crafting_base base;
    uint64_t now_us = UINT64_C(1795287956331333), time_us = UINT64_C(0xfffffff0); /* its low bits wrap */
    memset(tracks, 0, sizeof(tracks));
    crafting_course course = {.version = 3,
                              .status = CRAFTING_ACTIVE,
                              .quantity = 7,
                              .speed = 1500,
                              .work_us = 1234567,
                              .duration_us = 60000000,
                              .at_us = now_us - 1000000};
    crafting_packet_header header = {.kind = CRAFTING_PROGRESS_WHOLE, .follow = 63, .sequence = 65535};
    size_t bytes = crafting_pack_whole(packet, &header, &course, now_us, time_us, &base);
    TEST_EQUAL(crafting_take(tracks, packet, bytes), 63);
    TEST_EQUAL(tracks[63].quantity, 7);
    TEST_EQUAL(tracks[63].duration_ms, 60000);
    TEST_EQUAL(tracks[63].work_ms, 2734);
    header.kind = CRAFTING_PROGRESS_DELTA;
    for (uint32_t i = 1; i <= 50; i++) {
        header.sequence++;
        now_us += 16667;
        time_us += 16667;
        bytes = crafting_pack_delta(packet, &header, &course, now_us, time_us, &base);
        TEST_CHECK(bytes <= 8);
        TEST_EQUAL(crafting_take(tracks, packet, bytes), 63);
        double told = crafting_predict(&tracks[63], time_us);
        double meant = (double)crafting_work_at(&course, now_us) / 60000000.0;
        TEST_CHECK(told - meant < 0.0001 && meant - told < 0.0001);
    }
    TEST_EQUAL(crafting_take(tracks, packet, bytes), -1); /* the same again */
    course.work_us += 2000000; /* the course was corrected, and the whole of it is still on its way */
    header.sequence++;
    bytes = crafting_pack_delta(packet, &header, &course, now_us, time_us, &base);
    TEST_EQUAL(crafting_take(tracks, packet, bytes), 63);
    TEST_EQUAL(tracks[63].off_ms, 2000);
    header.kind = CRAFTING_PROGRESS_WHOLE;
    header.sequence = 65000; /* older */
    bytes = crafting_pack_whole(packet, &header, &course, now_us, time_us, &base);
    TEST_EQUAL(crafting_take(tracks, packet, bytes), -1);
}

TEST(test_crafting_materials_take_the_bits_that_they_need)
{
    static crafting_track tracks[CRAFTING_TRACKS];
    uint8_t packet[CRAFTING_PACKET_BYTES_MAX];
    crafting_material materials[CRAFTING_MATERIALS_MAX];
    memset(tracks, 0, sizeof(tracks));
    memset(materials, 0, sizeof(materials));
    for (uint32_t count = 0; count <= CRAFTING_MATERIALS_MAX; count++) {
        crafting_packet_header header = {
            .kind = CRAFTING_MATERIALS_WHOLE, .follow = 5, .sequence = (uint16_t)(count * 2 + 1)};
        for (uint32_t i = 0; i < count; i++) {
            materials[i].required = (uint16_t)(i * 2114u);
            materials[i].available = (uint16_t)(65535u - i * 7u);
        }
        size_t bytes = crafting_pack_materials(packet, &header, materials, count, 0);
        TEST_CHECK(bytes <= CRAFTING_PACKET_BYTES_MAX);
        TEST_EQUAL(crafting_take(tracks, packet, bytes), 5);
        TEST_EQUAL(tracks[5].material_count, count);
        for (uint32_t i = 0; i < count; i++) TEST_EQUAL(tracks[5].required[i], materials[i].required);
        if (count == 0) continue;
        materials[count - 1].available = 3;
        header.kind = CRAFTING_MATERIALS_DELTA;
        header.sequence++;
        size_t small = crafting_pack_materials(packet, &header, materials, count, UINT32_C(1) << (count - 1));
        TEST_CHECK(small <= 3 + (11 + count + 2 + 7) / 8);
        TEST_EQUAL(crafting_take(tracks, packet, small), 5);
        for (uint32_t i = 0; i < count; i++) TEST_EQUAL(tracks[5].available[i], materials[i].available);
    }
}

TEST(test_crafting_hostile_packets_change_nothing)
{
    static crafting_track tracks[CRAFTING_TRACKS], before[CRAFTING_TRACKS];
    uint8_t packet[CRAFTING_PACKET_BYTES_MAX];
    uint32_t random = 1;
    memset(tracks, 0, sizeof(tracks));
    for (int round = 0; round < 20000; round++) {
        size_t bytes = (size_t)round % sizeof(packet);
        for (size_t i = 0; i < bytes; i++)
            packet[i] = (uint8_t)(random = random * 1664525u + 1013904223u, random >> 24);
        memcpy(before, tracks, sizeof(tracks));
        int changed = crafting_take(tracks, packet, bytes);
        if (changed < 0) TEST_CHECK(memcmp(before, tracks, sizeof(tracks)) == 0);
        for (int i = 0; i < CRAFTING_TRACKS; i++) {
            double shown = crafting_show(&tracks[i], random);
            TEST_CHECK(shown >= 0 && shown <= 1);
        }
    }
}

TEST(test_crafting_what_is_shown_never_steps_back_a_little)
{
    static crafting_track tracks[CRAFTING_TRACKS];
    crafting_track* track = &tracks[0];
    memset(tracks, 0, sizeof(tracks));
    track->known = true;
    track->status = CRAFTING_TRACK_ACTIVE;
    track->speed = 1000;
    track->duration_ms = 100000;
    double last = 0;
    for (uint64_t us = 0; us < 20000000; us += 16667) {
        track->off_ms = us % 500000 < 250000 ? 300 : -300; /* a network that cannot make up its mind */
        double shown = crafting_show(track, us);
        TEST_CHECK(shown >= last);
        last = shown;
    }
    TEST_CHECK(last > 0.19 && last < 0.21);
    track->off_ms = -8000; /* this is no noise: it was set back */
    TEST_CHECK(crafting_show(track, 20000000) < 0.15);
}

/* ------------------------------------------------------------------------------------------------------ threads -- */

static void* change_often(void* user)
{
    bench* at = user;
    for (int i = 0; i < 200; i++) {
        char id[16];
        snprintf(id, sizeof(id), "s%d", i % 5);
        crafting_result result = set_status(at, id, i % 3 ? CRAFTING_ACTIVE : CRAFTING_PAUSED);
        if (result != CRAFTING_OK && result != CRAFTING_ENDED) return at;
        (void)crafting_turn(at->all);
    }
    return NULL;
}

TEST(test_crafting_is_changed_by_many_threads_at_once)
{
    bench at;
    crafting_view view;
    pthread_t threads[4];
    bench_begin(&at, 0, 2);
    for (int i = 0; i < 5; i++) {
        char id[16];
        snprintf(id, sizeof(id), "s%d", i);
        TEST_EQUAL(begin(&at, id, i < 3 ? "ada" : "bob", 1000, &view), CRAFTING_OK);
    }
    for (int i = 0; i < 4; i++) TEST_EQUAL(pthread_create(&threads[i], NULL, change_often, &at), 0);
    for (int i = 0; i < 4; i++) {
        void* wrong = NULL;
        pthread_join(threads[i], &wrong);
        TEST_CHECK(!wrong);
    }
    crafting_view before = look(&at, "s1");
    bench_restart(&at);
    view = look(&at, "s1");
    TEST_EQUAL(view.course.version, before.course.version); /* store and memory agree */
    TEST_EQUAL(view.course.status, before.course.status);
    bench_end(&at);
}

TEST_MAIN
