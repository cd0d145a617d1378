/* nn_codec - events and residuals of rows. */
#include "nn_codec.h"

#include "nn_row.h"

/* ---- what both directions know of a record before it */

static bool codec_is_moving(const nn_prediction* prediction, unsigned index)
{
    return prediction->moving >> index & 1;
}

/* Components with residuals; 0 for fields that are coded whole. */
static unsigned codec_components(const nn_field_plan* field)
{
    switch (field->kind) {
    case NECPNET_FIELD_BOOL:
    case NECPNET_FIELD_ENUM: return 0;
    default: return field->components;
    }
}

/* Word of a component in the row. */
static unsigned codec_word(const nn_field_plan* field, unsigned component)
{
    if (field->kind == NECPNET_FIELD_QUAT) return field->word + 1u + component;
    return field->word + component * (field->wide ? 2u : 1u);
}

static uint32_t codec_mean_error(const nn_field_plan* field, const nn_prediction* prediction)
{
    uint64_t sum = 0;
    unsigned count = field->components;
    for (unsigned i = 0; i < count; i++) sum += prediction->error[codec_word(field, i)];
    return (uint32_t)(count == 3 ? sum / 3 : count == 2 ? sum / 2 : sum);
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

/* The events of a record without their values. Returns whether a first event says if something out of the way comes. */
static bool codec_list_events(const nn_type_plan* plan, const nn_prediction* prediction, bool owner, bool may_skip,
                              nn_event_list* events)
{
    unsigned class_index;
    unsigned quiet = 0;
    bool moving = may_skip || prediction->moving;
    events->count = 0;
    for (unsigned i = 0; i < plan->field_count && quiet < 7; i++) {
        if (!codec_is_moving(prediction, i) && nn_field_visible(&plan->fields[i], owner)) quiet++;
    }
    if (moving) nn_event_add(events, NN_CONTEXT_EXCEPTION + quiet, 0);
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        if (!codec_is_moving(prediction, i) || !nn_field_visible(field, owner)) continue;
        nn_event_add(events, codec_changed_context(field, prediction, &class_index), 0);
        if (field->kind == NECPNET_FIELD_QUAT) nn_event_add(events, codec_turn_context(prediction, i), 0);
    }
    return moving;
}

static void codec_list_quiet(const nn_type_plan* plan, const nn_prediction* prediction, bool owner,
                             nn_event_list* events)
{
    events->count = 0;
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        if (codec_is_moving(prediction, i) || !nn_field_visible(field, owner)) continue;
        nn_event_add(events, NN_CONTEXT_QUIET + field->kind, 0);
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

/* Adds a residual to the predicted word in place. False when it leads out of the range. */
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
    uint64_t error = at->prediction->error[codec_word(at->field, component)];
    if (component) error = (5 * error + 3 * mean) / 8;
    return nn_coder_class((uint32_t)nn_min_u64(error, UINT32_MAX), out_shift);
}

/* The least that the size of a component can be: 1 for the only one of a field that changed. */
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
        int lean = at->fresh ? 0 : at->prediction->lean[codec_word(at->field, component)];
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
    int lean = at->fresh ? 0 : at->prediction->lean[codec_word(at->field, component)];
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

static codec_field codec_field_of(const nn_tables* tables, bool thin, const nn_field_plan* field,
                                  const nn_prediction* prediction, bool fresh)
{
    codec_field at;
    memset(&at, 0, sizeof at);
    at.field = field;
    at.prediction = prediction;
    at.fresh = fresh;
    unsigned context = fresh ? 0 : codec_changed_context(field, prediction, &at.class_index);
    at.known_changed = fresh || !codec_is_certain(tables, context);
    at.together = !thin && !fresh && at.known_changed && field->components == 3 && at.class_index < NN_GROUP_CLASSES;
    return at;
}

/* turned: the quaternion has another largest component than predicted; row's stands for it already. */
static void codec_put_numbers(nn_encoder* encoder, codec_field* at, const uint32_t* from, const uint32_t* row,
                              bool turned)
{
    int64_t residuals[3];
    const nn_field_plan* field = at->field;
    if (turned) at->known_changed = at->together = false;
    for (unsigned i = 0; i < field->components; i++) {
        unsigned word = codec_word(field, i);
        residuals[i] =
            codec_residual(field, codec_load(field, from + word - field->word), codec_load(field, row + word));
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
        if (decoder->bits.failed || !codec_apply(field, row + codec_word(field, i), residuals[i])) return false;
    }
    return true;
}

/* ---- turned quaternions: which component is the largest now */

/* Numbers 0 .. 2 of the others than the predicted largest, the larger ones first. */
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

/* The changed range of items; where they have a length, first the new one, which the range does not exceed. */
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

/* Values of the events that codec_list_events lists. Returns whether a quiet field changed. */
static bool codec_set_events(const nn_type_plan* plan, const nn_prediction* prediction, const uint32_t* row, bool owner,
                             bool first, nn_event_list* events)
{
    bool quiet_changed = false;
    unsigned place = first ? 1 : 0;
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        if (!nn_field_visible(field, owner)) continue;
        bool changed = codec_field_differs(field, prediction->row, row);
        if (!codec_is_moving(prediction, i)) {
            quiet_changed = quiet_changed || changed;
            continue;
        }
        events->values[place++] = changed;
        if (field->kind == NECPNET_FIELD_QUAT) {
            events->values[place++] = codec_is_turned(field, prediction->row, row);
        }
    }
    if (first) events->values[0] = quiet_changed;
    return quiet_changed;
}

