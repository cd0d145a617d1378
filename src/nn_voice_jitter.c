/* nn_voice_jitter - one speaker's packets made a steady stream of 10 ms pieces. */
#include "nn_voice_jitter.h"

#define JITTER_MEMORY 256u    /* packets that the histogram remembers */
#define JITTER_WEIGHT 65536u  /* of one packet when it comes */
#define JITTER_PERCENT 99u    /* of packets that should be here in time */
#define JITTER_LOSS_FEC 655u  /* of 65,536: from 1 % on one packet more is held .. */
#define JITTER_LOSS_NONE 131u /* .. until it is less than a fifth */
#define JITTER_LATE_US 12000  /* played behind its place by more: made shorter */
#define JITTER_EARLY_US 4000  /* before it by more: longer; less than a piece, or it would run dry before */
#define JITTER_FORCE_US 60000 /* far off: also where it may be heard */
#define JITTER_UNIT NECPNET_VOICE_UNIT_SAMPLES
#define JITTER_DTX_BYTES 2u /* a packet of so few bytes says that nothing follows (RFC 6716 2.1.9) */
#define JITTER_UNKNOWN 10u  /* packets after which the way is known; before, the target is at least .. */
#define JITTER_UNKNOWN_US 30000u
#define JITTER_STALE_US 3000000 /* silence after which times are not compared with those before */

NN_PRIVATE void nn_voice_jitter_init(nn_voice_jitter* jitter, const nn_voice_jitter_config* config)
{
    memset(jitter, 0, sizeof *jitter);
    jitter->config = *config;
    jitter->target_us = config->delay_min_us;
}

static void jitter_drop(nn_voice_jitter* jitter, nn_voice_held* held)
{
    if (!held->has) return;
    if (held->data) nn_blocks_give(jitter->config.blocks, held->data, held->capacity);
    held->data = NULL;
    held->has = false;
    jitter->held_count--;
}

NN_PRIVATE void nn_voice_jitter_reset(nn_voice_jitter* jitter)
{
    for (size_t i = 0; i < NN_VOICE_SLOTS; i++) jitter_drop(jitter, &jitter->held[i]);
    nn_alloc_give(jitter->config.alloc, jitter->decoder, jitter->decoder_bytes);
    nn_alloc_give(jitter->config.alloc, jitter->fifo, NN_VOICE_FIFO_FRAMES * jitter->channels * sizeof(float));
    jitter->decoder = NULL;
    jitter->fifo = NULL;
}

static nn_voice_held* jitter_slot(nn_voice_jitter* jitter, int64_t time)
{
    return &jitter->held[(uint64_t)time & (NN_VOICE_SLOTS - 1)];
}

static nn_voice_held* jitter_find(nn_voice_jitter* jitter, int64_t time)
{
    nn_voice_held* held = jitter_slot(jitter, time);
    return held->has && held->time == time ? held : NULL;
}

/* The first packet behind a time. */
static nn_voice_held* jitter_next(nn_voice_jitter* jitter, int64_t time)
{
    if (jitter->held_count == 0) return NULL;
    for (int64_t t = time; t < time + (int64_t)NN_VOICE_SLOTS; t++) {
        nn_voice_held* held = jitter_find(jitter, t);
        if (held) return held;
    }
    return NULL;
}

/* -- the way and the target -- */

static int64_t jitter_least(const nn_voice_jitter* jitter)
{
    return jitter->least_us < jitter->least_before_us ? jitter->least_us : jitter->least_before_us;
}

static void jitter_set_target(nn_voice_jitter* jitter)
{
    uint64_t wanted = (uint64_t)jitter->bins_sum * JITTER_PERCENT / 100, sum = 0;
    uint32_t bin = 0;
    while (bin + 1 < NN_VOICE_BINS && sum + jitter->bins[bin] < wanted) sum += jitter->bins[bin++];
    uint64_t target_us = (uint64_t)(bin + 1) * NN_VOICE_BIN_US + NN_VOICE_UNIT_US; /* a piece is taken at once */
    if (jitter->loss_scaled >= JITTER_LOSS_FEC) jitter->holds_more = true;
    if (jitter->loss_scaled < JITTER_LOSS_NONE) jitter->holds_more = false;
    if (jitter->holds_more) {
        target_us += (uint64_t)(jitter->last_units ? jitter->last_units : 2) * NN_VOICE_UNIT_US;
    }
    if (jitter->packets < JITTER_UNKNOWN) target_us = nn_max_u64(target_us, JITTER_UNKNOWN_US);
    target_us = nn_max_u64(target_us, jitter->config.delay_min_us);
    jitter->target_us = (uint32_t)nn_min_u64(target_us, jitter->config.delay_max_us);
}

