/* nn_tables - the blob read and its codes built. */
#include "nn_tables.h"

#include "nn_bytes.h"
#include "nn_hash.h"

#define TABLES_MAGIC 0x6274706eu /* "nptb" */

typedef struct tables_carver {
    nn_tables* tables;
    size_t used;
} tables_carver;

static void tables_carve(tables_carver* carver, nn_huffman* huffman, unsigned symbols)
{
    huffman->codes = carver->tables->codes + carver->used;
    huffman->bits = carver->tables->bits + carver->used;
    huffman->sorted = carver->tables->sorted + carver->used;
    huffman->symbol_count = (uint8_t)symbols;
    carver->used += symbols;
}

/* Lengths stand two a byte, the first in the low half. */
static bool tables_read_code(nn_reader* reader, nn_huffman* huffman)
{
    uint8_t pair = 0;
    for (unsigned i = 0; i < huffman->symbol_count; i++) {
        if (i % 2 == 0) pair = nn_read_u8(reader);
        huffman->bits[i] = i % 2 ? pair >> 4 : pair & 15;
    }
    return !reader->failed && nn_huffman_build(huffman);
}

/* The code of several events together, from their odds as if they knew nothing of each other. */
static bool tables_build_events(const nn_tables* tables, nn_huffman* huffman, const uint8_t* levels, unsigned count)
{
    uint64_t weights[1 << NN_EVENTS_MAX];
    for (unsigned symbol = 0; symbol < 1u << count; symbol++) {
        uint64_t weight = UINT64_C(1) << 47;
        for (unsigned i = 0; i < count; i++) {
            uint64_t odds = tables->event_odds[levels[i]];
            weight = (weight >> 16) * (symbol >> i & 1 ? odds : 65536 - odds);
        }
        weights[symbol] = weight;
    }
    nn_huffman_lengths(weights, 1u << count, huffman->bits);
    return nn_huffman_build(huffman);
}

/* All multisets of levels, written as falling digits. */
static bool tables_build_all_events(tables_carver* carver)
{
    nn_tables* tables = carver->tables;
    unsigned table = 0;
    for (unsigned count = 1; count <= NN_EVENTS_MAX; count++) {
        unsigned keys = 1;
        for (unsigned i = 0; i < count; i++) keys *= NN_EVENT_LEVELS;
        for (unsigned key = 0; key < keys; key++) {
            uint8_t levels[NN_EVENTS_MAX];
            unsigned rest = key;
            bool falling = true;
            for (unsigned i = 0; i < count; i++) {
                levels[i] = (uint8_t)(rest % NN_EVENT_LEVELS);
                rest /= NN_EVENT_LEVELS;
                if (i && levels[i] > levels[i - 1]) falling = false;
            }
            if (!falling) continue;
            tables_carve(carver, &tables->events[table], 1u << count);
            if (!tables_build_events(tables, &tables->events[table], levels, count)) return false;
            tables->event_table[count][key] = (uint8_t)table++;
        }
    }
    NN_ASSERT(table == NN_EVENT_TABLES);
    return true;
}

NN_PRIVATE bool nn_tables_load(nn_tables* tables, const void* blob, size_t bytes)
{
    nn_reader reader = nn_reader_of(blob, bytes);
    tables_carver carver = {tables, 0};
    memset(tables, 0, sizeof *tables);
    if (nn_read_u32(&reader) != TABLES_MAGIC || nn_read_u8(&reader) != NN_TABLES_VERSION) return false;
    for (unsigned i = 0; i < NN_EVENT_LEVELS; i++) tables->event_odds[i] = nn_read_u16(&reader);
    for (unsigned i = 0; i < NN_CONTEXT_EVENTS; i++) {
        tables->event_levels[i] = nn_read_u8(&reader);
        bool certain = tables->event_levels[i] == NN_EVENT_NONE && i >= NN_CONTEXT_CHANGED;
        if (tables->event_levels[i] >= NN_EVENT_LEVELS && !certain) return false;
    }
    for (unsigned i = 0; i < NN_CLASS_COUNT; i++) {
        tables_carve(&carver, &tables->sizes[i], NN_SIZE_SYMBOLS);
        if (!tables_read_code(&reader, &tables->sizes[i])) return false;
    }
    for (unsigned i = 0; i < NN_GROUP_CLASSES; i++) {
        tables_carve(&carver, &tables->groups[i], NN_GROUP_SYMBOLS);
        if (!tables_read_code(&reader, &tables->groups[i])) return false;
    }
    for (unsigned i = 0; i < NN_CONTEXTS; i++) {
        tables->priors[i] = nn_read_u16(&reader);
        if (tables->priors[i] < 32 || tables->priors[i] > 65504) return false;
    }
    if (reader.failed || nn_reader_left(&reader)) return false;
    tables->hash = nn_fnv1a64(NN_FNV1A64_BASIS, blob, bytes);
    return tables_build_all_events(&carver);
}
