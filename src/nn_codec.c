/* nn_codec - events and residuals of rows. */
#include "nn_codec.h"

#include "nn_row.h"

/* ---- what both directions know of a record before it */

/* Components with residuals; 0 for fields that are coded whole. */
static unsigned codec_components(const nn_field_plan* field)
{
    switch (field->kind) {
    case NECPNET_FIELD_BOOL:
    case NECPNET_FIELD_ENUM: return 0;
    default: return field->components;
    }
}

/* Word of a field's first component in the row, and from one to the next. */
static unsigned codec_word(const nn_field_plan* field)
{
    return field->word + (field->kind == NECPNET_FIELD_QUAT ? 1u : 0u);
}

static unsigned codec_stride(const nn_field_plan* field)
{
    return field->wide ? 2 : 1;
}

static uint32_t codec_mean_error(const nn_field_plan* field, const nn_prediction* prediction)
{
    const uint32_t* error = prediction->error + codec_word(field);
    switch (field->components) {
    case 1: return error[0];
    case 2: return (uint32_t)(((uint64_t)error[0] + error[codec_stride(field)]) / 2);
    case 3: return (uint32_t)(((uint64_t)error[0] + error[1] + error[2]) / 3); /* vectors are not wide */
    default: return 0;
    }
}

static unsigned codec_changed_context(const nn_field_plan* field, const nn_prediction* prediction, unsigned* out_class)
{
    unsigned shift;
    unsigned count = codec_components(field);
    *out_class = 0;
    if (!count) return NN_CONTEXT_WHOLE + (unsigned)field->kind;
    *out_class = nn_coder_class(codec_mean_error(field, prediction), &shift);
    return NN_CONTEXT_CHANGED + (count - 1) * NN_CLASSES + *out_class;
}

static unsigned codec_turn_context(const nn_prediction* prediction, unsigned index)
{
    uint64_t ratio = (uint64_t)prediction->turn_margin[index] * 4 / ((uint64_t)prediction->group_error[index] + 32);
    unsigned bits = nn_bits_for(ratio);
    return NN_CONTEXT_TURN + (bits > 7 ? 7 : bits);
}

/* What is known of a record before it. */
typedef struct codec_record {
    uint64_t moving; /* bits of fields that the client sees */
    uint64_t quiet;
    bool first; /* a first event says if something out of the way comes */
    nn_event_list events;
    uint8_t classes[NECPNET_FIELDS_MAX]; /* of moving fields */
} codec_record;

/* Its events without their values. */
static void codec_begin(codec_record* record, const nn_type_plan* plan, const nn_prediction* prediction, bool owner,
                        bool may_skip)
{
    nn_event_list* events = &record->events;
    record->moving = plan->visible[owner] & prediction->moving;
    record->quiet = plan->visible[owner] & ~prediction->moving;
    record->first = may_skip || prediction->moving;
    events->count = 0;
    if (record->first) {
        unsigned quiet = nn_bit_count(record->quiet);
        nn_event_add(events, NN_CONTEXT_EXCEPTION + (quiet < 7 ? quiet : 7), 0);
    }
    for (uint64_t moving = record->moving; moving; moving &= moving - 1) {
        unsigned i = nn_lowest_bit(moving);
        unsigned class_index;
        nn_event_add(events, codec_changed_context(&plan->fields[i], prediction, &class_index), 0);
        record->classes[i] = (uint8_t)class_index;
        if (plan->fields[i].kind == NECPNET_FIELD_QUAT) nn_event_add(events, codec_turn_context(prediction, i), 0);
    }
}

static void codec_list_quiet(const nn_type_plan* plan, uint64_t quiet, nn_event_list* events)
{
    events->count = 0;
    for (; quiet; quiet &= quiet - 1) {
        nn_event_add(events, NN_CONTEXT_QUIET + plan->fields[nn_lowest_bit(quiet)].kind, 0);
    }
}

static bool codec_is_certain(const nn_tables* tables, unsigned context)
{
    return tables->event_levels[context] == NN_EVENT_NONE;
}

