/* nn_coder - bits, events and residuals in and out: by static Huffman codes (default), or by an adaptive binary arithmetic
 * coder that begins each frame with trained probabilities (thin). The same calls for both.
 */
#ifndef NN_CODER_H
#define NN_CODER_H

#include "nn_tables.h"

/* Events of one record, in the order in which they are written. */
#define NN_EVENTS_RECORD_MAX 200

typedef struct nn_event_list {
    uint16_t contexts[NN_EVENTS_RECORD_MAX];
    uint8_t values[NN_EVENTS_RECORD_MAX];
    unsigned count;
} nn_event_list;

/* Adaptive probabilities and the interval of the arithmetic coder. */
typedef struct nn_thin {
    uint32_t low;
    uint32_t high;
    uint32_t code; /* reading */
    size_t at;     /* byte to read or write next */
    uint16_t odds[NN_CONTEXTS];
} nn_thin;

/* What a record that may find no room has changed. */
#define NN_THIN_UNDO_MAX 2048 /* more than a record of all fields learns */

typedef struct nn_thin_undo {
    uint32_t low;
    uint32_t high;
    size_t at;
    uint32_t count;
    uint16_t contexts[NN_THIN_UNDO_MAX];
    uint16_t odds[NN_THIN_UNDO_MAX];
} nn_thin_undo;

typedef struct nn_encoder {
    nn_bit_writer bits;
    const nn_tables* tables;
    nn_thin* thin;      /* NULL: default codec */
    nn_thin_undo* undo; /* NULL: what was written stays */
    bool plain;         /* with thin: what is written now has the default codec's symbols */
} nn_encoder;

typedef struct nn_decoder {
    nn_bit_reader bits;
    const nn_tables* tables;
    nn_thin* thin;
    bool plain;
} nn_decoder;

/* nn_encoder_of, nn_decoder_of - thin: scratch, or NULL for the default codec. */
NN_PRIVATE nn_encoder nn_encoder_of(const nn_tables* tables, nn_thin* thin, void* data, size_t bytes);
NN_PRIVATE nn_decoder nn_decoder_of(const nn_tables* tables, nn_thin* thin, const void* data, size_t bytes);

/* nn_encoder_adapts, nn_decoder_adapts - whether symbols are the thin codec's. */
NN_INLINE bool nn_encoder_adapts(const nn_encoder* encoder)
{
    return encoder->thin && !encoder->plain;
}

NN_INLINE bool nn_decoder_adapts(const nn_decoder* decoder)
{
    return decoder->thin && !decoder->plain;
}

/* nn_encoder_mark - from here on all can be taken back, until the next mark. nn_encoder_rewind - take it back; bit_count: as of
 * the mark. */
NN_PRIVATE void nn_encoder_mark(nn_encoder* encoder);
NN_PRIVATE void nn_encoder_rewind(nn_encoder* encoder, size_t bit_count);

/* nn_encoder_bits - bits used so far, and those that ending will take. nn_encoder_end - bytes used in all. */
NN_PRIVATE size_t nn_encoder_bits(const nn_encoder* encoder);
NN_PRIVATE size_t nn_encoder_end(nn_encoder* encoder);

/* nn_decoder_left - whether more than the padding of the last byte has not been read. */
NN_PRIVATE bool nn_decoder_left(const nn_decoder* decoder);

/* nn_put_bits, nn_get_bits - plain bits, 0 .. 64. nn_put_thin_bits - with thin. */
NN_PRIVATE void nn_put_thin_bits(nn_encoder* encoder, uint64_t value, unsigned bits);

NN_INLINE void nn_put_bits(nn_encoder* encoder, uint64_t value, unsigned bits)
{
    if (encoder->thin) {
        nn_put_thin_bits(encoder, value, bits);
    } else {
        nn_bits_write(&encoder->bits, value, bits);
    }
}

NN_PRIVATE uint64_t nn_get_bits(nn_decoder* decoder, unsigned bits);

/* nn_put_golomb, nn_get_golomb - Exp-Golomb code of an order: value + 2^order in binary, behind a 0 for each bit that it is
 * longer than order + 1. value below 2^60, order at most 60. */
NN_PRIVATE void nn_put_golomb(nn_encoder* encoder, uint64_t value, unsigned order);
NN_PRIVATE uint64_t nn_get_golomb(nn_decoder* decoder, unsigned order);

/* nn_put_events, nn_get_events - all events of a list; get fills in values. */
NN_PRIVATE void nn_put_events(nn_encoder* encoder, const nn_event_list* events);
NN_PRIVATE void nn_get_events(nn_decoder* decoder, nn_event_list* events);

NN_INLINE void nn_event_add(nn_event_list* events, unsigned context, unsigned value)
{
    events->contexts[events->count] = (uint16_t)context;
    events->values[events->count++] = (uint8_t)value;
}

/* nn_coder_class - the class of an expected error in 1/128 of a step, and the shift beyond the last class. */
NN_INLINE unsigned nn_coder_class(uint32_t error, unsigned* out_shift)
{
    *out_shift = 0;
    if (error < 16) return 0;
    unsigned top = nn_bits_for(error) - 1;
    unsigned index = (top - 4) * 2 + (error >> (top - 1) & 1) + 1;
    if (index < NN_CLASSES) return index;
    *out_shift = (index - (NN_CLASSES - 2)) / 2;
    return index - 2 * *out_shift;
}

/* nn_put_size, nn_get_size - a size of a class; below 2^60. */
NN_PRIVATE void nn_put_size(nn_encoder* encoder, unsigned class_index, unsigned shift, uint64_t size);
NN_PRIVATE uint64_t nn_get_size(nn_decoder* decoder, unsigned class_index, unsigned shift);

/* nn_put_sign, nn_get_sign - 1 is negative; lean says which sign is likely. */
NN_PRIVATE void nn_put_sign(nn_encoder* encoder, unsigned class_index, int lean, unsigned negative);
NN_PRIVATE unsigned nn_get_sign(nn_decoder* decoder, unsigned class_index, int lean);

/* nn_put_group, nn_get_group - default codec alone: three digits 0 .. 3 (0, +1, -1, other), not all 0. */
NN_PRIVATE void nn_put_group(nn_encoder* encoder, unsigned class_index, const unsigned digits[3]);
NN_PRIVATE void nn_get_group(nn_decoder* decoder, unsigned class_index, unsigned digits[3]);

/* What tools/train_tables.c counts: that a symbol was written, and with how many extra bits. Nothing elsewhere. */
#ifndef NN_CODER_COUNT
#define NN_CODER_COUNT(what, index, symbol) ((void)0)
#endif

#endif
