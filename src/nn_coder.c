/* nn_coder - Huffman codes, or the arithmetic coder: a carryless binary one in the manner of Martin's range coder, 32 bits
 * wide, with 16-bit probabilities. */
#include "nn_coder.h"

#define CODER_RATE 6 /* an adaptive probability goes 1/64 of the way to each bit */
#define CODER_HALF 32768u
#define CODER_GOLOMB_BITS_MAX 60

/* ---- the arithmetic coder */

static uint32_t coder_split(const nn_thin* thin, uint32_t odds)
{
    uint32_t range = thin->high - thin->low;
    return thin->low + (range >> 16) * odds + ((range & 0xffff) * odds >> 16);
}

static void coder_write_byte(nn_encoder* encoder)
{
    nn_thin* thin = encoder->thin;
    if (thin->at < encoder->bits.bytes_max) {
        encoder->bits.begin[thin->at++] = (uint8_t)(thin->high >> 24);
    } else {
        encoder->bits.failed = true;
    }
}

static void coder_encode(nn_encoder* encoder, uint32_t odds, unsigned bit)
{
    nn_thin* thin = encoder->thin;
    uint32_t middle = coder_split(thin, odds);
    if (bit) {
        thin->high = middle;
    } else {
        thin->low = middle + 1;
    }
    while (!((thin->low ^ thin->high) >> 24)) {
        coder_write_byte(encoder);
        thin->low <<= 8;
        thin->high = thin->high << 8 | 255;
    }
}

/* Behind the end stand zeroes; more than four of them are too many. */
static uint32_t coder_read_byte(nn_decoder* decoder)
{
    nn_thin* thin = decoder->thin;
    size_t bytes = decoder->bits.bit_count / 8;
    uint32_t byte = thin->at < bytes ? decoder->bits.begin[thin->at] : 0;
    thin->at++;
    if (thin->at > bytes + 4) decoder->bits.failed = true;
    return byte;
}

static unsigned coder_decode(nn_decoder* decoder, uint32_t odds)
{
    nn_thin* thin = decoder->thin;
    uint32_t middle = coder_split(thin, odds);
    unsigned bit = thin->code <= middle;
    if (bit) {
        thin->high = middle;
    } else {
        thin->low = middle + 1;
    }
    while (!((thin->low ^ thin->high) >> 24)) {
        thin->low <<= 8;
        thin->high = thin->high << 8 | 255;
        thin->code = thin->code << 8 | coder_read_byte(decoder);
    }
    return bit;
}

static void coder_learn(uint16_t* odds, unsigned bit)
{
    if (bit) {
        *odds = (uint16_t)(*odds + ((65504u - *odds) >> CODER_RATE));
    } else {
        *odds = (uint16_t)(*odds - ((*odds - 32u) >> CODER_RATE));
    }
}

static void coder_put(nn_encoder* encoder, unsigned context, unsigned bit)
{
    NN_CODER_COUNT(2, context, bit);
    nn_thin_undo* undo = encoder->undo;
    NN_ASSERT(!undo || undo->count < NN_THIN_UNDO_MAX);
    if (undo && undo->count < NN_THIN_UNDO_MAX) {
        undo->contexts[undo->count] = (uint16_t)context;
        undo->odds[undo->count++] = encoder->thin->odds[context];
    }
    coder_encode(encoder, encoder->thin->odds[context], bit);
    coder_learn(&encoder->thin->odds[context], bit);
}

static unsigned coder_get(nn_decoder* decoder, unsigned context)
{
    unsigned bit = coder_decode(decoder, decoder->thin->odds[context]);
    coder_learn(&decoder->thin->odds[context], bit);
    return bit;
}

static void coder_reset_thin(nn_thin* thin, const nn_tables* tables)
{
    thin->low = 0;
    thin->high = UINT32_MAX;
    thin->code = 0;
    thin->at = 0;
    memcpy(thin->odds, tables->priors, sizeof thin->odds);
}

/* ---- both */

NN_PRIVATE nn_encoder nn_encoder_of(const nn_tables* tables, nn_thin* thin, void* data, size_t bytes)
{
    nn_encoder encoder;
    encoder.bits = nn_bit_writer_of(data, bytes);
    encoder.tables = tables;
    encoder.thin = thin;
    encoder.plain = false;
    encoder.undo = NULL;
    if (thin) coder_reset_thin(thin, tables);
    return encoder;
}

