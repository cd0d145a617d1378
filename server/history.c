/* history - samples of many series, compressed by the minute. */
#include "history.h"

#include <stdlib.h>
#include <string.h>

#if NECPNET_WITH_LZ4
#include <lz4.h>
#endif

#define HISTORY_MINUTE 60u
#define HISTORY_VARINT_BYTES_MAX 10

/* A minute that has passed. Behind it: for each series its summary (variable-length), then the columns, the first of which are
 * the seconds; columns_bytes of them, as packed_bytes of LZ4 where that is less. */
typedef struct history_block {
    uint64_t minute;
    uint32_t samples;
    uint32_t series;
    uint32_t summary_bytes;
    uint32_t columns_bytes;
    uint32_t packed_bytes; /* equal to columns_bytes: not packed */
    uint8_t data[];
} history_block;

struct history {
    history_kind kinds[HISTORY_SERIES_MAX];
    int series;
    uint32_t minutes;
    history_block** ring;
    uint32_t first;
    uint32_t count;
    uint64_t stored_bytes; /* of the blocks */
    uint64_t samples;      /* in the blocks */
    uint64_t raw_bytes;    /* of the blocks */
    uint64_t refused;
    uint64_t last_second;
    uint32_t open; /* samples of the minute under way */
    uint64_t seconds[HISTORY_MINUTE];
    uint64_t (*values)[HISTORY_MINUTE]; /* by series */
    uint8_t* scratch;                   /* columns and their packed form in the making */
    size_t scratch_bytes;
};

/* --------------------------------------------------------------------------------------- variable-length numbers -- */

static uint8_t* history_put(uint8_t* to, uint64_t value)
{
    while (value >= 0x80) {
        *to++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *to++ = (uint8_t)value;
    return to;
}

static const uint8_t* history_get(const uint8_t* from, uint64_t* out_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint8_t byte = *from++;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (!(byte & 0x80)) break;
    }
    *out_value = value;
    return from;
}

/* Differences, small ones of either sign as small numbers. */
static uint8_t* history_put_column(uint8_t* to, const uint64_t* values, uint32_t count)
{
    uint64_t before = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t step = values[i] - before;
        before = values[i];
        to = history_put(to, (step << 1) ^ (step >> 63 ? UINT64_MAX : 0));
    }
    return to;
}

static const uint8_t* history_get_column(const uint8_t* from, uint64_t* values, uint32_t count)
{
    uint64_t before = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t code;
        from = history_get(from, &code);
        before += (code >> 1) ^ (code & 1 ? UINT64_MAX : 0);
        values[i] = before;
    }
    return from;
}

/* ---------------------------------------------------------------------------------------------------------- blocks -- */

static history_span history_sum(const uint64_t* values, uint32_t count, history_kind kind)
{
    history_span span = {0, 0, 0, count};
    for (uint32_t i = 0; i < count; i++) {
        span.sum += values[i];
        if (kind == HISTORY_COUNTER) continue;
        if (i == 0 || values[i] < span.min) span.min = values[i];
        if (values[i] > span.max) span.max = values[i];
    }
    return span;
}

static uint8_t* history_put_summary(const history* at, uint8_t* to)
{
    for (int i = 0; i < at->series; i++) {
        history_span span = history_sum(at->values[i], at->open, at->kinds[i]);
        to = history_put(to, span.sum);
        if (at->kinds[i] == HISTORY_COUNTER) continue;
        to = history_put(to, span.min);
        to = history_put(to, span.max - span.min);
    }
    return to;
}

static size_t history_block_bytes(const history_block* block)
{
    return sizeof(*block) + block->summary_bytes + block->packed_bytes;
}

static void history_drop_oldest(history* at)
{
    history_block* block = at->ring[at->first];
    at->stored_bytes -= history_block_bytes(block);
    at->samples -= block->samples;
    at->raw_bytes -= (uint64_t)block->samples * (block->series + 1u) * 8u;
    free(block);
    at->ring[at->first] = NULL;
    at->first = (at->first + 1) % at->minutes;
    at->count--;
}

/* At packed, if that makes them less; else their own size. */
static uint32_t history_pack(const uint8_t* columns, uint32_t bytes, uint8_t* packed, size_t packed_bytes_max)
{
#if NECPNET_WITH_LZ4
    int result = LZ4_compress_default((const char*)columns, (char*)packed, (int)bytes, (int)packed_bytes_max);
    return result > 0 && (uint32_t)result < bytes ? (uint32_t)result : bytes;
#else
    (void)columns, (void)packed, (void)packed_bytes_max;
    return bytes;
#endif
}

/* Enough for the summary, the columns and their packed form. */
static bool history_reserve(history* at)
{
    size_t series = (size_t)at->series + 1;
    size_t column = HISTORY_MINUTE * HISTORY_VARINT_BYTES_MAX;
    size_t wanted = series * (3 * HISTORY_VARINT_BYTES_MAX + 2 * column);
    if (wanted <= at->scratch_bytes) return true;
    uint8_t* larger = realloc(at->scratch, wanted);
    if (!larger) return false;
    at->scratch = larger;
    at->scratch_bytes = wanted;
    return true;
}