static void codec_write_quiet(nn_encoder* encoder, const nn_type_plan* plan, const nn_prediction* prediction,
                              const uint32_t* row, bool owner)
{
    nn_event_list events;
    unsigned place = 0;
    codec_list_quiet(plan, prediction, owner, &events);
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        if (codec_is_moving(prediction, i) || !nn_field_visible(field, owner)) continue;
        events.values[place++] = codec_field_differs(field, prediction->row, row);
    }
    nn_put_events(encoder, &events);
    NN_CODEC_SPENT(encoder, NN_CODEC_EVENTS);
    place = 0;
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        if (codec_is_moving(prediction, i) || !nn_field_visible(field, owner)) continue;
        if (!events.values[place++]) continue;
        codec_field at = codec_field_of(encoder->tables, nn_encoder_adapts(encoder), field, prediction, true);
        bool turned = codec_is_turned(field, prediction->row, row);
        if (field->kind == NECPNET_FIELD_QUAT) nn_put_bits(encoder, turned, 1);
        codec_put_field(encoder, &at, row, turned);
        NN_CODEC_SPENT(encoder, (int)i);
    }
}

NN_PRIVATE void nn_codec_write(nn_encoder* encoder, const nn_type_plan* plan, const nn_prediction* prediction,
                               const uint32_t* row, bool owner, bool may_skip)
{
    nn_event_list events;
    bool first = codec_list_events(plan, prediction, owner, may_skip, &events);
    bool quiet = codec_set_events(plan, prediction, row, owner, first, &events);
    unsigned place = first ? 1 : 0;
    NN_CODEC_SPENT(encoder, NN_CODEC_BETWEEN);
    nn_put_events(encoder, &events);
    if (may_skip && quiet) nn_put_bits(encoder, 0, 1);
    NN_CODEC_SPENT(encoder, NN_CODEC_EVENTS);
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        if (!codec_is_moving(prediction, i) || !nn_field_visible(field, owner)) continue;
        bool changed = events.values[place] || codec_is_certain(encoder->tables, events.contexts[place]);
        place++;
        bool turned = false;
        if (field->kind == NECPNET_FIELD_QUAT) turned = events.values[place++];
        if (!changed) continue;
        codec_field at = codec_field_of(encoder->tables, nn_encoder_adapts(encoder), field, prediction, false);
        codec_put_field(encoder, &at, row, turned);
        NN_CODEC_SPENT(encoder, (int)i);
    }
    if (quiet || !first) codec_write_quiet(encoder, plan, prediction, row, owner);
}

NN_PRIVATE void nn_codec_write_skip(nn_encoder* encoder, const nn_type_plan* plan, const nn_prediction* prediction,
                                    bool owner)
{
    nn_event_list events;
    (void)codec_list_events(plan, prediction, owner, true, &events);
    events.values[0] = 1;
    nn_put_events(encoder, &events);
    nn_put_bits(encoder, 1, 1);
}

static bool codec_read_quiet(nn_decoder* decoder, const nn_type_plan* plan, const nn_prediction* prediction,
                             uint32_t* row, bool owner)
{
    nn_event_list events;
    unsigned place = 0;
    codec_list_quiet(plan, prediction, owner, &events);
    nn_get_events(decoder, &events);
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        if (codec_is_moving(prediction, i) || !nn_field_visible(field, owner)) continue;
        if (!events.values[place++]) continue;
        codec_field at = codec_field_of(decoder->tables, nn_decoder_adapts(decoder), field, prediction, true);
        bool turned = field->kind == NECPNET_FIELD_QUAT && nn_get_bits(decoder, 1);
        if (!codec_get_field(decoder, &at, row, turned)) return false;
    }
    return !decoder->bits.failed;
}

NN_PRIVATE nn_codec_result nn_codec_read(nn_decoder* decoder, const nn_type_plan* plan, const nn_prediction* prediction,
                                         uint32_t* row, bool owner, bool may_skip)
{
    nn_event_list events;
    bool first = codec_list_events(plan, prediction, owner, may_skip, &events);
    unsigned place = first ? 1 : 0;
    nn_get_events(decoder, &events);
    bool quiet = !first || events.values[0];
    if (may_skip && quiet && nn_get_bits(decoder, 1)) return decoder->bits.failed ? NN_CODEC_BAD : NN_CODEC_SKIP;
    memcpy(row, prediction->row, plan->row_words * sizeof(uint32_t));
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        if (!codec_is_moving(prediction, i) || !nn_field_visible(field, owner)) continue;
        bool changed = events.values[place++];
        bool turned = false;
        if (field->kind == NECPNET_FIELD_QUAT) turned = events.values[place++];
        if (!changed) continue;
        codec_field at = codec_field_of(decoder->tables, nn_decoder_adapts(decoder), field, prediction, false);
        if (!codec_get_field(decoder, &at, row, turned)) return NN_CODEC_BAD;
    }
    if (quiet && !codec_read_quiet(decoder, plan, prediction, row, owner)) return NN_CODEC_BAD;
    return decoder->bits.failed ? NN_CODEC_BAD : NN_CODEC_ROW;
}