/* How long a packet was under way, above the least. */
static void jitter_measure(nn_voice_jitter* jitter, int64_t time, uint64_t now_us)
{
    int64_t way_us = (int64_t)now_us - time * (int64_t)NN_VOICE_UNIT_US;
    if (!jitter->has_least) {
        jitter->least_us = jitter->least_before_us = way_us;
        jitter->least_since_us = now_us;
        jitter->has_least = true;
    }
    if (now_us - jitter->least_since_us >= NN_VOICE_LEAST_US) {
        jitter->least_before_us = jitter->least_us;
        jitter->least_us = way_us;
        jitter->least_since_us = now_us;
    }
    if (way_us < jitter->least_us) jitter->least_us = way_us;
    uint64_t above_us = (uint64_t)(way_us - jitter_least(jitter));
    uint32_t bin = (uint32_t)nn_min_u64(above_us / NN_VOICE_BIN_US, NN_VOICE_BINS - 1);
    /* the first packets count for much, or the start would be all there is for seconds */
    if (jitter->packets < JITTER_MEMORY) jitter->packets++;
    jitter->bins_sum = 0;
    for (uint32_t i = 0; i < NN_VOICE_BINS; i++) {
        jitter->bins[i] -= jitter->bins[i] / jitter->packets;
        if (i == bin) jitter->bins[i] += JITTER_WEIGHT;
        jitter->bins_sum += jitter->bins[i];
    }
    uint32_t above = (uint32_t)nn_min_u64(above_us, UINT32_MAX / 32);
    jitter->jitter_us += above / 16;
    jitter->jitter_us -= jitter->jitter_us / 16;
}

/* The sequence number tells how many did not come; what comes later after all is taken back. False: it came before. */
static bool jitter_count_loss(nn_voice_jitter* jitter, uint8_t sequence)
{
    int ahead = (int8_t)(uint8_t)(sequence - jitter->last_sequence);
    if (ahead > 0) {
        jitter->seen = ahead < 64 ? jitter->seen << ahead | 1u : 1u;
        for (int i = 1; i < ahead; i++) jitter->loss_scaled += (65536 - jitter->loss_scaled) / 128;
        jitter->loss_scaled -= jitter->loss_scaled / 128;
        jitter->counts.lost += (uint64_t)(ahead - 1);
        jitter->report_lost += (uint32_t)(ahead - 1);
        jitter->report_expected += (uint32_t)ahead;
        jitter->last_sequence = sequence;
        return true;
    }
    if (-ahead < 64) {
        if (jitter->seen >> -ahead & 1u) return false;
        jitter->seen |= UINT64_C(1) << -ahead;
    }
    if (jitter->counts.lost) jitter->counts.lost--;
    if (jitter->report_lost) jitter->report_lost--;
    uint32_t one = (65536 - jitter->loss_scaled) / 128;
    jitter->loss_scaled -= one < jitter->loss_scaled ? one : jitter->loss_scaled;
    return true;
}

/* -- adding -- */

/* The full time of a packet: the one nearest to the newest, or after silence to where the clock says it is. */
static int64_t jitter_unwrap(const nn_voice_jitter* jitter, uint16_t time, uint64_t now_us)
{
    if (!jitter->has_time) return (int64_t)NN_VOICE_TIMES * 4 + time;
    int64_t about = jitter->newest + (int64_t)((now_us - jitter->newest_at_us) / NN_VOICE_UNIT_US);
    int64_t off = ((int64_t)time - about) % (int64_t)NN_VOICE_TIMES;
    if (off >= (int64_t)NN_VOICE_TIMES / 2) off -= (int64_t)NN_VOICE_TIMES;
    if (off < -(int64_t)NN_VOICE_TIMES / 2) off += (int64_t)NN_VOICE_TIMES;
    return about + off;
}

/* A new talk after silence, or a sender that began anew: what was measured of the way stays, what waits to be played not. */
static void jitter_begin_anew(nn_voice_jitter* jitter)
{
    for (size_t i = 0; i < NN_VOICE_SLOTS; i++) jitter_drop(jitter, &jitter->held[i]);
    jitter->play = NN_VOICE_IDLE;
    jitter->has_at_sequence = false;
    jitter->fifo_frames = 0;
    jitter->stalled = 0;
    jitter->in_comfort = jitter->in_pause = false;
}

