/* history.h - figures over time: a sample a second of many series, a day of them, compressed by the minute.
 *
 * A series is a gauge (what it is now: sum, minimum and maximum of a span are kept) or a counter (what came in the second: the
 * sum). The minute under way is held plain; a minute that has passed becomes one block: a summary of each series, which answers
 * every question of a minute or coarser, and behind it the seconds themselves (each column as differences, variable-length,
 * LZ4), which are opened only for questions of seconds. The oldest minutes fall out. No memory grows but for blocks.
 *
 * Not thread-safe; analysis.h holds the lock.
 */
#ifndef SERVER_HISTORY_H
#define SERVER_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTORY_SERIES_MAX 512
#define HISTORY_MINUTES_MAX (31 * 24 * 60)

typedef enum history_kind { HISTORY_COUNTER = 0, HISTORY_GAUGE = 1 } history_kind;

/* What a series was in a span. */
typedef struct history_span {
    uint64_t sum;
    uint64_t min; /* gauge; 0 for a counter, and where there are no samples */
    uint64_t max;
    uint32_t samples; /* seconds that were sampled */
} history_span;

typedef struct history_size {
    uint64_t samples;      /* seconds held */
    uint64_t raw_bytes;    /* these with 8 bytes a value and 8 for the time */
    uint64_t stored_bytes; /* memory that the same take here, all told */
    uint64_t refused;      /* samples whose second was not later than the one before */
} history_size;

typedef struct history history;

/* history_create - minutes: 1 .. HISTORY_MINUTES_MAX that are kept. NULL: no memory or out of range. */
history* history_create(uint32_t minutes);
void history_destroy(history* at);

/* history_series - a further series; before it existed it was 0. Returns its number, or -1: HISTORY_SERIES_MAX is reached. */
int history_series(history* at, history_kind kind);

/* history_add - the sample of one second, in seconds since 1970; values has one for each series. A second that is not later than
 * the last one is refused and counted (a clock that was set back). False: refused, or no memory for the minute before. */
bool history_add(history* at, uint64_t second, const uint64_t* values);

/* history_read - several series from first_second, in count spans of span_seconds each. Spans of whole minutes, aligned to them,
 * are answered from summaries.
 *
 *   series  series_count numbers, each once.
 *   spans   series_count x count: those of the first series, then those of the second ..
 *
 * False: a number of no series or twice, span_seconds or a count is 0, or no memory. */
bool history_read(const history* at, const int* series, int series_count, uint64_t first_second, uint32_t span_seconds,
                  history_span* spans, size_t count);

history_size history_measure(const history* at);

#endif