/* ---- numbers */

static uint64_t codec_load(const nn_field_plan* field, const uint32_t* words)
{
    return field->wide ? (uint64_t)words[0] | (uint64_t)words[1] << 32 : words[0];
}

static int64_t codec_residual(const nn_field_plan* field, uint64_t from, uint64_t to)
{
    int64_t way = (int64_t)(to - from);
    if (field->kind == NECPNET_FIELD_ANGLE) {
        int64_t turn = (int64_t)field->range + 1;
        if (way > turn / 2) way -= turn;
        if (way < -(turn / 2)) way += turn;
    }
    return way;
}

/* Adds a residual to the predicted word in place. False when it leads out of
 * the range. */
static bool codec_apply(const nn_field_plan* field, uint32_t* words, int64_t residual)
{
    int64_t value = (int64_t)codec_load(field, words) + residual;
    if (field->kind == NECPNET_FIELD_ANGLE) {
        int64_t turn = (int64_t)field->range + 1;
        if (value < 0) value += turn;
        if (value >= turn) value -= turn;
    }
    if (value < 0 || (uint64_t)value > field->range) return false;
    words[0] = (uint32_t)value;
    if (field->wide) words[1] = (uint32_t)((uint64_t)value >> 32);
    return true;
}

/* How the components of one field are coded, one after the other. */
typedef struct codec_field {
    const nn_field_plan* field;
    const nn_prediction* prediction;
    unsigned word; /* of its first component in the row */
    unsigned stride;
    unsigned class_index; /* of the whole field */
    bool fresh;           /* it was quiet: nothing is known of its errors */
    bool together;        /* as a group of three */
    bool known_changed;   /* not all residuals are 0 */
    uint64_t seen;        /* sizes of the residuals before */
} codec_field;

static unsigned codec_class(const codec_field* at, unsigned component, unsigned* out_shift)
{
    uint64_t mean = component == 2 ? at->seen * 64 : component ? at->seen * 128 : 0;
    *out_shift = 0;
    if (at->fresh && !component) return NN_CLASS_NEW;
    if (at->fresh) return nn_coder_class((uint32_t)nn_min_u64(mean, UINT32_MAX), out_shift);
    uint64_t error = at->prediction->error[at->word + component * at->stride];
    if (component) error = (5 * error + 3 * mean) / 8;
    return nn_coder_class((uint32_t)nn_min_u64(error, UINT32_MAX), out_shift);
}

/* The least that the size of a component can be: 1 for the only one of a field
 * that changed. */
static unsigned codec_least(const codec_field* at, unsigned component)
{
    return at->known_changed && !at->seen && component + 1 == at->field->components;
}

static void codec_put_number(nn_encoder* encoder, codec_field* at, unsigned component, int64_t residual)
{
    unsigned shift;
    unsigned class_index = codec_class(at, component, &shift);
    uint64_t size = residual < 0 ? (uint64_t)-residual : (uint64_t)residual;
    nn_put_size(encoder, class_index, shift, size - codec_least(at, component));
    if (size) {
        int lean = at->fresh ? 0 : at->prediction->lean[at->word + component * at->stride];
        nn_put_sign(encoder, class_index, lean, residual < 0);
    }
    at->seen += size;
}

static int64_t codec_get_number(nn_decoder* decoder, codec_field* at, unsigned component)
{
    unsigned shift;
    unsigned class_index = codec_class(at, component, &shift);
    uint64_t size = nn_get_size(decoder, class_index, shift) + codec_least(at, component);
    if (decoder->bits.failed) return 0;
    int lean = at->fresh ? 0 : at->prediction->lean[at->word + component * at->stride];
    bool negative = size && nn_get_sign(decoder, class_index, lean);
    at->seen += size;
    return negative ? -(int64_t)size : (int64_t)size;
}