NN_PRIVATE void nn_encoder_mark(nn_encoder* encoder)
{
    nn_thin_undo* undo = encoder->undo;
    if (!encoder->thin || !undo) return;
    undo->low = encoder->thin->low;
    undo->high = encoder->thin->high;
    undo->at = encoder->thin->at;
    undo->count = 0;
}

NN_PRIVATE void nn_encoder_rewind(nn_encoder* encoder, size_t bit_count)
{
    nn_thin* thin = encoder->thin;
    nn_thin_undo* undo = encoder->undo;
    nn_bits_rewind(&encoder->bits, bit_count);
    if (!thin || !undo) return;
    thin->low = undo->low;
    thin->high = undo->high;
    thin->at = undo->at;
    while (undo->count) { /* the newest first */
        undo->count--;
        thin->odds[undo->contexts[undo->count]] = undo->odds[undo->count];
    }
}

NN_PRIVATE nn_decoder nn_decoder_of(const nn_tables* tables, nn_thin* thin, const void* data, size_t bytes)
{
    nn_decoder decoder;
    decoder.bits = nn_bit_reader_of(data, bytes);
    decoder.tables = tables;
    decoder.thin = thin;
    decoder.plain = false;
    if (thin) {
        coder_reset_thin(thin, tables);
        for (unsigned i = 0; i < 4; i++) thin->code = thin->code << 8 | coder_read_byte(&decoder);
    }
    return decoder;
}

NN_PRIVATE size_t nn_encoder_bits(const nn_encoder* encoder)
{
    if (!encoder->thin) return encoder->bits.bit_count;
    return encoder->thin->at * 8 + 8;
}

/* Low and high differ in their top byte, so that of high with zeroes behind it lies between them. */
NN_PRIVATE size_t nn_encoder_end(nn_encoder* encoder)
{
    nn_thin* thin = encoder->thin;
    if (!thin) return nn_bits_bytes(&encoder->bits);
    if (thin->low) coder_write_byte(encoder);
    return thin->at;
}

NN_PRIVATE bool nn_decoder_left(const nn_decoder* decoder)
{
    if (!decoder->thin) return decoder->bits.bit_count - decoder->bits.bit_at >= 8;
    return decoder->thin->at < decoder->bits.bit_count / 8;
}

NN_PRIVATE void nn_put_thin_bits(nn_encoder* encoder, uint64_t value, unsigned bits)
{
    for (unsigned i = 0; i < bits; i++) coder_encode(encoder, CODER_HALF, value >> i & 1);
}

NN_PRIVATE uint64_t nn_get_bits(nn_decoder* decoder, unsigned bits)
{
    if (!decoder->thin) return nn_bits_read(&decoder->bits, bits);
    uint64_t value = 0;
    for (unsigned i = 0; i < bits; i++) value |= (uint64_t)coder_decode(decoder, CODER_HALF) << i;
    return value;
}

/* A symbol of a Huffman code, also among the bits of the arithmetic coder. */
static void coder_put_symbol(nn_encoder* encoder, const nn_huffman* huffman, unsigned symbol)
{
    uint32_t code = huffman->codes[symbol];
    nn_put_bits(encoder, code, code >> 16);
}

static unsigned coder_get_symbol(nn_decoder* decoder, const nn_huffman* huffman)
{
    if (!decoder->thin) return nn_huffman_read(huffman, &decoder->bits);
    uint32_t code = 0;
    unsigned passed = 0;
    for (unsigned length = 1; length <= NN_HUFFMAN_BITS_MAX; length++) {
        code = code << 1 | coder_decode(decoder, CODER_HALF);
        uint32_t place = code - huffman->first[length];
        if (place < huffman->count[length]) return huffman->sorted[passed + place];
        passed += huffman->count[length];
    }
    decoder->bits.failed = true; /* a complete code has no such bits */
    return 0;
}

NN_PRIVATE void nn_put_golomb(nn_encoder* encoder, uint64_t value, unsigned order)
{
    NN_ASSERT(order <= CODER_GOLOMB_BITS_MAX && value < UINT64_C(1) << CODER_GOLOMB_BITS_MAX);
    uint64_t shifted = value + (UINT64_C(1) << order);
    unsigned longer = nn_bits_for(shifted) - 1 - order;
    nn_put_bits(encoder, 0, longer);
    nn_put_bits(encoder, 1, 1);
    nn_put_bits(encoder, shifted & ((UINT64_C(1) << (order + longer)) - 1), order + longer);
}

