/* server_store - the contract of the store, kept by every backend alike: the same tests run over memory and SQLite (and over
 * whatever is added to backends below). Jobs of another thread and answers on a loop are real; SQLite writes to a file of its own
 * below /tmp. That writes outlive a killed process is shown with a real kill in tests/e2e/server_store.test.mjs.
 */
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "store/store.h"

typedef struct bench {
    store* records;
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

static void bench_begin(bench* at, int backend)
{
    char what[256];
    log_begin(NECPNET_LOG_OFF, true, 2);
    memset(at, 0, sizeof(*at));
    TEST_HINT("backend %s", backends[backend]);
    snprintf(at->file, sizeof(at->file), "/tmp/necpnet-store-%d-%d.db", (int)getpid(), backend);
    snprintf(at->url, sizeof(at->url), backend == 0 ? "memory:" : "sqlite:%s", at->file);
    unlink(at->file);
    TEST_OK(store_open(at->url, true, &at->records, what, sizeof(what)));
}

static void bench_end(bench* at)
{
    static const char* const tails[] = {"", "-wal", "-shm"};
    char name[80];
    store_close(at->records);
    for (size_t i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "%s%s", at->file, tails[i]);
        unlink(name);
    }
}

#define EACH_BACKEND(at) \
    for (int backend = 0; backend < BACKENDS; backend++) \
        for (bool open_ = (bench_begin(at, backend), true); open_; open_ = (bench_end(at), false))

static desk_result put(bench* at, const char* collection, const char* id, const char* body, uint64_t expected,
                       const char* subject)
{
    store_write write = {
        .expected = expected,
        .record = {
            .collection = collection, .id = id, .subjects = {subject}, .body = body, .body_bytes = strlen(body)}};
    return store_write_all(at->records, &write, 1, NULL);
}

/* The body of a record, copied; "" with another result. */
static desk_result get(bench* at, const char* collection, const char* id, char body[64], uint64_t* version)
{
    store_answer answer;
    store_query query = {.kind = STORE_GET, .collection = collection, .id = id};
    desk_result result = store_ask(at->records, &query, &answer);
    body[0] = 0;
    if (result == DESK_OK) {
        TEST_EQUAL(answer.count, 1);
        TEST_EQUAL_STRING(answer.records[0].id, id);
        snprintf(body, 64, "%s", (const char*)answer.records[0].body);
        if (version) *version = answer.records[0].version;
    }
    store_answer_end(&answer);
    return result;
}

/* Ids of a list, with blanks between. */
static const char* list(bench* at, const store_query* query, char ids[256])
{
    store_answer answer;
    TEST_EQUAL(store_ask(at->records, query, &answer), DESK_OK);
    ids[0] = 0;
    for (uint32_t i = 0; i < answer.count; i++) {
        size_t bytes = strlen(ids);
        snprintf(ids + bytes, 256 - bytes, "%s%s", i ? " " : "", answer.records[i].id);
    }
    store_answer_end(&answer);
    return ids;
}

TEST(test_store_gives_back_what_was_put_with_its_version)
{
    bench at;
    char body[64];
    uint64_t version = 0;
    EACH_BACKEND(&at)
    {
        TEST_EQUAL(store_lasts(at.records), strcmp(at.url, "memory:") != 0);
        TEST_EQUAL(get(&at, "things", "a", body, NULL), DESK_NOT_FOUND);
        TEST_EQUAL(put(&at, "things", "a", "one", STORE_ABSENT, "ada"), DESK_OK);
        TEST_EQUAL(get(&at, "things", "a", body, &version), DESK_OK);
        TEST_EQUAL_STRING(body, "one");
        TEST_EQUAL(version, 1);
        TEST_EQUAL(put(&at, "things", "a", "two", STORE_ABSENT, "ada"), DESK_CONFLICT);
        TEST_EQUAL(put(&at, "things", "a", "two", 1, "ada"), DESK_OK);
        TEST_EQUAL(put(&at, "things", "a", "three", 1, "ada"), DESK_CONFLICT);
        TEST_EQUAL(put(&at, "things", "a", "three", STORE_ANY, "ada"), DESK_OK);
        TEST_EQUAL(get(&at, "things", "a", body, &version), DESK_OK);
        TEST_EQUAL_STRING(body, "three");
        TEST_EQUAL(version, 3);
        TEST_EQUAL(get(&at, "others", "a", body, NULL), DESK_NOT_FOUND);
    }
}

