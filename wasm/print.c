/* print - vsnprintf for the client's own lines in the place of the C library's, whose floating point would be a twentieth of core.wasm.
 *
 * Knows %s %c %d %u %x %%, the length ll, and a width with zeroes. tests/test_print.c holds it against the library;
 * wasm/test/client.test.mjs looks for formats that it does not know.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef struct print_out {
    char* to;
    size_t bytes_max;
    size_t at;
} print_out;

static void print_put(print_out* out, const char* text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++, out->at++) {
        if (out->at + 1 < out->bytes_max) out->to[out->at] = text[i];
    }
}

static void print_number(print_out* out, uint64_t value, bool is_negative, unsigned base, size_t width)
{
    char digits[24];
    size_t at = sizeof digits;
    if (width > 20) width = 20;
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    while (sizeof digits - at < width) digits[--at] = '0';
    if (is_negative) digits[--at] = '-';
    print_put(out, digits + at, sizeof digits - at);
}

int vsnprintf(char* restrict to, size_t bytes_max, const char* restrict format, va_list arguments)
{
    print_out out = {to, bytes_max, 0};
    for (const char* c = format; *c; c++) {
        if (*c != '%') {
            print_put(&out, c, 1);
            continue;
        }
        size_t width = 0;
        bool is_long_long = false;
        for (c++; *c >= '0' && *c <= '9'; c++) width = width * 10 + (size_t)(*c - '0');
        for (; *c == 'l'; c++) is_long_long = true;
        if (*c == 's') {
            const char* text = va_arg(arguments, const char*);
            print_put(&out, text, strlen(text));
        } else if (*c == 'd') {
            int64_t value = is_long_long ? va_arg(arguments, long long) : va_arg(arguments, int);
            print_number(&out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0, 10, width);
        } else if (*c == 'u' || *c == 'x') {
            uint64_t value = is_long_long ? va_arg(arguments, unsigned long long) : va_arg(arguments, unsigned);
            print_number(&out, value, false, *c == 'x' ? 16 : 10, width);
        } else { /* %% and %c */
            char one = *c == '%' ? '%' : (char)va_arg(arguments, int);
            print_put(&out, &one, 1);
        }
    }
    if (bytes_max) to[out.at < bytes_max ? out.at : bytes_max - 1] = '\0';
    return (int)out.at;
}

int snprintf(char* restrict to, size_t bytes_max, const char* restrict format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int bytes = vsnprintf(to, bytes_max, format, arguments);
    va_end(arguments);
    return bytes;
}
