/* test_print - aim: wasm/print.c writes what the C library would. Method: both side by side, over formats, values and sizes. */
#include <stdarg.h>
#include <stdio.h>

#include "test.h"

int print_vsnprintf(char* restrict to, size_t bytes_max, const char* restrict format, va_list arguments);
int print_snprintf(char* restrict to, size_t bytes_max, const char* restrict format, ...);

#define vsnprintf print_vsnprintf
#define snprintf print_snprintf
#include "../wasm/print.c"
#undef vsnprintf
#undef snprintf

static const size_t print_sizes[] = {0, 1, 2, 5, 20, 64};

#define PRINT_SAME(...) \
    do { \
        for (size_t print_i = 0; print_i < 6; print_i++) { \
            char ours[64] = "untouched", theirs[64] = "untouched"; \
            int ours_bytes = print_snprintf(ours, print_sizes[print_i], __VA_ARGS__); \
            int theirs_bytes = snprintf(theirs, print_sizes[print_i], __VA_ARGS__); \
            TEST_EQUAL(ours_bytes, theirs_bytes); \
            TEST_EQUAL_STRING(ours, theirs); \
        } \
    } while (0)

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wformat-truncation"
#endif

TEST(test_print_writes_what_the_c_library_writes)
{
    static const long long values[] = {0, 1, -1, 9, 10, 255, 65536, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};
    PRINT_SAME("%s", "");
    PRINT_SAME("%s and %s: %%", "one", "another");
    PRINT_SAME("%c%c", 'a', '%');
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        long long value = values[i];
        PRINT_SAME("%d,%u", (int)value, (unsigned)value);
        PRINT_SAME("%x %02x %08x", (unsigned)value, (unsigned)value & 255, (unsigned)value);
        PRINT_SAME("%lld of %llu", value, (unsigned long long)value);
        PRINT_SAME("%llx", (unsigned long long)value);
        PRINT_SAME("\\u%04x", (unsigned)value & 0xffff);
    }
}

TEST_MAIN