TEST(test_store_keeps_bytes_of_every_value_and_empty_bodies)
{
    bench at;
    uint8_t bytes[256];
    for (int i = 0; i < 256; i++) bytes[i] = (uint8_t)i;
    EACH_BACKEND(&at)
    {
        store_answer answer;
        store_write writes[2] = {
            {.record = {.collection = "blobs", .id = "all", .body = bytes, .body_bytes = sizeof(bytes)}},
            {.record = {.collection = "blobs", .id = "none", .body = NULL, .body_bytes = 0}}};
        TEST_EQUAL(store_write_all(at.records, writes, 2, NULL), DESK_OK);
        store_query query = {.kind = STORE_LIST, .collection = "blobs", .limit = 10};
        TEST_EQUAL(store_ask(at.records, &query, &answer), DESK_OK);
        TEST_EQUAL(answer.count, 2);
        TEST_EQUAL(answer.records[0].body_bytes, sizeof(bytes));
        TEST_EQUAL_BYTES(answer.records[0].body, bytes, sizeof(bytes));
        TEST_EQUAL(answer.records[1].body_bytes, 0);
        store_answer_end(&answer);
    }
}

TEST(test_store_does_all_writes_of_a_job_or_none)
{
    bench at;
    char body[64];
    EACH_BACKEND(&at)
    {
        TEST_EQUAL(put(&at, "things", "b", "old", STORE_ABSENT, NULL), DESK_OK);
        store_write writes[3] = {
            {.expected = STORE_ABSENT, .record = {.collection = "things", .id = "a", .body = "x", .body_bytes = 1}},
            {.expected = STORE_ANY, .remove = true, .record = {.collection = "things", .id = "b"}},
            {.expected = 7, .record = {.collection = "things", .id = "c", .body = "x", .body_bytes = 1}}};
        TEST_EQUAL(store_write_all(at.records, writes, 3, NULL), DESK_CONFLICT);
        TEST_EQUAL(get(&at, "things", "a", body, NULL), DESK_NOT_FOUND);
        TEST_EQUAL(get(&at, "things", "b", body, NULL), DESK_OK);
        TEST_EQUAL_STRING(body, "old");
        writes[2].expected = STORE_ABSENT;
        TEST_EQUAL(store_write_all(at.records, writes, 3, NULL), DESK_OK);
        TEST_EQUAL(get(&at, "things", "b", body, NULL), DESK_NOT_FOUND);
        TEST_EQUAL(get(&at, "things", "c", body, NULL), DESK_OK);
        TEST_EQUAL(store_write_all(at.records, &writes[1], 1, NULL), DESK_NOT_FOUND);
    }
}

TEST(test_store_lists_in_the_order_of_ids_page_by_page_and_backwards)
{
    bench at;
    char ids[256];
    EACH_BACKEND(&at)
    {
        static const char* const names[] = {"b", "a", "B", "\xc3\xa9", "a1", "z"};
        for (int i = 0; i < 6; i++)
            TEST_EQUAL(put(&at, "things", names[i], "", STORE_ANY, i % 2 ? "ada" : "bob"), DESK_OK);
        TEST_EQUAL(put(&at, "things2", "a", "", STORE_ANY, "ada"), DESK_OK);
        store_query query = {.kind = STORE_LIST, .collection = "things", .limit = 4};
        TEST_EQUAL_STRING(list(&at, &query, ids), "B a a1 b");
        query.after = "b";
        TEST_EQUAL_STRING(list(&at, &query, ids), "z \xc3\xa9");
        query.after = "\xc3\xa9";
        TEST_EQUAL_STRING(list(&at, &query, ids), "");
        query.after = NULL;
        query.newest_first = true;
        TEST_EQUAL_STRING(list(&at, &query, ids), "\xc3\xa9 z b a1");
        query.after = "a1";
        TEST_EQUAL_STRING(list(&at, &query, ids), "a B");
        query.after = NULL;
        query.subject = "ada";
        TEST_EQUAL_STRING(list(&at, &query, ids), "\xc3\xa9 z a");
        query.newest_first = false;
        query.limit = 2;
        TEST_EQUAL_STRING(list(&at, &query, ids), "a z");
        store_query naming = {.kind = STORE_NAMING, .subject = "ada", .limit = 3};
        TEST_EQUAL_STRING(list(&at, &naming, ids), "a z \xc3\xa9");
        naming.after = "things/z";
        TEST_EQUAL_STRING(list(&at, &naming, ids), "\xc3\xa9 a");
    }
}