/* The minute under way becomes a block. */
static bool history_close_minute(history* at)
{
    if (!at->open) return true;
    uint32_t samples = at->open;
    if (!history_reserve(at)) return false;
    uint8_t* columns = history_put_summary(at, at->scratch);
    uint8_t* end = history_put_column(columns, at->seconds, samples);
    for (int i = 0; i < at->series; i++) end = history_put_column(end, at->values[i], samples);
    uint32_t summary_bytes = (uint32_t)(columns - at->scratch);
    uint32_t columns_bytes = (uint32_t)(end - columns);
    size_t room = at->scratch_bytes - summary_bytes - columns_bytes;
    uint32_t packed_bytes = history_pack(columns, columns_bytes, end, room);
    history_block* block = malloc(sizeof(*block) + summary_bytes + packed_bytes);
    if (!block) return false;
    block->minute = at->seconds[0] / HISTORY_MINUTE;
    block->samples = samples;
    block->series = (uint32_t)at->series;
    block->summary_bytes = summary_bytes;
    block->columns_bytes = columns_bytes;
    block->packed_bytes = packed_bytes;
    memcpy(block->data, at->scratch, summary_bytes);
    memcpy(block->data + summary_bytes, packed_bytes < columns_bytes ? end : columns, packed_bytes);
    if (at->count == at->minutes) history_drop_oldest(at);
    at->ring[(at->first + at->count++) % at->minutes] = block;
    at->stored_bytes += history_block_bytes(block);
    at->samples += samples;
    at->raw_bytes += (uint64_t)samples * (block->series + 1u) * 8u;
    at->open = 0;
    return true;
}

/* ------------------------------------------------------------------------------------------------------------ life -- */

history* history_create(uint32_t minutes)
{
    if (minutes == 0 || minutes > HISTORY_MINUTES_MAX) return NULL;
    history* at = calloc(1, sizeof(*at));
    if (!at) return NULL;
    at->minutes = minutes;
    at->ring = calloc(minutes, sizeof(history_block*));
    if (at->ring) return at;
    free(at);
    return NULL;
}

void history_destroy(history* at)
{
    if (!at) return;
    while (at->count) history_drop_oldest(at);
    free(at->ring);
    free(at->values);
    free(at->scratch);
    free(at);
}

int history_series(history* at, history_kind kind)
{
    if (at->series == HISTORY_SERIES_MAX) return -1;
    void* values = realloc(at->values, ((size_t)at->series + 1) * sizeof(at->values[0]));
    if (!values) return -1;
    at->values = values;
    memset(at->values[at->series], 0, sizeof(at->values[0]));
    at->kinds[at->series] = kind;
    return at->series++;
}

bool history_add(history* at, uint64_t second, const uint64_t* values)
{
    if (second <= at->last_second) {
        at->refused++;
        return false;
    }
    bool closed = true;
    if (at->open && at->seconds[0] / HISTORY_MINUTE != second / HISTORY_MINUTE) {
        closed = history_close_minute(at);
        at->open = 0; /* without memory the minute is lost, and the next one begins */
    }
    for (int i = 0; i < at->series; i++) at->values[i][at->open] = values[i];
    at->seconds[at->open++] = second;
    at->last_second = second;
    return closed;
}

/* --------------------------------------------------------------------------------------------------------- reading -- */

static void history_join(history_span* span, const history_span* more, history_kind kind)
{
    if (!more->samples) return;
    if (kind == HISTORY_GAUGE) {
        if (!span->samples || more->min < span->min) span->min = more->min;
        if (more->max > span->max) span->max = more->max;
    }
    span->sum += more->sum;
    span->samples += more->samples;
}

typedef struct history_question {
    const history* at;
    int16_t place[HISTORY_SERIES_MAX]; /* of a series among those asked for; -1: it is not */
    int end;                           /* behind the last series asked for */
    uint64_t first_second;
    uint32_t span_seconds;
    history_span* spans;
    size_t count;
} history_question;

/* Where the answer for a series and a second goes; NULL: it was not asked for. */
static history_span* history_find_span(const history_question* ask, int series, uint64_t second)
{
    if (ask->place[series] < 0 || second < ask->first_second) return NULL;
    uint64_t index = (second - ask->first_second) / ask->span_seconds;
    return index < ask->count ? &ask->spans[(size_t)ask->place[series] * ask->count + index] : NULL;
}

static void history_answer_seconds(const history_question* ask, int series, const uint64_t* seconds,
                                   const uint64_t* values, uint32_t samples)
{
    history_kind kind = ask->at->kinds[series];
    for (uint32_t i = 0; i < samples; i++) {
        history_span* span = history_find_span(ask, series, seconds[i]);
        if (!span) continue;
        history_span one = history_sum(&values[i], 1, kind);
        history_join(span, &one, kind);
    }
}