NN_PRIVATE uint64_t nn_get_golomb(nn_decoder* decoder, unsigned order)
{
    unsigned longer = 0;
    while (!nn_get_bits(decoder, 1)) {
        longer++;
        if (decoder->bits.failed || order + longer > CODER_GOLOMB_BITS_MAX) {
            decoder->bits.failed = true;
            return 0;
        }
    }
    uint64_t low = nn_get_bits(decoder, order + longer);
    return (low | UINT64_C(1) << (order + longer)) - (UINT64_C(1) << order);
}

/* ---- events */

/* Up to four events that are not certain, by falling level: which they are, and their code. */
typedef struct coder_pack {
    unsigned count;
    unsigned next; /* event to go on with */
    unsigned places[NN_EVENTS_MAX];
    const nn_huffman* huffman;
} coder_pack;

static void coder_order(unsigned* a, unsigned* b)
{
    unsigned larger = *a > *b ? *a : *b;
    *b = *a > *b ? *b : *a;
    *a = larger;
}

static void coder_pack_events(const nn_tables* tables, const nn_event_list* events, coder_pack* pack)
{
    unsigned order[NN_EVENTS_MAX] = {0, 0, 0, 0}; /* level plus 1, then the event, the first one largest */
    unsigned key = 0;
    pack->count = 0;
    while (pack->next < events->count && pack->count < NN_EVENTS_MAX) {
        unsigned event = pack->next++;
        unsigned level = tables->event_levels[events->contexts[event]];
        if (level != NN_EVENT_NONE) order[pack->count++] = (level + 1) << 8 | (NN_EVENTS_RECORD_MAX - event);
    }
    coder_order(&order[0], &order[1]);
    coder_order(&order[2], &order[3]);
    coder_order(&order[0], &order[2]);
    coder_order(&order[1], &order[3]);
    coder_order(&order[1], &order[2]);
    for (unsigned i = pack->count; i-- > 0;) {
        key = key * NN_EVENT_LEVELS + (order[i] >> 8) - 1;
        pack->places[i] = NN_EVENTS_RECORD_MAX - (order[i] & 0xff);
    }
    pack->huffman = &tables->events[tables->event_table[pack->count][key]];
}

NN_PRIVATE void nn_put_events(nn_encoder* encoder, const nn_event_list* events)
{
    coder_pack pack;
    pack.next = 0;
    while (nn_encoder_adapts(encoder) && pack.next < events->count) {
        unsigned event = pack.next++;
        if (encoder->tables->event_levels[events->contexts[event]] == NN_EVENT_NONE) continue;
        coder_put(encoder, events->contexts[event], events->values[event]);
    }
    while (pack.next < events->count) {
        coder_pack_events(encoder->tables, events, &pack);
        if (!pack.count) break;
        unsigned symbol = 0;
        for (unsigned i = 0; i < pack.count; i++) symbol |= (unsigned)events->values[pack.places[i]] << i;
        coder_put_symbol(encoder, pack.huffman, symbol);
    }
    for (unsigned i = 0; i < events->count; i++) NN_CODER_COUNT(3, events->contexts[i], events->values[i]);
}

NN_PRIVATE void nn_get_events(nn_decoder* decoder, nn_event_list* events)
{
    coder_pack pack;
    pack.next = 0;
    for (unsigned i = 0; i < events->count; i++) {
        bool certain = decoder->tables->event_levels[events->contexts[i]] == NN_EVENT_NONE;
        events->values[i] = certain                      ? 1
                            : nn_decoder_adapts(decoder) ? (uint8_t)coder_get(decoder, events->contexts[i])
                                                         : 0;
    }
    while (!nn_decoder_adapts(decoder) && pack.next < events->count) {
        coder_pack_events(decoder->tables, events, &pack);
        if (!pack.count) break;
        unsigned symbol = coder_get_symbol(decoder, pack.huffman);
        for (unsigned i = 0; i < pack.count; i++) events->values[pack.places[i]] = symbol >> i & 1;
    }
}

/* ---- sizes and signs */

static unsigned coder_size_symbol(uint64_t size, unsigned* out_bits)
{
    *out_bits = 0;
    if (size < 8) return (unsigned)size;
    if (size >= NN_SIZE_ESCAPE_FROM) return NN_SIZE_ESCAPE;
    unsigned top = nn_bits_for(size) - 1;
    *out_bits = top - 1;
    return 8 + (top - 3) * 2 + (unsigned)(size >> (top - 1) & 1);
}