TEST(test_store_forgets_what_has_expired)
{
    bench at;
    char body[64];
    char ids[256];
    EACH_BACKEND(&at)
    {
        uint64_t now_us = necpnet_wall_time_us();
        store_write writes[2] = {
            {.expected = STORE_ANY,
             .record = {.collection = "t", .id = "old", .body = "x", .body_bytes = 1, .expires_us = now_us - 1}},
            {.expected = STORE_ANY,
             .record = {
                 .collection = "t", .id = "new", .body = "x", .body_bytes = 1, .expires_us = now_us + 3600000000u}}};
        TEST_EQUAL(store_write_all(at.records, writes, 2, NULL), DESK_OK);
        TEST_EQUAL(get(&at, "t", "old", body, NULL), DESK_NOT_FOUND);
        store_query query = {.kind = STORE_LIST, .collection = "t", .limit = 9};
        TEST_EQUAL_STRING(list(&at, &query, ids), "new");
        TEST_EQUAL(put(&at, "t", "old", "again", STORE_ABSENT, NULL), DESK_OK); /* nothing is there */
        TEST_EQUAL(store_write_all(at.records, &writes[0], 1, NULL), DESK_OK);
        store_answer answer;
        store_query expire = {.kind = STORE_EXPIRE};
        TEST_EQUAL(store_ask(at.records, &expire, &answer), DESK_OK);
        TEST_EQUAL(answer.count, 1);
        store_answer_end(&answer);
    }
}

/* How often a text stands in a file; 0 where there is none. */
static int occurrences(const char* name, const char* wanted)
{
    FILE* file = fopen(name, "rb");
    char* bytes = calloc(1, 1 << 22);
    TEST_CHECK(bytes != NULL);
    size_t count = file ? fread(bytes, 1, 1 << 22, file) : 0;
    int found = 0;
    size_t length = strlen(wanted);
    for (size_t i = 0; i + length <= count; i++) found += memcmp(bytes + i, wanted, length) == 0;
    if (file) fclose(file);
    free(bytes);
    return found;
}

TEST(test_store_erases_all_that_names_a_subject_from_its_files_too)
{
    static const char subject[] = "player-4711-to-be-erased";
    bench at;
    char ids[256];
    char id[64];
    char body[128];
    EACH_BACKEND(&at)
    {
        char wal[80];
        snprintf(wal, sizeof(wal), "%s-wal", at.file);
        for (int i = 0; i < 200; i++) { /* across pages; some change, so that the log has old versions, too */
            snprintf(id, sizeof(id), "%s:%d", subject, i);
            snprintf(body, sizeof(body), "{\"player\":\"%s\",\"n\":%d}", subject, i);
            TEST_EQUAL(put(&at, "things", id, body, STORE_ANY, subject), DESK_OK);
            if (i % 3 == 0) TEST_EQUAL(put(&at, "things", id, body, STORE_ANY, subject), DESK_OK);
            if (i % 10 == 0) TEST_EQUAL(put(&at, "others", id + 20, "kept", STORE_ANY, "bob"), DESK_OK);
        }
        store_write both = {
            .expected = STORE_ANY,
            .record = {.collection = "friends", .id = "x", .subjects = {"bob", subject}, .body = "", .body_bytes = 0}};
        TEST_EQUAL(store_write_all(at.records, &both, 1, NULL), DESK_OK);
        if (backend > 0) TEST_GREATER(occurrences(at.file, subject) + occurrences(wal, subject), 100);
        store_answer answer;
        store_query erase = {.kind = STORE_ERASE, .subject = subject};
        TEST_EQUAL(store_ask(at.records, &erase, &answer), DESK_OK);
        TEST_EQUAL(answer.count, 201);
        store_answer_end(&answer);
        TEST_EQUAL(occurrences(at.file, subject), 0);
        TEST_EQUAL(occurrences(wal, subject), 0);
        store_query query = {.kind = STORE_NAMING, .subject = subject, .limit = 9};
        TEST_EQUAL_STRING(list(&at, &query, ids), "");
        query.subject = "bob";
        query.limit = STORE_LIST_MAX;
        TEST_EQUAL(store_ask(at.records, &query, &answer), DESK_OK);
        TEST_EQUAL(answer.count, 20);
        store_answer_end(&answer);
    }
}