/* From the summary. A series that came after the block was 0. */
static void history_answer_block(const history_question* ask, const history_block* block)
{
    const uint8_t* from = block->data;
    for (int i = 0; i < ask->end; i++) {
        history_span span = {0, 0, 0, block->samples};
        if ((uint32_t)i < block->series) {
            from = history_get(from, &span.sum);
            if (ask->at->kinds[i] == HISTORY_GAUGE) {
                from = history_get(from, &span.min);
                from = history_get(from, &span.max);
                span.max += span.min;
            }
        }
        history_span* to = history_find_span(ask, i, block->minute * HISTORY_MINUTE);
        if (to) history_join(to, &span, ask->at->kinds[i]);
    }
}

/* From its seconds; room holds columns_bytes. */
static void history_open_block(const history_question* ask, const history_block* block, uint8_t* room)
{
    uint64_t seconds[HISTORY_MINUTE];
    uint64_t values[HISTORY_MINUTE];
    const uint8_t* columns = block->data + block->summary_bytes;
#if NECPNET_WITH_LZ4
    if (block->packed_bytes < block->columns_bytes) {
        int bytes =
            LZ4_decompress_safe((const char*)columns, (char*)room, (int)block->packed_bytes, (int)block->columns_bytes);
        if (bytes != (int)block->columns_bytes) return; /* our own block: it cannot be */
        columns = room;
    }
#endif
    columns = history_get_column(columns, seconds, block->samples);
    for (int i = 0; i < ask->end; i++) {
        bool is_known = (uint32_t)i < block->series;
        if (is_known) {
            columns = history_get_column(columns, values, block->samples);
        } else {
            memset(values, 0, sizeof(values));
        }
        if (ask->place[i] >= 0) history_answer_seconds(ask, i, seconds, values, block->samples);
    }
}

/* The first block of that minute or later, by halving. */
static uint32_t history_find(const history* at, uint64_t minute)
{
    uint32_t low = 0;
    uint32_t high = at->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (at->ring[(at->first + middle) % at->minutes]->minute < minute) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static uint32_t history_columns_bytes_max(const history* at)
{
    uint32_t bytes = 1;
    for (uint32_t i = 0; i < at->count; i++) {
        const history_block* block = at->ring[(at->first + i) % at->minutes];
        if (block->columns_bytes > bytes) bytes = block->columns_bytes;
    }
    return bytes;
}

static bool history_understand(history_question* ask, const int* series, int series_count)
{
    memset(ask->place, -1, sizeof(ask->place));
    ask->end = 0;
    for (int i = 0; i < series_count; i++) {
        if (series[i] < 0 || series[i] >= ask->at->series || ask->place[series[i]] >= 0) return false;
        ask->place[series[i]] = (int16_t)i;
        if (series[i] >= ask->end) ask->end = series[i] + 1;
    }
    return series_count > 0 && ask->span_seconds > 0 && ask->count > 0;
}

bool history_read(const history* at, const int* series, int series_count, uint64_t first_second, uint32_t span_seconds,
                  history_span* spans, size_t count)
{
    history_question ask = {
        .at = at, .first_second = first_second, .span_seconds = span_seconds, .spans = spans, .count = count};
    if (!history_understand(&ask, series, series_count)) return false;
    bool whole = span_seconds % HISTORY_MINUTE == 0 && first_second % HISTORY_MINUTE == 0;
    uint8_t* room = whole ? NULL : malloc(history_columns_bytes_max(at));
    if (!whole && !room) return false;
    memset(spans, 0, (size_t)series_count * count * sizeof(*spans));
    for (uint32_t i = history_find(at, first_second / HISTORY_MINUTE); i < at->count; i++) {
        const history_block* block = at->ring[(at->first + i) % at->minutes];
        uint64_t begins = block->minute * HISTORY_MINUTE;
        if (begins >= first_second && (begins - first_second) / span_seconds >= count) break;
        if (whole) {
            history_answer_block(&ask, block);
        } else {
            history_open_block(&ask, block, room);
        }
    }
    for (int i = 0; i < series_count; i++) {
        history_answer_seconds(&ask, series[i], at->seconds, at->values[series[i]], at->open);
    }
    free(room);
    return true;
}

history_size history_measure(const history* at)
{
    history_size size;
    size_t series = (size_t)at->series;
    size.samples = at->samples + at->open;
    size.raw_bytes = at->raw_bytes + (uint64_t)at->open * (series + 1) * 8;
    size.stored_bytes = at->stored_bytes + at->minutes * sizeof(history_block*) + series * sizeof(at->values[0]) +
                        at->scratch_bytes + sizeof(*at);
    size.refused = at->refused;
    return size;
}