static necpnet_result jitter_make_decoder(nn_voice_jitter* jitter, const nn_voice_codec* codec,
                                          const nn_voice_frame* frame)
{
    nn_opus_facts facts;
    if (jitter->decoder) return jitter->codec == codec ? NECPNET_OK : NECPNET_ERR_BAD_DATA;
    if (frame->bytes == 0) return NECPNET_OK;
    bool is_stereo =
        codec->kind == NN_VOICE_CODEC_OPUS && nn_opus_read(frame->payload, frame->bytes, &facts) && facts.is_stereo;
    nn_alloc* alloc = jitter->config.alloc;
    uint32_t channels = is_stereo ? 2 : 1;
    size_t bytes = codec->decoder_bytes(channels);
    size_t fifo_bytes = NN_VOICE_FIFO_FRAMES * channels * sizeof(float);
    void* decoder = nn_alloc_take(alloc, bytes);
    float* fifo = (float*)nn_alloc_take(alloc, fifo_bytes);
    if (!decoder || !fifo || !codec->decoder_begin(decoder, channels)) {
        nn_alloc_give(alloc, decoder, bytes);
        nn_alloc_give(alloc, fifo, fifo_bytes);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    jitter->codec = codec;
    jitter->decoder = decoder;
    jitter->decoder_bytes = bytes;
    jitter->fifo = fifo;
    jitter->channels = channels;
    return NECPNET_OK;
}

/* What a packet's time and number tell. False: it came before. */
static bool jitter_note(nn_voice_jitter* jitter, const nn_voice_frame* frame, uint32_t units, uint64_t now_us,
                        int64_t* out_time)
{
    int64_t time = jitter_unwrap(jitter, frame->time, now_us);
    bool is_first = !jitter->has_time;
    bool is_anew = !is_first && (now_us - jitter->newest_at_us > JITTER_STALE_US ||
                                 time > jitter->newest + (int64_t)NN_VOICE_TIMES / 4);
    if (is_first || is_anew) {
        if (is_anew) jitter_begin_anew(jitter);
        jitter->has_time = true;
        jitter->newest = time;
        jitter->newest_at_us = now_us;
        jitter->last_sequence = (uint8_t)(frame->sequence - 1);
        jitter->seen = 0;
    }
    jitter->counts.received++;
    if (!jitter_count_loss(jitter, frame->sequence) || jitter_find(jitter, time)) {
        jitter->counts.duplicate++;
        return false;
    }
    jitter_measure(jitter, time, now_us);
    if (units) jitter->last_units = (uint8_t)units;
    jitter_set_target(jitter);
    if (time > jitter->newest) {
        jitter->newest = time;
        jitter->newest_at_us = now_us;
    }
    *out_time = time;
    return true;
}

NN_PRIVATE bool nn_voice_jitter_observe(nn_voice_jitter* jitter, const nn_voice_frame* frame, uint64_t now_us)
{
    int64_t time;
    return jitter_note(jitter, frame, 0, nn_max_u64(now_us, jitter->newest_at_us), &time);
}

NN_PRIVATE necpnet_result nn_voice_jitter_add(nn_voice_jitter* jitter, const nn_voice_codec* codec,
                                              const nn_voice_frame* frame, uint32_t units, uint64_t now_us)
{
    int64_t time;
    necpnet_result result = jitter_make_decoder(jitter, codec, frame);
    now_us = nn_max_u64(now_us, jitter->newest_at_us);
    if (result) {
        jitter->counts.refused++;
        return result;
    }
    if (!jitter_note(jitter, frame, units, now_us, &time)) return NECPNET_OK;
    if (jitter->play == NN_VOICE_PLAYING && time < jitter->at) {
        jitter->counts.late++;
        return NECPNET_OK;
    }
    nn_voice_held* held = jitter_slot(jitter, time);
    if (held->has && held->time > time) { /* far behind: there is no room for both */
        jitter->counts.late++;
        return NECPNET_OK;
    }
    jitter_drop(jitter, held);
    held->data = NULL;
    if (frame->bytes) {
        held->data = (uint8_t*)nn_blocks_take(jitter->config.blocks, frame->bytes, &held->capacity);
        if (!held->data) return NECPNET_ERR_OUT_OF_MEMORY;
        memcpy(held->data, frame->payload, frame->bytes);
    }
    held->time = time;
    held->bytes = (uint16_t)frame->bytes;
    held->codec = frame->codec;
    held->sequence = frame->sequence;
    held->units = (uint8_t)units;
    held->has = true;
    jitter->held_count++;
    return NECPNET_OK;
}

/* -- playing -- */

/* How far behind its place the next sample to be heard is; negative: before it. */
static int64_t jitter_behind_us(const nn_voice_jitter* jitter, uint64_t now_us)
{
    int64_t heard_us = jitter->at * (int64_t)NN_VOICE_UNIT_US - (int64_t)jitter->fifo_frames * 1000 / 48;
    return (int64_t)now_us - (jitter_least(jitter) + heard_us + (int64_t)jitter->target_us);
}

/* units of sound behind what waits; false: the decoder refuses, silence is put there. */
static void jitter_decode(nn_voice_jitter* jitter, const uint8_t* data, size_t bytes, bool fec, uint32_t units)
{
    float* to = jitter->fifo + jitter->fifo_frames * jitter->channels;
    size_t frames = (size_t)units * JITTER_UNIT;
    if (!jitter->codec->decode(jitter->decoder, data, bytes, fec, to, units)) {
        memset(to, 0, frames * jitter->channels * sizeof *to);
        jitter->counts.refused++;
    }
    jitter->fifo_frames += frames;
}

/* What was just decoded, made shorter or longer when it stands too far from its place. */
static void jitter_correct(nn_voice_jitter* jitter, size_t from, uint64_t now_us)
{
    int64_t behind_us = jitter_behind_us(jitter, now_us);
    jitter->error_us += (behind_us - jitter->error_us) / 4;
    bool shorter = jitter->error_us > JITTER_LATE_US && behind_us > JITTER_LATE_US;
    bool longer = jitter->error_us < -JITTER_EARLY_US && behind_us < -JITTER_EARLY_US;
    if (!shorter && !longer) return;
    bool forced = behind_us > JITTER_FORCE_US || behind_us < -JITTER_FORCE_US;
    size_t before = jitter->fifo_frames - from;
    size_t after = nn_voice_stretch(jitter->fifo + from * jitter->channels, before, jitter->channels, longer, forced);
    jitter->fifo_frames = from + after;
    if (after < before) jitter->counts.shortened += before - after;
    if (after > before) jitter->counts.lengthened += after - before;
    jitter->error_us += ((int64_t)after - (int64_t)before) * 1000 / 48;
}

static void jitter_play_packet(nn_voice_jitter* jitter, nn_voice_held* held, uint64_t now_us)
{
    size_t from = jitter->fifo_frames;
    jitter->at_sequence = held->sequence;
    jitter->has_at_sequence = true;
    jitter->stalled = 0;
    jitter->in_pause = held->bytes == 0;
    jitter->in_comfort = held->bytes > 0 && held->bytes <= JITTER_DTX_BYTES;
    jitter->comfort_left = NN_VOICE_COMFORT_UNITS;
    if (held->bytes) {
        jitter_decode(jitter, held->data, held->bytes, false, held->units);
        jitter->counts.decoded += held->units;
        jitter->at = held->time + held->units;
        jitter_correct(jitter, from, now_us);
    }
    jitter_drop(jitter, held);
}

/* The decoder goes on by itself for one unit. */
static void jitter_conceal(nn_voice_jitter* jitter, uint64_t* count)
{
    jitter_decode(jitter, NULL, 0, false, 1);
    (*count)++;
}

/* A packet is missing and a later one is here. */
static void jitter_play_gap(nn_voice_jitter* jitter, nn_voice_held* next, uint64_t now_us)
{
    int64_t gap = next->time - jitter->at;
    bool is_pause = jitter->has_at_sequence && (uint8_t)(next->sequence - jitter->at_sequence) == 1;
    if (is_pause) {
        /* its place tells when it goes on; noise or silence until then, nothing to catch up with */
        int64_t place_us = jitter_least(jitter) + next->time * (int64_t)NN_VOICE_UNIT_US + (int64_t)jitter->target_us;
        if ((int64_t)now_us + (int64_t)jitter->fifo_frames * 1000 / 48 + NN_VOICE_UNIT_US / 2 >= place_us) {
            jitter->at = next->time;
            return;
        }
        jitter_conceal(jitter, jitter->in_comfort ? &jitter->counts.comfort : &jitter->counts.concealed);
        jitter->at = gap > 1 ? jitter->at + 1 : jitter->at;
        return;
    }
    if (jitter->stalled) { /* time that was made up already is the lost packet's */
        int64_t over = gap < (int64_t)jitter->stalled ? gap : (int64_t)jitter->stalled;
        jitter->at += over;
        jitter->stalled = 0;
        return;
    }
    if (gap == jitter->last_units && next->bytes) {
        nn_opus_facts facts;
        bool has_fec =
            next->codec == NN_VOICE_CODEC_OPUS && nn_opus_read(next->data, next->bytes, &facts) && facts.has_fec;
        if (has_fec) {
            jitter_decode(jitter, next->data, next->bytes, true, (uint32_t)gap);
            jitter->counts.recovered += (uint64_t)gap;
            jitter->at += gap;
            return;
        }
    }
    jitter_conceal(jitter, &jitter->counts.concealed);
    jitter->at++;
}

/* More sound behind what waits; false: there is none for now. */
static bool jitter_step(nn_voice_jitter* jitter, uint64_t now_us)
{
    nn_voice_held* held = jitter_find(jitter, jitter->at);
    if (held) {
        jitter_play_packet(jitter, held, now_us);
        return true;
    }
    nn_voice_held* next = jitter_next(jitter, jitter->at);
    if (next) {
        jitter_play_gap(jitter, next, now_us);
        return true;
    }
    if (jitter->in_pause) return false;
    if (jitter->in_comfort) {
        if (jitter->comfort_left == 0) return false;
        jitter->comfort_left--;
        jitter_conceal(jitter, &jitter->counts.comfort);
        jitter->at++;
        return true;
    }
    if (jitter->stalled >= NN_VOICE_STALL_UNITS) return false;
    jitter->stalled++;
    jitter_conceal(jitter, &jitter->counts.concealed);
    return true;
}

/* Whether the first packet that waits has its time. */
static bool jitter_may_begin(nn_voice_jitter* jitter, uint64_t now_us)
{
    nn_voice_held* first = NULL;
    for (size_t i = 0; i < NN_VOICE_SLOTS; i++) {
        nn_voice_held* held = &jitter->held[i];
        if (held->has && (!first || held->time < first->time)) first = held;
    }
    if (!first || !jitter->decoder) return false;
    if (first->bytes == 0) { /* an end without a beginning */
        jitter->at_sequence = first->sequence;
        jitter->has_at_sequence = true;
        jitter_drop(jitter, first);
        return false;
    }
    int64_t place_us = jitter_least(jitter) + first->time * (int64_t)NN_VOICE_UNIT_US + (int64_t)jitter->target_us;
    if ((int64_t)now_us < place_us) return false;
    jitter->at = first->time;
    jitter->play = NN_VOICE_PLAYING;
    jitter->stalled = 0;
    jitter->error_us = 0;
    jitter->in_pause = jitter->in_comfort = false;
    return true;
}

NN_PRIVATE bool nn_voice_jitter_pull(nn_voice_jitter* jitter, float* out, uint64_t now_us)
{
    jitter->is_audible = false;
    if (jitter->play == NN_VOICE_IDLE && !jitter_may_begin(jitter, now_us)) return false;
    while (jitter->fifo_frames < JITTER_UNIT && jitter_step(jitter, now_us)) continue;
    if (jitter->fifo_frames < JITTER_UNIT) { /* nothing more comes: the rest, faded by the decoder, is let go */
        jitter->play = NN_VOICE_IDLE;
        jitter->fifo_frames = 0;
        return false;
    }
    size_t samples = (size_t)JITTER_UNIT * jitter->channels;
    memcpy(out, jitter->fifo, samples * sizeof *out);
    jitter->fifo_frames -= JITTER_UNIT;
    memmove(jitter->fifo, jitter->fifo + samples, jitter->fifo_frames * jitter->channels * sizeof *out);
    jitter->is_audible = !jitter->in_comfort;
    return true;
}

NN_PRIVATE bool nn_voice_jitter_report(nn_voice_jitter* jitter, uint8_t* out_loss, uint8_t* out_jitter_ms)
{
    if (jitter->report_expected == 0) return false;
    uint32_t loss = jitter->report_lost * 255 / jitter->report_expected;
    if (loss == 0 && jitter->report_lost) loss = 1;
    *out_loss = (uint8_t)(loss > 255 ? 255 : loss);
    *out_jitter_ms = (uint8_t)nn_min_u64(jitter->jitter_us / 1000, 255);
    jitter->report_lost = jitter->report_expected = 0;
    return true;
}
