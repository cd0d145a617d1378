/* moments.h - a moment of the wall clock as RFC 3339 has it. */
#ifndef SERVER_MOMENTS_H
#define SERVER_MOMENTS_H

#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define MOMENT_BYTES 32

/* moment_of - "2026-11-21T16:00:00.123Z", written to the buffer. */
static inline const char* moment_of(uint64_t wall_us, char buffer[MOMENT_BYTES])
{
    struct tm parts;
    char day[24];
    time_t seconds = (time_t)(wall_us / 1000000u);
    gmtime_r(&seconds, &parts);
    strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(buffer, MOMENT_BYTES, "%s.%03uZ", day, (unsigned)(wall_us % 1000000u / 1000u));
    return buffer;
}

#endif
