/* test.h - the test driver: one header, one process a test file, nothing to link.
 *
 * A test file:
 *
 *     #include "test.h"
 *     #include "nn_bytes.h"
 *
 *     TEST(test_bytes_reads_what_was_written) {
 *         uint8_t storage[8];
 *         ...
 *         TEST_EQUAL(nn_bytes_left(&bytes), 0);
 *     }
 *
 *     TEST_MAIN
 *
 * Tests run in the order of the file. A name is a sentence that is true.
 *
 * Running:  test_bytes              all tests of the file
 *           test_bytes wrap         those whose name contains `wrap`
 *           test_bytes --list       their names
 *           test_bytes --seed 17    the seed of test_seed() and the first seed of TEST_EACH_SEED
 *           test_bytes --seeds 500  how many seeds TEST_EACH_SEED runs
 *           test_bytes --verbose    one line a test, with its time
 * The closing line is exactly `N passed, N failed`; the exit code is 0 when none failed.
 *
 * Checks. The first that fails ends its test (by longjmp, also from a called function) and prints file:line, both
 * values, and the hint that TEST_HINT set. On a thread other than the test's own a failed check is reported and the
 * thread goes on; the test then fails when it returns.
 *
 *     TEST_CHECK(condition)                   the condition holds
 *     TEST_EQUAL(actual, expected)            integers, enums, bools and characters of any width and sign
 *     TEST_NOT_EQUAL(actual, other)
 *     TEST_LESS(actual, limit)                actual < limit;  TEST_AT_MOST: actual <= limit
 *     TEST_GREATER(actual, limit)             actual > limit;  TEST_AT_LEAST: actual >= limit
 *     TEST_EQUAL_STRING(actual, expected)     NULL equals NULL alone
 *     TEST_EQUAL_BYTES(actual, expected, n)   prints the first difference and the bytes around it
 *     TEST_EQUAL_POINTER(actual, expected)
 *     TEST_NEAR(actual, expected, tolerance)  doubles
 *     TEST_OK(call)                           an int or enum result equals 0 (NECPNET_OK)
 *     TEST_FAIL(format, ...)                  always fails
 *     TEST_HINT(format, ...)                  what to look at when a later check of this test fails
 *     TEST_SKIP(format, ...)                  ends the test as passed, and says why it could not run here
 *
 * Memory. `struct necpnet_allocator allocator = test_allocator();` counts every block. A test fails when a block is
 * left at its end, released twice, released with another size than it was allocated with, or written beyond its end.
 * The report names a leaked block by its number: TEST_BREAK_ALLOCATION=12 in the environment traps when it is allocated.
 * test_allocation_count(), test_live_bytes() and test_live_bytes_peak() measure.
 *
 * Failing allocations in turn. The body runs once with the first allocation failing, once with the second, and so on
 * until a run in which none is left to fail; then again with the n-th and all later ones failing. After each run
 * nothing may be left allocated. The body must reach its end: no `break`, no `return`.
 *
 *     TEST_EACH_ALLOCATION_FAILS {
 *         struct thing* thing = NULL;
 *         int result = thing_create(&allocator, &thing);
 *         TEST_CHECK(result == OK || (result == ERR_OUT_OF_MEMORY && thing == NULL));
 *         if (test_allocation_failed()) { TEST_EQUAL(result, ERR_OUT_OF_MEMORY); }
 *         thing_destroy(thing);
 *     }
 *
 * Seeds. `TEST_EACH_SEED(seed, 200) { ... }` runs its body for 200 seeds (uint64_t seed); a failure prints the command
 * that replays it. struct test_random is a generator for test data: test_random_begin, test_random_next,
 * test_random_below, test_random_bytes.
 */
#ifndef TEST_H
#define TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "necpnet.h"

#define TEST_UNUSED __attribute__((unused))
#if defined(__MINGW32__) && !defined(__clang__)
#define TEST_PRINTF(at) __attribute__((format(gnu_printf, at, at + 1)))
#else
#define TEST_PRINTF(at) __attribute__((format(printf, at, at + 1)))
#endif

/* ---- registering --------------------------------------------------------------------------------------------- */