static void codec_put_group(nn_encoder* encoder, const codec_field* at, const int64_t residuals[3])
{
    unsigned digits[3];
    for (unsigned i = 0; i < 3; i++) {
        digits[i] = residuals[i] == 0 ? 0 : residuals[i] == 1 ? 1 : residuals[i] == -1 ? 2 : 3;
    }
    nn_put_group(encoder, at->class_index, digits);
    for (unsigned i = 0; i < 3; i++) {
        if (digits[i] != 3) continue;
        uint64_t size = residuals[i] < 0 ? (uint64_t)-residuals[i] : (uint64_t)residuals[i];
        nn_put_size(encoder, NN_CLASS_OTHER, 0, size - 2);
        nn_put_sign(encoder, NN_CLASS_OTHER, 0, residuals[i] < 0);
    }
}

static void codec_get_group(nn_decoder* decoder, const codec_field* at, int64_t residuals[3])
{
    unsigned digits[3];
    nn_get_group(decoder, at->class_index, digits);
    for (unsigned i = 0; i < 3; i++) {
        residuals[i] = digits[i] == 1 ? 1 : digits[i] == 2 ? -1 : 0;
        if (digits[i] != 3) continue;
        int64_t size = (int64_t)nn_get_size(decoder, NN_CLASS_OTHER, 0) + 2;
        residuals[i] = nn_get_sign(decoder, NN_CLASS_OTHER, 0) ? -size : size;
    }
}

/* A field that changed; certain: it was not said, and may still have no
 * residual. */
static codec_field codec_field_of(const nn_field_plan* field, const nn_prediction* prediction, unsigned class_index,
                                  bool certain, bool thin)
{
    codec_field at;
    at.field = field;
    at.prediction = prediction;
    at.word = codec_word(field);
    at.stride = codec_stride(field);
    at.class_index = class_index;
    at.fresh = false;
    at.known_changed = !certain;
    at.together = !thin && !certain && field->components == 3 && class_index < NN_GROUP_CLASSES;
    at.seen = 0;
    return at;
}

/* One that was quiet. */
static codec_field codec_fresh_field_of(const nn_field_plan* field, const nn_prediction* prediction)
{
    codec_field at = codec_field_of(field, prediction, 0, false, true);
    at.fresh = true;
    return at;
}

/* turned: the quaternion has another largest component than predicted; row's
 * stands for it already. */
static void codec_put_numbers(nn_encoder* encoder, codec_field* at, const uint32_t* from, const uint32_t* row,
                              bool turned)
{
    int64_t residuals[3];
    const nn_field_plan* field = at->field;
    if (turned) at->known_changed = at->together = false;
    from += at->word - field->word;
    row += at->word;
    for (unsigned i = 0; i < field->components; i++, from += at->stride, row += at->stride) {
        residuals[i] = codec_residual(field, codec_load(field, from), codec_load(field, row));
    }
    if (at->together) {
        codec_put_group(encoder, at, residuals);
        return;
    }
    for (unsigned i = 0; i < field->components; i++) codec_put_number(encoder, at, i, residuals[i]);
}

static bool codec_get_numbers(nn_decoder* decoder, codec_field* at, uint32_t* row, bool turned)
{
    int64_t residuals[3] = {0, 0, 0};
    const nn_field_plan* field = at->field;
    if (turned) at->known_changed = at->together = false;
    if (at->together) codec_get_group(decoder, at, residuals);
    for (unsigned i = 0; i < field->components; i++) {
        if (!at->together) residuals[i] = codec_get_number(decoder, at, i);
        if (decoder->bits.failed || !codec_apply(field, row + at->word + i * at->stride, residuals[i])) return false;
    }
    return true;
}

/* ---- turned quaternions: which component is the largest now */

/* Numbers 0 .. 2 of the others than the predicted largest, the larger ones
 * first. */
