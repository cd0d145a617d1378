/* nn_voice_hub_reports - what listeners lose, gathered by stream and told to its sender. */
#include "nn_voice_hub.h"

static const uint8_t reports_losses[NN_VOICE_BUCKETS] = {0,  5,  12, 25,
                                                         38, 51, 76, 128}; /* in 255ths: 0, 2, 5 .. 50 % */

/* What an eighth of the listeners, at least one, have or exceed: one who lies among many says little. */
static void reports_judge(const nn_voice_stream* stream, uint8_t* out_loss, uint8_t* out_jitter_ms)
{
    uint32_t total = (uint32_t)stream->now.total + stream->before.total;
    uint32_t wanted = total / 8 + 1, sum = 0;
    uint32_t bucket = NN_VOICE_BUCKETS - 1;
    for (; bucket > 0; bucket--) {
        sum += (uint32_t)stream->now.count[bucket] + stream->before.count[bucket];
        if (sum >= wanted) break;
    }
    uint32_t jitter_ms = total ? (stream->now.jitter_sum + stream->before.jitter_sum) / total : 0;
    *out_loss = reports_losses[bucket];
    *out_jitter_ms = (uint8_t)nn_min_u64(jitter_ms, 255);
}

/* Of one listener: that the sender is told soon. */
NN_PRIVATE void nn_voice_hub_take_report(nn_voice_stream* stream, uint8_t loss_told, uint8_t jitter_told_ms)
{
    necpnet_voice_hub* hub = stream->source->hub;
    uint64_t now_us = hub->now_us;
    uint32_t bucket = NN_VOICE_BUCKETS - 1;
    while (bucket > 0 && loss_told < reports_losses[bucket]) bucket--;
    if (bucket == 0 && loss_told) bucket = 1;
    if (now_us - stream->window_us >= NN_VOICE_WINDOW_US) {
        bool is_next = now_us - stream->window_us < 2 * NN_VOICE_WINDOW_US;
        stream->before = stream->now;
        if (!is_next) memset(&stream->before, 0, sizeof stream->before);
        memset(&stream->now, 0, sizeof stream->now);
        stream->window_us = now_us;
        stream->report_due = true;
    }
    if (stream->now.total < UINT16_MAX) {
        stream->now.count[bucket]++;
        stream->now.total++;
        stream->now.jitter_sum += jitter_told_ms;
        uint8_t loss, jitter_ms;
        reports_judge(stream, &loss, &jitter_ms);
        if (loss > stream->told_loss) stream->report_due = true; /* at once: the sender should know */
    }
    if (stream->report_due && hub->server.wake) hub->server.wake(hub->server.user, stream->source->peer);
}

static bool reports_hears(const nn_voice_member* member, uint32_t number)
{
    return number / 64 < member->told_words && (member->told[number / 64] >> (number & 63u) & 1u) &&
           member->source.hub->streams[number].source;
}

static void reports_take(nn_voice_member* member, const nn_voice_report* report)
{
    nn_voice_stream* stream = &member->source.hub->streams[report->number];
    if (nn_voice_is_here(stream->source)) {
        nn_voice_hub_take_report(stream, report->loss, report->jitter_ms);
    } else {
        nn_voice_relay_report(stream, report->loss, report->jitter_ms);
    }
}

/* Whether the member may report now: else one who does it over and over would be many. */
static bool reports_may_report(nn_voice_member* member)
{
    uint64_t now_us = member->source.hub->now_us;
    if (member->report_us && now_us - member->report_us < NN_VOICE_TELL_US) return false;
    member->report_us = now_us;
    return true;
}

NN_PRIVATE void nn_voice_hub_count_report(nn_voice_member* member, uint32_t group, uint8_t loss, uint8_t jitter_ms)
{
    const necpnet_voice_hub* hub = member->source.hub;
    if (!reports_may_report(member)) return;
    for (uint32_t number = 0; number < hub->stream_capacity; number++) {
        nn_voice_report report = {number, loss, jitter_ms};
        if (hub->streams[number].group == group && hub->streams[number].is_speaking && reports_hears(member, number))
            reports_take(member, &report);
    }
}

NN_PRIVATE bool nn_voice_hub_read_reports(nn_voice_member* member, nn_reader* reader)
{
    nn_voice_report reports[NN_VOICE_REPORT_ROWS_MAX];
    uint32_t count;
    if (!nn_voice_read_reports(reader, reports, &count)) return false;
    if (!reports_may_report(member)) return true;
    for (uint32_t i = 0; i < count; i++) {
        if (reports_hears(member, reports[i].number)) reports_take(member, &reports[i]);
    }
    return true;
}

NN_PRIVATE bool nn_voice_hub_report_due(const nn_voice_member* member, uint64_t now_us, uint64_t* out_at_us)
{
    bool is_due = false;
    for (int i = 0; i < NECPNET_VOICE_STREAMS_MAX; i++) {
        if (!member->source.streams[i]) continue;
        const nn_voice_stream* stream = &member->source.hub->streams[member->source.streams[i] - 1];
        if (!stream->report_due) continue;
        uint64_t at_us = stream->told_us + NN_VOICE_TELL_US;
        if (now_us >= at_us) is_due = true;
        if (out_at_us && at_us < *out_at_us) *out_at_us = at_us;
    }
    return is_due;
}

NN_PRIVATE bool nn_voice_hub_write_reports(nn_voice_member* member, nn_writer* writer, uint64_t now_us)
{
    nn_voice_report reports[NECPNET_VOICE_STREAMS_MAX];
    uint32_t count = 0;
    if (nn_writer_left(writer) < 2 + NECPNET_VOICE_STREAMS_MAX * 6) return false;
    for (uint32_t i = 0; i < NECPNET_VOICE_STREAMS_MAX; i++) {
        if (!member->source.streams[i]) continue;
        nn_voice_stream* stream = &member->source.hub->streams[member->source.streams[i] - 1];
        if (!stream->report_due || now_us < stream->told_us + NN_VOICE_TELL_US) continue;
        stream->report_due = false;
        stream->told_us = now_us;
        reports[count].number = i;
        reports_judge(stream, &reports[count].loss, &reports[count].jitter_ms);
        if (reports[count].loss != stream->told_loss) {
            necpnet_voice_hub_event* event =
                nn_voice_hub_tell(member->source.hub, NECPNET_VOICE_HUB_QUALITY, &member->source);
            event->stream = (int)i;
            event->loss_ppm = (uint32_t)reports[count].loss * 1000000u / 255;
            event->jitter_ms = reports[count].jitter_ms;
        }
        stream->told_loss = reports[count].loss;
        stream->told_jitter_ms = reports[count].jitter_ms;
        count++;
    }
    if (count) nn_voice_write_reports(writer, reports, count);
    return count > 0;
}