/* A size's symbol as six bits, the upper ones first, each with a probability of its own. */
static void coder_put_tree(nn_encoder* encoder, unsigned class_index, unsigned symbol)
{
    unsigned node = 1;
    for (unsigned i = 6; i-- > 0;) {
        unsigned bit = symbol >> i & 1;
        coder_put(encoder, NN_CONTEXT_SIZE + class_index * 64 + node, bit);
        node = node * 2 + bit;
    }
}

NN_PRIVATE void nn_put_size(nn_encoder* encoder, unsigned class_index, unsigned shift, uint64_t size)
{
    unsigned bits;
    uint64_t high = size >> shift;
    uint64_t low = size & ((UINT64_C(1) << shift) - 1);
    unsigned symbol = coder_size_symbol(high, &bits);
    NN_CODER_COUNT(0, class_index, symbol);
    if (symbol == NN_SIZE_ESCAPE) {
        if (nn_encoder_adapts(encoder)) {
            coder_put_tree(encoder, class_index, symbol);
        } else {
            coder_put_symbol(encoder, &encoder->tables->sizes[class_index], symbol);
        }
        nn_put_golomb(encoder, high - NN_SIZE_ESCAPE_FROM, 19);
        nn_put_bits(encoder, low, shift);
        return;
    }
    uint64_t rest = (high & ((UINT64_C(1) << bits) - 1)) | low << bits; /* of 17 + 17 bits at most */
    if (nn_encoder_adapts(encoder)) {
        coder_put_tree(encoder, class_index, symbol);
        nn_put_bits(encoder, rest, bits + shift);
        return;
    }
    uint32_t code = encoder->tables->sizes[class_index].codes[symbol];
    nn_put_bits(encoder, (code & 0xffff) | rest << (code >> 16), (code >> 16) + bits + shift);
}

NN_PRIVATE uint64_t nn_get_size(nn_decoder* decoder, unsigned class_index, unsigned shift)
{
    unsigned symbol;
    uint64_t high;
    if (nn_decoder_adapts(decoder)) {
        unsigned node = 1;
        for (unsigned i = 0; i < 6; i++) {
            node = node * 2 + coder_get(decoder, NN_CONTEXT_SIZE + class_index * 64 + node);
        }
        symbol = node - 64;
    } else {
        symbol = coder_get_symbol(decoder, &decoder->tables->sizes[class_index]);
    }
    if (symbol > NN_SIZE_ESCAPE) decoder->bits.failed = true;
    if (decoder->bits.failed) return 0;
    if (symbol < 8) {
        high = symbol;
    } else if (symbol == NN_SIZE_ESCAPE) {
        high = nn_get_golomb(decoder, 19) + NN_SIZE_ESCAPE_FROM;
        if (high >> (59 - shift)) decoder->bits.failed = true;
    } else {
        unsigned top = 3 + (symbol - 8) / 2;
        high = (2 + ((symbol - 8) & 1)) << (top - 1);
        high |= nn_get_bits(decoder, top - 1);
    }
    if (decoder->bits.failed) return 0;
    return high << shift | nn_get_bits(decoder, shift);
}

static unsigned coder_sign_context(unsigned class_index, int lean)
{
    return NN_CONTEXT_SIGN + (unsigned)(lean + 1) * 9 + class_index / 3;
}

NN_PRIVATE void nn_put_sign(nn_encoder* encoder, unsigned class_index, int lean, unsigned negative)
{
    if (nn_encoder_adapts(encoder)) {
        coder_put(encoder, coder_sign_context(class_index, lean), negative);
    } else {
        nn_put_bits(encoder, negative, 1);
    }
}

NN_PRIVATE unsigned nn_get_sign(nn_decoder* decoder, unsigned class_index, int lean)
{
    if (nn_decoder_adapts(decoder)) return coder_get(decoder, coder_sign_context(class_index, lean));
    return (unsigned)nn_get_bits(decoder, 1);
}

/* ---- groups of three */

NN_PRIVATE void nn_put_group(nn_encoder* encoder, unsigned class_index, const unsigned digits[3])
{
    unsigned symbol = digits[0] + digits[1] * 4 + digits[2] * 16 - 1;
    NN_CODER_COUNT(1, class_index, symbol);
    coder_put_symbol(encoder, &encoder->tables->groups[class_index], symbol);
}

NN_PRIVATE void nn_get_group(nn_decoder* decoder, unsigned class_index, unsigned digits[3])
{
    unsigned symbol = coder_get_symbol(decoder, &decoder->tables->groups[class_index]) + 1;
    digits[0] = symbol & 3;
    digits[1] = symbol >> 2 & 3;
    digits[2] = symbol >> 4;
}