TEST(test_store_refuses_jobs_that_are_wrong)
{
    bench at;
    char body[64];
    char longest[STORE_ID_BYTES_MAX + 2];
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = 0;
    EACH_BACKEND(&at)
    {
        TEST_EQUAL(put(&at, "", "a", "", STORE_ANY, NULL), DESK_INVALID);
        TEST_EQUAL(put(&at, "a b", "a", "", STORE_ANY, NULL), DESK_INVALID);
        TEST_EQUAL(put(&at, "things", "", "", STORE_ANY, NULL), DESK_INVALID);
        TEST_EQUAL(put(&at, "things", longest, "", STORE_ANY, NULL), DESK_INVALID);
        TEST_EQUAL(put(&at, "things", longest + 1, "", STORE_ANY, NULL), DESK_OK);
        TEST_EQUAL(put(&at, "things", "\xff", "", STORE_ANY, NULL), DESK_INVALID);
        TEST_EQUAL(put(&at, "things", "a", "", STORE_ANY, longest), DESK_INVALID);
        TEST_EQUAL(get(&at, "things; DROP TABLE records", "a", body, NULL), DESK_INVALID);
        TEST_EQUAL(put(&at, "things", "'; DROP TABLE records; --", "x", STORE_ANY, "' OR 1=1"), DESK_OK);
        TEST_EQUAL(get(&at, "things", "'; DROP TABLE records; --", body, NULL), DESK_OK);
        store_answer answer;
        store_query query = {.kind = STORE_LIST, .collection = "things", .limit = STORE_LIST_MAX + 1};
        TEST_EQUAL(store_ask(at.records, &query, &answer), DESK_INVALID);
        TEST_EQUAL(store_write_all(at.records, NULL, 0, NULL), DESK_INVALID);
    }
}

static void count_answer(const store_answer* answer, void* user)
{
    int* counts = user;
    counts[answer->result]++;
}

TEST(test_store_tells_loops_in_order_and_refuses_what_it_has_no_place_for)
{
    bench at;
    EACH_BACKEND(&at)
    {
        necpnet_loop* loop = NULL;
        int counts[8] = {0};
        int queued = 0;
        TEST_OK(necpnet_loop_create(NULL, NECPNET_LOOP_BEST, &loop));
        store_query query = {.kind = STORE_PING};
        for (int i = 0; i < 20000; i++) {
            desk_result result = store_post(at.records, &query, loop, count_answer, counts);
            TEST_CHECK(result == DESK_OK || result == DESK_BUSY);
            queued += result == DESK_OK;
        }
        for (int i = 0; i < 100000 && counts[DESK_OK] < queued; i++) TEST_OK(necpnet_loop_step(loop, 1000));
        TEST_EQUAL(counts[DESK_OK], queued);
        store_stop(at.records);
        TEST_EQUAL(store_post(at.records, &query, loop, count_answer, counts), DESK_DOWN);
        TEST_OK(necpnet_loop_step(loop, 0));
        necpnet_loop_destroy(loop);
    }
}

#if SERVER_WITH_SQLITE
TEST(test_sqlite_has_what_was_written_after_it_is_opened_again)
{
    bench at;
    char body[64];
    char what[256];
    char said[512];
    text out;
    bench_begin(&at, 1);
    TEST_EQUAL(put(&at, "things", "a", "kept", STORE_ANY, "ada"), DESK_OK);
    store_close(at.records);
    TEST_OK(store_open(at.url, true, &at.records, what, sizeof(what)));
    TEST_EQUAL(get(&at, "things", "a", body, NULL), DESK_OK);
    TEST_EQUAL_STRING(body, "kept");
    text_begin(&out, said, sizeof(said));
    TEST_CHECK(store_migrations(at.records, &out));
    TEST_CHECK(strstr(said, "1 records") && strstr(said, "applied") && !strstr(said, "pending"));
    bench_end(&at);
}

TEST(test_sqlite_refuses_files_that_are_no_database_and_places_that_cannot_be_written)
{
    char what[256] = "";
    store* records = NULL;
    char name[64];
    char url[80];
    snprintf(name, sizeof(name), "/tmp/necpnet-store-%d-text", (int)getpid());
    FILE* file = fopen(name, "wb");
    TEST_CHECK(file != NULL);
    for (int i = 0; i < 200; i++) fputs("this is no database\n", file);
    fclose(file);
    snprintf(url, sizeof(url), "sqlite:%s", name);
    log_begin(NECPNET_LOG_OFF, true, 2);
    TEST_EQUAL(store_open(url, true, &records, what, sizeof(what)), NECPNET_ERR_IO);
    TEST_CHECK(what[0] != 0);
    unlink(name);
    TEST_EQUAL(store_open("sqlite:/nowhere/at/all.db", true, &records, what, sizeof(what)), NECPNET_ERR_IO);
    TEST_EQUAL(store_open("postgres://x", true, &records, what, sizeof(what)), NECPNET_ERR_UNSUPPORTED);
}
#endif

TEST_MAIN