static void codec_order_turns(const nn_field_plan* field, const uint32_t* predicted, unsigned order[3])
{
    int64_t middle = (int64_t)(field->range / 2);
    int64_t sizes[3];
    unsigned place = 0;
    for (unsigned i = 0; i < 4; i++) {
        if (i == predicted[0]) continue;
        int64_t value = (int64_t)predicted[1 + place] - middle;
        unsigned at = place++;
        value = value < 0 ? -value : value;
        for (; at > 0 && sizes[at - 1] < value; at--) {
            sizes[at] = sizes[at - 1];
            order[at] = order[at - 1];
        }
        sizes[at] = value;
        order[at] = i;
    }
}

static void codec_put_turn(nn_encoder* encoder, const nn_field_plan* field, const uint32_t* predicted, unsigned largest)
{
    unsigned order[3];
    codec_order_turns(field, predicted, order);
    nn_put_bits(encoder, largest != order[0], 1);
    if (largest != order[0]) nn_put_bits(encoder, largest == order[2], 1);
}

static unsigned codec_get_turn(nn_decoder* decoder, const nn_field_plan* field, const uint32_t* predicted)
{
    unsigned order[3];
    codec_order_turns(field, predicted, order);
    if (!nn_get_bits(decoder, 1)) return order[0];
    return order[1 + nn_get_bits(decoder, 1)];
}

/* ---- texts, bytes and arrays: their items */

/* The changed range of items; where they have a length, first the new one,
 * which the range does not exceed. */
static void codec_put_items(nn_encoder* encoder, const nn_field_plan* field, const uint32_t* from, const uint32_t* row)
{
    uint32_t begin = 0;
    uint32_t end = field->field->count;
    if (field->has_length) {
        end = *row++;
        from++;
        nn_put_bits(encoder, end, field->bits);
    }
    while (begin < end && nn_row_item_equal(field, from, row, begin)) begin++;
    while (end > begin && nn_row_item_equal(field, from, row, end - 1)) end--;
    nn_put_bits(encoder, begin, field->bits);
    nn_put_bits(encoder, end - begin, nn_bits_for(field->field->count - begin));
    nn_row_put_items(field, encoder, row, begin, end);
}

/* row holds what was predicted. */
static bool codec_get_items(nn_decoder* decoder, const nn_field_plan* field, uint32_t* row)
{
    uint32_t length = field->field->count;
    if (field->has_length) {
        length = (uint32_t)nn_get_bits(decoder, field->bits);
        if (length > nn_field_length_max(field->field)) return false;
        *row++ = length;
        nn_row_clear_items(field, row, length);
    }
    uint32_t begin = (uint32_t)nn_get_bits(decoder, field->bits);
    if (begin > length) return false;
    uint32_t count = (uint32_t)nn_get_bits(decoder, nn_bits_for(field->field->count - begin));
    if (count > length - begin || !nn_row_get_items(field, decoder, row, begin, begin + count)) return false;
    for (uint32_t i = 0; field->kind == NECPNET_FIELD_STRING && i < length; i++) {
        if (!(row[i >> 2] >> (8 * (i & 3)) & 0xff)) return false; /* a NUL inside would make two rows of one text */
    }
    return true;
}

/* ---- fields */

/* A field that is not as predicted. */
static void codec_put_field(nn_encoder* encoder, codec_field* at, const uint32_t* row, bool turned)
{
    const nn_field_plan* field = at->field;
    const uint32_t* predicted = at->prediction->row + field->word;
    uint32_t other[4];
    switch (field->kind) {
    case NECPNET_FIELD_BOOL: break; /* the other one */
    case NECPNET_FIELD_ENUM: nn_put_bits(encoder, row[field->word], field->bits); break;
    case NECPNET_FIELD_ENTITY: nn_put_bits(encoder, row[field->word], 32); break;
    case NECPNET_FIELD_STRING:
    case NECPNET_FIELD_BYTES: codec_put_items(encoder, field, predicted, row + field->word); break;
    default:
        if (turned) {
            codec_put_turn(encoder, field, predicted, row[field->word]);
            nn_quaternion_turn(field, predicted, row[field->word], other);
        }
        codec_put_numbers(encoder, at, turned ? other : predicted, row, turned);
        break;
    }
}