struct test_case {
    const char* name;
    const char* file;
    int line;
    void (*run)(void);
    struct test_case* next;
};

static struct {
    struct test_case* cases; /* in the order of lines */
    const struct test_case* current;
    const char* program;
    jmp_buf escape;
    uint64_t seed;        /* of the run, or of the round in TEST_EACH_SEED */
    uint64_t seed_first;  /* --seed, default 1 */
    uint64_t seeds_asked; /* --seeds, 0 when absent */
    uint64_t seeds_left;
    bool in_seeds;
    atomic_bool failed;
    atomic_bool skipped;
    bool verbose;
    void (*round_text)(void); /* says which allocation was made to fail */
    char hint[512];
} test_run_state;

static _Thread_local bool test_on_own_thread;

static inline void test_register(struct test_case* entry)
{
    struct test_case** at = &test_run_state.cases;
    while (*at && (*at)->line < entry->line) {
        at = &(*at)->next;
    }
    entry->next = *at;
    *at = entry;
}

#define TEST(test_name) \
    static void test_name(void); \
    __attribute__((constructor)) static void test_name##_register(void) \
    { \
        static struct test_case entry = {#test_name, __FILE__, __LINE__, test_name, NULL}; \
        test_register(&entry); \
    } \
    static void test_name(void)

/* ---- failing ------------------------------------------------------------------------------------------------- */

TEST_PRINTF(3) TEST_UNUSED static void test_failure(const char* file, int line, const char* format, ...)
{
    va_list arguments;
    bool first = !atomic_exchange(&test_run_state.failed, true);
    fflush(stdout);
    while (!strncmp(file, "../", 3)) file += 3; /* compilers run in build/<preset> */
    fprintf(stderr, "%s:%d: %s: ", file, line,
            test_run_state.current ? test_run_state.current->name : "outside a test");
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    if (first && test_run_state.hint[0]) {
        fprintf(stderr, "  hint: %s\n", test_run_state.hint);
    }
    if (first && test_run_state.round_text) test_run_state.round_text();
    if (first && test_run_state.current) {
        fprintf(stderr, "  again: %s %s", test_run_state.program, test_run_state.current->name);
        if (test_run_state.in_seeds) {
            fprintf(stderr, " --seed %llu --seeds 1", (unsigned long long)test_run_state.seed);
        }
        fputc('\n', stderr);
    }
    fflush(stderr);
}

TEST_UNUSED static void test_escape(void)
{
    if (test_on_own_thread) {
        longjmp(test_run_state.escape, 1);
    }
}

TEST_PRINTF(1) TEST_UNUSED static void test_hint(const char* format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(test_run_state.hint, sizeof test_run_state.hint, format, arguments);
    va_end(arguments);
}

TEST_PRINTF(1) TEST_UNUSED static void test_skip(const char* format, ...)
{
    va_list arguments;
    printf("%s skipped: ", test_run_state.current->name);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    atomic_store(&test_run_state.skipped, true);
    test_escape();
}

/* ---- integers of any kind ------------------------------------------------------------------------------------ */

struct test_integer {
    uint64_t magnitude;
    bool negative;
};

TEST_UNUSED static inline struct test_integer test_integer_signed(long long value)
{
    struct test_integer integer = {value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0};
    return integer;
}

TEST_UNUSED static inline struct test_integer test_integer_unsigned(unsigned long long value)
{
    struct test_integer integer = {value, false};
    return integer;
}

#define TEST_INTEGER(value) \
    _Generic((value), bool \
             : test_integer_unsigned, unsigned char \
             : test_integer_unsigned, unsigned short \
             : test_integer_unsigned, unsigned int \
             : test_integer_unsigned, unsigned long \
             : test_integer_unsigned, unsigned long long \
             : test_integer_unsigned, char \
             : test_integer_signed, signed char \
             : test_integer_signed, short \
             : test_integer_signed, int \
             : test_integer_signed, long \
             : test_integer_signed, long long \
             : test_integer_signed)(value)

TEST_UNUSED static int test_integer_order(struct test_integer a, struct test_integer b)
{
    if (a.negative != b.negative) {
        return a.negative ? -1 : 1;
    }
    int order = a.magnitude < b.magnitude ? -1 : a.magnitude > b.magnitude;
    return a.negative ? -order : order;
}

TEST_UNUSED static void test_check_integers(const char* file, int line, const char* text, struct test_integer actual,
                                            const char* relation, struct test_integer expected)
{
    int order = test_integer_order(actual, expected);
    bool holds = !strcmp(relation, "==")   ? order == 0
                 : !strcmp(relation, "!=") ? order != 0
                 : !strcmp(relation, "<")  ? order < 0
                 : !strcmp(relation, "<=") ? order <= 0
                 : !strcmp(relation, ">")  ? order > 0
                                           : order >= 0;
    if (holds) {
        return;
    }
    test_failure(file, line, "%s\n  actual   %s%llu (0x%llx)\n  expected %s %s%llu (0x%llx)", text,
                 actual.negative ? "-" : "", (unsigned long long)actual.magnitude, (unsigned long long)actual.magnitude,
                 relation, expected.negative ? "-" : "", (unsigned long long)expected.magnitude,
                 (unsigned long long)expected.magnitude);
    test_escape();
}

TEST_UNUSED static void test_check_result(const char* file, int line, const char* text, int result)
{
    if (result != 0) {
        test_failure(file, line, "%s\n  actual   %d\n  expected 0 (OK); NECPNET_RESULTS in necpnet.h has the numbers",
                     text, result);
        test_escape();
    }
}

TEST_UNUSED static void test_check_condition(const char* file, int line, const char* text, bool holds)
{
    if (!holds) {
        test_failure(file, line, "does not hold: %s", text);
        test_escape();
    }
}

TEST_UNUSED static void test_check_strings(const char* file, int line, const char* text, const char* actual,
                                           const char* expected)
{
    if (actual == expected || (actual && expected && !strcmp(actual, expected))) {
        return;
    }
    test_failure(file, line, "%s\n  actual   %s%s%s\n  expected %s%s%s", text, actual ? "\"" : "",
                 actual ? actual : "NULL", actual ? "\"" : "", expected ? "\"" : "", expected ? expected : "NULL",
                 expected ? "\"" : "");
    test_escape();
}

TEST_UNUSED static void test_check_bytes(const char* file, int line, const char* text, const void* actual,
                                         const void* expected, size_t bytes)
{
    const unsigned char* a = (const unsigned char*)actual;
    const unsigned char* b = (const unsigned char*)expected;
    size_t at = 0;
    while (at < bytes && a[at] == b[at]) {
        at++;
    }
    if (at == bytes) {
        return;
    }
    size_t from = at < 8 ? 0 : at - 8;
    size_t to = bytes - from < 24 ? bytes : from + 24;
    char lines[2][24 * 3 + 8] = {"", ""};
    for (int row = 0; row < 2; row++) {
        size_t used = 0;
        for (size_t i = from; i < to; i++) {
            used += (size_t)snprintf(lines[row] + used, sizeof lines[row] - used, i == at ? "[%02x" : "%02x",
                                     row ? b[i] : a[i]);
            used += (size_t)snprintf(lines[row] + used, sizeof lines[row] - used, i == at ? "] " : " ");
        }
    }
    test_failure(file, line, "%s: byte %llu of %llu differs\n  actual   %s\n  expected %s\n  (bytes %llu to %llu)",
                 text, (unsigned long long)at, (unsigned long long)bytes, lines[0], lines[1], (unsigned long long)from,
                 (unsigned long long)(to - 1));
    test_escape();
}

TEST_UNUSED static void test_check_pointers(const char* file, int line, const char* text, const void* actual,
                                            const void* expected)
{
    if (actual != expected) {
        test_failure(file, line, "%s\n  actual   %p\n  expected %p", text, actual, expected);
        test_escape();
    }
}

TEST_UNUSED static void test_check_near(const char* file, int line, const char* text, double actual, double expected,
                                        double tolerance)
{
    double distance = actual > expected ? actual - expected : expected - actual;
    if (!(distance <= tolerance)) {
        test_failure(file, line, "%s\n  actual   %.17g\n  expected %.17g within %g, is off by %g", text, actual,
                     expected, tolerance, distance);
        test_escape();
    }
}

#define TEST_CHECK(condition) test_check_condition(__FILE__, __LINE__, #condition, (condition) ? true : false)
#define TEST_RELATION(text, actual, relation, expected) \
    test_check_integers(__FILE__, __LINE__, text, TEST_INTEGER(actual), relation, TEST_INTEGER(expected))
#define TEST_EQUAL(actual, expected) TEST_RELATION(#actual " == " #expected, actual, "==", expected)
#define TEST_NOT_EQUAL(actual, other) TEST_RELATION(#actual " != " #other, actual, "!=", other)
#define TEST_LESS(actual, limit) TEST_RELATION(#actual " < " #limit, actual, "<", limit)
#define TEST_AT_MOST(actual, limit) TEST_RELATION(#actual " <= " #limit, actual, "<=", limit)
#define TEST_GREATER(actual, limit) TEST_RELATION(#actual " > " #limit, actual, ">", limit)
#define TEST_AT_LEAST(actual, limit) TEST_RELATION(#actual " >= " #limit, actual, ">=", limit)
#define TEST_OK(call) test_check_result(__FILE__, __LINE__, #call, (int)(call))
#define TEST_EQUAL_STRING(actual, expected) \
    test_check_strings(__FILE__, __LINE__, #actual " == " #expected, actual, expected)
#define TEST_EQUAL_BYTES(actual, expected, bytes) \
    test_check_bytes(__FILE__, __LINE__, #actual " == " #expected, actual, expected, bytes)
#define TEST_EQUAL_POINTER(actual, expected) \
    test_check_pointers(__FILE__, __LINE__, #actual " == " #expected, actual, expected)
#define TEST_NEAR(actual, expected, tolerance) \
    test_check_near(__FILE__, __LINE__, #actual " near " #expected, actual, expected, tolerance)
#define TEST_FAIL(...) (test_failure(__FILE__, __LINE__, __VA_ARGS__), test_escape())
#define TEST_HINT(...) test_hint(__VA_ARGS__)
#define TEST_SKIP(...) test_skip(__VA_ARGS__)

/* ---- the leak-checking allocator ----------------------------------------------------------------------------- */

#define TEST_BLOCK_MAGIC UINT64_C(0x6e6563706e657431)
#define TEST_BLOCK_GUARD 16

struct test_block {
    uint64_t magic;
    uint64_t number; /* of the allocation since the test began, from 1 */
    size_t bytes;
    struct test_block* previous;
    struct test_block* next;
    size_t unused; /* keeps the payload aligned to 16 */
};

static struct {
    atomic_flag lock;
    struct test_block* blocks;
    uint64_t count;     /* allocations asked for in this test */
    uint64_t fail_at;   /* the allocation of this round that fails, from 1; 0 for none */
    uint64_t round_at;  /* allocations asked for in this round */
    uint64_t failed_at; /* allocations that were made to fail in this round */
    bool fail_later;    /* all after fail_at fail too */
    uint64_t break_at;
    size_t live_bytes;
    size_t live_bytes_peak;
    struct test_block* round_blocks; /* newest block when the round began */
    size_t round_live;
} test_memory = {ATOMIC_FLAG_INIT, NULL, 0, 0, 0, 0, false, 0, 0, 0, NULL, 0};

TEST_UNUSED static void test_memory_lock(void)
{
    while (atomic_flag_test_and_set_explicit(&test_memory.lock, memory_order_acquire)) {
    }
}

TEST_UNUSED static void test_memory_unlock(void)
{
    atomic_flag_clear_explicit(&test_memory.lock, memory_order_release);
}

TEST_UNUSED static void* test_allocate(size_t bytes, void* user)
{
    (void)user;
    test_memory_lock();
    uint64_t number = ++test_memory.count;
    uint64_t in_round = ++test_memory.round_at;
    bool fails = test_memory.fail_at &&
                 (in_round == test_memory.fail_at || (test_memory.fail_later && in_round > test_memory.fail_at));
    if (fails) {
        test_memory.failed_at++;
    }
    test_memory_unlock();
    if (number == test_memory.break_at) {
        fprintf(stderr, "allocation %llu of %llu bytes: trap, as TEST_BREAK_ALLOCATION asks\n",
                (unsigned long long)number, (unsigned long long)bytes);
        __builtin_trap();
    }
    if (fails) {
        return NULL;
    }
    struct test_block* block = (struct test_block*)malloc(sizeof *block + bytes + TEST_BLOCK_GUARD);
    if (!block) {
        return NULL;
    }
    unsigned char* payload = (unsigned char*)(block + 1);
    memset(payload, 0xA5, bytes); /* so that reading what was never written shows */
    memset(payload + bytes, 0xFD, TEST_BLOCK_GUARD);
    block->magic = TEST_BLOCK_MAGIC;
    block->number = number;
    block->bytes = bytes;
    block->previous = NULL;
    block->unused = 0;
    test_memory_lock();
    block->next = test_memory.blocks;
    if (block->next) {
        block->next->previous = block;
    }
    test_memory.blocks = block;
    test_memory.live_bytes += bytes;
    if (test_memory.live_bytes > test_memory.live_bytes_peak) {
        test_memory.live_bytes_peak = test_memory.live_bytes;
    }
    test_memory_unlock();
    return payload;
}

/* Where to point for a fault of memory: the test that runs. */
TEST_UNUSED static const char* test_case_file(void)
{
    return test_run_state.current ? test_run_state.current->file : __FILE__;
}

TEST_UNUSED static int test_case_line(void)
{
    return test_run_state.current ? test_run_state.current->line : __LINE__;
}

TEST_UNUSED static void test_release(void* memory, size_t bytes, void* user)
{
    (void)user;
    if (!memory) {
        return;
    }
    struct test_block* block = (struct test_block*)memory - 1;
    if (block->magic != TEST_BLOCK_MAGIC) {
        test_failure(
            __FILE__, __LINE__,
            "release of %p with %llu bytes: not a live block of this allocator (released twice, or a pointer into "
            "the middle of a block)",
            memory, (unsigned long long)bytes);
        return;
    }
    if (block->bytes != bytes) {
        test_failure(test_case_file(), test_case_line(), "allocation %llu was of %llu bytes and is released with %llu",
                     (unsigned long long)block->number, (unsigned long long)block->bytes, (unsigned long long)bytes);
    }
    const unsigned char* guard = (const unsigned char*)memory + block->bytes;
    for (size_t i = 0; i < TEST_BLOCK_GUARD; i++) {
        if (guard[i] != 0xFD) {
            test_failure(test_case_file(), test_case_line(),
                         "allocation %llu of %llu bytes was written beyond its end (at offset %llu)",
                         (unsigned long long)block->number, (unsigned long long)block->bytes,
                         (unsigned long long)(block->bytes + i));
            break;
        }
    }
    test_memory_lock();
    if (block->previous) {
        block->previous->next = block->next;
    } else {
        test_memory.blocks = block->next;
    }
    if (block->next) {
        block->next->previous = block->previous;
    }
    test_memory.live_bytes -= block->bytes;
    test_memory_unlock();
    block->magic = 0;
    memset(memory, 0xDD, block->bytes); /* so that reading after release shows */
    free(block);
}

TEST_UNUSED static struct necpnet_allocator test_allocator(void)
{
    struct necpnet_allocator allocator;
    memset(&allocator, 0, sizeof allocator);
    allocator.allocate = test_allocate;
    allocator.release = test_release;
    return allocator;
}

TEST_UNUSED static uint64_t test_allocation_count(void)
{
    return test_memory.count;
}

TEST_UNUSED static size_t test_live_bytes(void)
{
    return test_memory.live_bytes;
}

TEST_UNUSED static size_t test_live_bytes_peak(void)
{
    return test_memory.live_bytes_peak;
}

/* Reports the blocks allocated after the first `allowed` live bytes; forgets and frees them. */
TEST_UNUSED static void test_memory_report_leaks(uint64_t after_number, const char* when)
{
    int shown = 0;
    uint64_t leaks = 0;
    size_t leaked_bytes = 0;
    struct test_block* block = test_memory.blocks;
    while (block) {
        struct test_block* next = block->next;
        if (block->number > after_number) {
            leaks++;
            leaked_bytes += block->bytes;
        }
        block = next;
    }
    if (!leaks) {
        return;
    }
    test_failure(test_case_file(), test_case_line(), "%llu blocks, %llu bytes are still allocated %s",
                 (unsigned long long)leaks, (unsigned long long)leaked_bytes, when);
    for (block = test_memory.blocks; block && shown < 8; block = block->next) {
        if (block->number > after_number) {
            fprintf(stderr, "  leaked   allocation %llu of %llu bytes; TEST_BREAK_ALLOCATION=%llu traps there\n",
                    (unsigned long long)block->number, (unsigned long long)block->bytes,
                    (unsigned long long)block->number);
            shown++;
        }
    }
}

TEST_UNUSED static void test_memory_forget(void)
{
    while (test_memory.blocks) {
        struct test_block* next = test_memory.blocks->next;
        test_memory.blocks->magic = 0;
        free(test_memory.blocks);
        test_memory.blocks = next;
    }
    test_memory.live_bytes = 0;
}

/* True when an allocation was made to fail in this round of TEST_EACH_ALLOCATION_FAILS. */
TEST_UNUSED static bool test_allocation_failed(void)
{
    return test_memory.failed_at > 0;
}

static uint64_t test_round_number;

TEST_UNUSED static void test_round_begin(void)
{
    test_round_number = test_memory.count;
    test_memory.round_at = 0;
    test_memory.failed_at = 0;
}

TEST_UNUSED static void test_round_text(void)
{
    fprintf(stderr, "  round    allocation %llu%s of the body fails\n", (unsigned long long)test_memory.fail_at,
            test_memory.fail_later ? " and every later one" : "");
}

TEST_UNUSED static bool test_fail_begin(void)
{
    test_run_state.round_text = test_round_text;
    test_memory.fail_at = 1;
    test_memory.fail_later = false;
    test_round_begin();
    return true;
}

TEST_UNUSED static bool test_fail_next(void)
{
    test_memory_report_leaks(test_round_number, "at the end of the round");
    if (atomic_load(&test_run_state.failed)) {
        test_escape();
    }
    if (test_memory.failed_at == 0) {
        if (test_memory.fail_later) {
            test_memory.fail_at = 0;
            test_run_state.round_text = NULL;
            return false;
        }
        test_memory.fail_later = true;
        test_memory.fail_at = 0;
    }
    test_memory.fail_at++;
    test_round_begin();
    return true;
}

#define TEST_EACH_ALLOCATION_FAILS \
    for (bool test_goes_on = test_fail_begin(); test_goes_on; test_goes_on = test_fail_next())

/* ---- seeds --------------------------------------------------------------------------------------------------- */

/* The seed of this run: --seed, else 1. Print nothing: a failure names it. */
TEST_UNUSED static uint64_t test_seed(void)
{
    test_run_state.in_seeds = true;
    return test_run_state.seed;
}

TEST_UNUSED static uint64_t test_seeds_begin(uint64_t count)
{
    test_run_state.in_seeds = true;
    test_run_state.seeds_left = test_run_state.seeds_asked ? test_run_state.seeds_asked : count;
    test_run_state.seed = test_run_state.seed_first;
    return test_run_state.seed;
}

TEST_UNUSED static uint64_t test_seeds_next(void)
{
    test_run_state.seeds_left--;
    if (test_run_state.seeds_left == 0) {
        test_run_state.in_seeds = false;
    }
    return ++test_run_state.seed;
}

#define TEST_EACH_SEED(seed, count) \
    for (uint64_t seed = test_seeds_begin(count); test_run_state.seeds_left; seed = test_seeds_next())

struct test_random {
    uint64_t state;
};

TEST_UNUSED static struct test_random test_random_begin(uint64_t seed)
{
    struct test_random random = {seed};
    return random;
}

/* splitmix64: Steele, Lea, Flood, Fast splittable pseudorandom number generators, OOPSLA 2014. */
TEST_UNUSED static uint64_t test_random_next(struct test_random* random)
{
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* 0 .. limit - 1; 0 when limit is 0. */
TEST_UNUSED static uint64_t test_random_below(struct test_random* random, uint64_t limit)
{
    return limit ? test_random_next(random) % limit : 0;
}

TEST_UNUSED static void test_random_bytes(struct test_random* random, void* memory, size_t bytes)
{
    unsigned char* out = (unsigned char*)memory;
    for (size_t i = 0; i < bytes; i++) {
        out[i] = (unsigned char)(test_random_next(random) >> 56);
    }
}

/* ---- running ------------------------------------------------------------------------------------------------- */

TEST_UNUSED static bool test_run_one(const struct test_case* entry)
{
    test_run_state.current = entry;
    test_run_state.hint[0] = 0;
    test_run_state.in_seeds = false;
    test_run_state.round_text = NULL;
    test_run_state.seed = test_run_state.seed_first;
    atomic_store(&test_run_state.failed, false);
    atomic_store(&test_run_state.skipped, false);
    test_memory.count = 0;
    test_memory.fail_at = 0;
    test_memory.fail_later = false;
    test_memory.live_bytes_peak = 0;
    test_round_begin();
    clock_t began = clock();
    if (setjmp(test_run_state.escape) == 0) {
        test_on_own_thread = true;
        entry->run();
        test_on_own_thread = false;
        test_run_state.hint[0] = 0;
        test_memory_report_leaks(0, "at the end of the test");
    }
    test_on_own_thread = false;
    bool passed = !atomic_load(&test_run_state.failed);
    test_memory_forget();
    if (test_run_state.verbose) {
        printf("%s %s (%.0f ms)\n", passed ? "ok    " : "FAILED", entry->name,
               (double)(clock() - began) * 1000.0 / CLOCKS_PER_SEC);
        fflush(stdout);
    }
    test_run_state.current = NULL;
    return passed;
}

TEST_UNUSED static int test_main(int argc, char** argv)
{
    const char* wanted = NULL;
    bool list = false;
    int passed = 0;
    int failed = 0;
    test_run_state.program = argc > 0 ? argv[0] : "test";
    test_run_state.seed_first = 1;
    const char* break_at = getenv("TEST_BREAK_ALLOCATION");
    test_memory.break_at = break_at ? strtoull(break_at, NULL, 10) : 0;
    for (int i = 1; i < argc; i++) {
        bool takes_number = !strcmp(argv[i], "--seed") || !strcmp(argv[i], "--seeds");
        if (!strcmp(argv[i], "--list")) {
            list = true;
        } else if (!strcmp(argv[i], "--verbose")) {
            test_run_state.verbose = true;
        } else if (takes_number && i + 1 < argc) {
            uint64_t number = strtoull(argv[i + 1], NULL, 0);
            if (!strcmp(argv[i], "--seed")) {
                test_run_state.seed_first = number;
            } else {
                test_run_state.seeds_asked = number;
            }
            i++;
        } else if (argv[i][0] == '-') {
            fprintf(stderr,
                    "%s: unknown option %s\nusage: %s [NAME_PART] [--list] [--seed N] [--seeds N] [--verbose]\n",
                    test_run_state.program, argv[i], test_run_state.program);
            return 2;
        } else {
            wanted = argv[i];
        }
    }
    for (const struct test_case* entry = test_run_state.cases; entry; entry = entry->next) {
        if (wanted && !strstr(entry->name, wanted)) {
            continue;
        }
        if (list) {
            puts(entry->name);
        } else if (test_run_one(entry)) {
            passed++;
        } else {
            failed++;
        }
    }
    if (list) {
        return 0;
    }
    if (wanted && passed + failed == 0) {
        fprintf(stderr, "%s: no test has `%s` in its name; --list shows the names\n", test_run_state.program, wanted);
        failed = 1;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed ? 1 : 0;
}

#define TEST_MAIN \
    int main(int argc, char** argv) \
    { \
        return test_main(argc, argv); \
    }

#endif