/* row holds what was predicted. */
static bool codec_get_field(nn_decoder* decoder, codec_field* at, uint32_t* row, bool turned)
{
    const nn_field_plan* field = at->field;
    const uint32_t* predicted = at->prediction->row + field->word;
    uint32_t* words = row + field->word;
    switch (field->kind) {
    case NECPNET_FIELD_BOOL: words[0] ^= 1; return true;
    case NECPNET_FIELD_ENUM:
        words[0] = (uint32_t)nn_get_bits(decoder, field->bits);
        return words[0] <= field->range && !decoder->bits.failed;
    case NECPNET_FIELD_ENTITY: words[0] = (uint32_t)nn_get_bits(decoder, 32); return !decoder->bits.failed;
    case NECPNET_FIELD_STRING:
    case NECPNET_FIELD_BYTES: return codec_get_items(decoder, field, words);
    default:
        if (turned) nn_quaternion_turn(field, predicted, codec_get_turn(decoder, field, predicted), words);
        return codec_get_numbers(decoder, at, row, turned);
    }
}

static bool codec_field_differs(const nn_field_plan* field, const uint32_t* a, const uint32_t* b)
{
    for (unsigned i = 0; i < field->words; i++) {
        if (a[field->word + i] != b[field->word + i]) return true;
    }
    return false;
}

static bool codec_is_turned(const nn_field_plan* field, const uint32_t* predicted, const uint32_t* row)
{
    return field->kind == NECPNET_FIELD_QUAT && predicted[field->word] != row[field->word];
}

/* ---- records */

/* Those of some fields that differ. */
static uint64_t codec_find_changed(const nn_type_plan* plan, uint64_t fields, const uint32_t* a, const uint32_t* b)
{
    uint64_t changed = 0;
    for (; fields; fields &= fields - 1) {
        unsigned i = nn_lowest_bit(fields);
        const nn_field_plan* field = &plan->fields[i];
        bool differs = field->words == 1 ? a[field->word] != b[field->word] : codec_field_differs(field, a, b);
        changed |= (uint64_t)differs << i;
    }
    return changed;
}

static void codec_write_quiet(nn_encoder* encoder, const nn_type_plan* plan, const nn_prediction* prediction,
                              uint64_t quiet, uint64_t changed, const uint32_t* row)
{
    nn_event_list events;
    unsigned place = 0;
    codec_list_quiet(plan, quiet, &events);
    for (; quiet; quiet &= quiet - 1) events.values[place++] = changed >> nn_lowest_bit(quiet) & 1;
    nn_put_events(encoder, &events);
    NN_CODEC_SPENT(encoder, NN_CODEC_EVENTS);
    for (; changed; changed &= changed - 1) {
        unsigned i = nn_lowest_bit(changed);
        const nn_field_plan* field = &plan->fields[i];
        codec_field at = codec_fresh_field_of(field, prediction);
        bool turned = codec_is_turned(field, prediction->row, row);
        if (field->kind == NECPNET_FIELD_QUAT) nn_put_bits(encoder, turned, 1);
        codec_put_field(encoder, &at, row, turned);
        NN_CODEC_SPENT(encoder, (int)i);
    }
}

NN_PRIVATE void nn_codec_write(nn_encoder* encoder, const nn_type_plan* plan, const nn_prediction* prediction,
                               const uint32_t* row, bool owner, bool may_skip)
{
    codec_record record;
    nn_event_list* events = &record.events;
    codec_begin(&record, plan, prediction, owner, may_skip);
    uint64_t quiet_changed = codec_find_changed(plan, record.quiet, prediction->row, row);
    uint64_t changed = codec_find_changed(plan, record.moving, prediction->row, row);
    unsigned place = record.first ? 1 : 0;
    if (record.first) events->values[0] = quiet_changed != 0;
    for (uint64_t moving = record.moving; moving; moving &= moving - 1) {
        unsigned i = nn_lowest_bit(moving);
        const nn_field_plan* field = &plan->fields[i];
        events->values[place++] = changed >> i & 1;
        if (field->kind == NECPNET_FIELD_QUAT) events->values[place++] = codec_is_turned(field, prediction->row, row);
    }
    NN_CODEC_SPENT(encoder, NN_CODEC_BETWEEN);
    nn_put_events(encoder, events);
    if (may_skip && quiet_changed) nn_put_bits(encoder, 0, 1);
    NN_CODEC_SPENT(encoder, NN_CODEC_EVENTS);
    for (place = record.first ? 1 : 0; record.moving; record.moving &= record.moving - 1) {
        unsigned i = nn_lowest_bit(record.moving);
        const nn_field_plan* field = &plan->fields[i];
        bool certain = codec_is_certain(encoder->tables, events->contexts[place++]);
        bool turned = field->kind == NECPNET_FIELD_QUAT && events->values[place++];
        if (!(changed >> i & 1) && !certain) continue;
        codec_field at = codec_field_of(field, prediction, record.classes[i], certain, nn_encoder_adapts(encoder));
        codec_put_field(encoder, &at, row, turned);
        NN_CODEC_SPENT(encoder, (int)i);
    }
    if (quiet_changed || !record.first) {
        codec_write_quiet(encoder, plan, prediction, record.quiet, quiet_changed, row);
    }
}

NN_PRIVATE void nn_codec_write_skip(nn_encoder* encoder, const nn_type_plan* plan, const nn_prediction* prediction,
                                    bool owner)
{
    codec_record record;
    codec_begin(&record, plan, prediction, owner, true);
    record.events.values[0] = 1;
    nn_put_events(encoder, &record.events);
    nn_put_bits(encoder, 1, 1);
}

static bool codec_read_quiet(nn_decoder* decoder, const nn_type_plan* plan, const nn_prediction* prediction,
                             uint64_t quiet, uint32_t* row)
{
    nn_event_list events;
    unsigned place = 0;
    codec_list_quiet(plan, quiet, &events);
    nn_get_events(decoder, &events);
    for (; quiet; quiet &= quiet - 1) {
        const nn_field_plan* field = &plan->fields[nn_lowest_bit(quiet)];
        if (!events.values[place++]) continue;
        codec_field at = codec_fresh_field_of(field, prediction);
        bool turned = field->kind == NECPNET_FIELD_QUAT && nn_get_bits(decoder, 1);
        if (!codec_get_field(decoder, &at, row, turned)) return false;
    }
    return !decoder->bits.failed;
}

NN_PRIVATE nn_codec_result nn_codec_read(nn_decoder* decoder, const nn_type_plan* plan, const nn_prediction* prediction,
                                         uint32_t* row, bool owner, bool may_skip)
{
    codec_record record;
    const nn_event_list* events = &record.events;
    codec_begin(&record, plan, prediction, owner, may_skip);
    unsigned place = record.first ? 1 : 0;
    nn_get_events(decoder, &record.events);
    bool quiet = !record.first || events->values[0];
    if (may_skip && quiet && nn_get_bits(decoder, 1)) return decoder->bits.failed ? NN_CODEC_BAD : NN_CODEC_SKIP;
    memcpy(row, prediction->row, plan->row_words * sizeof(uint32_t));
    for (; record.moving; record.moving &= record.moving - 1) {
        unsigned i = nn_lowest_bit(record.moving);
        const nn_field_plan* field = &plan->fields[i];
        bool certain = codec_is_certain(decoder->tables, events->contexts[place]);
        bool changed = events->values[place++];
        bool turned = field->kind == NECPNET_FIELD_QUAT && events->values[place++];
        if (!changed) continue;
        codec_field at = codec_field_of(field, prediction, record.classes[i], certain, nn_decoder_adapts(decoder));
        if (!codec_get_field(decoder, &at, row, turned)) return NN_CODEC_BAD;
    }
    if (quiet && !codec_read_quiet(decoder, plan, prediction, record.quiet, row)) return NN_CODEC_BAD;
    return decoder->bits.failed ? NN_CODEC_BAD : NN_CODEC_ROW;
}
