/* switchboard_signals - signals from one user of a channel to another, and reports of quality. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "switchboard_inside.h"

/* ----------------------------------------------------------------------------------------------------- signals -- */

/* The message for a client, as a notification of JSON-RPC. */
static bool signals_put_notification(const signal_message* message, text* out)
{
    text_put(out, "{\"jsonrpc\":\"2.0\",\"method\":\"voice.signal\",\"params\":");
    signals_put(out, message);
    text_put(out, "}");
    return !out->failed;
}

/* To every worker where the user is. Returns whether one took it. */
static bool signals_deliver(switchboard* at, const channel_user* to, const text* told)
{
    bool taken = false;
    for (uint32_t worker = 0; worker < CONFIG_WORKERS_MAX && to->workers >> worker; worker++) {
        if (!(to->workers >> worker & 1u)) continue;
        switch_task* task = switch_make_task(SWITCH_TELL, told->to, told->bytes);
        if (task) task->client_id = to->client_id;
        if (switch_post(at, worker, task)) taken = true;
    }
    return taken;
}

/* Who sends is who he says, both are in the channel, and they are two. */
static switch_result signals_judge(switchboard* at, switch_call* call, const signal_message* message,
                                   channel_member** out_from, channel_member** out_to)
{
    const channel* of = channels_find(at->all, message->channel);
    if (!of) return switch_miss(call, "there is no such channel");
    bool is_self = strcmp(message->from, call->subject) == 0;
    if (!is_self && !call->is_developer) return switch_forbid(call, "from_user_id is not you");
    uint64_t from_id = is_self ? call->client_id : switch_client_id(at, call, message->from);
    *out_from = channels_member(at->all, of, from_id);
    if (!*out_from) return switch_forbid(call, "you are not in this channel");
    *out_to = channels_member(at->all, of, switch_client_id(at, call, message->to));
    if (!*out_to && at->known->settings->jwt_issuer[0] == 0) *out_to = channels_member_named(of, message->to);
    if (!*out_to) return switch_miss(call, "to_user_id is not in this channel");
    if (*out_to == *out_from) return switch_invalid(call, "to_user_id", "range", "it is yourself");
    return SWITCH_OK;
}

switch_result switchboard_signal(switchboard* at, switch_call* call, const signal_message* message)
{
    channel_member *from = NULL, *to = NULL;
    signal_message sent = *message;
    text told;
    bool delivered = false;
    text_begin_growing(&told);
    pthread_mutex_lock(&at->lock);
    switch_result result = signals_judge(at, call, message, &from, &to);
    if (result == SWITCH_OK) {
        if (sent.session_id[0] == 0) sent.session_id = from->id; /* one for all that he says here */
        if (signals_put_notification(&sent, &told)) {
            delivered = signals_deliver(at, to->user, &told);
        } else {
            result = SWITCH_DOWN;
        }
    }
    if (result == SWITCH_OK) {
        from->user->seen_us = necpnet_wall_time_us();
        at->figures.signals[message->type]++;
        if (!delivered) at->figures.signals_undelivered++;
        switch_audit_signal(at, call, message, to->user->client_id, told.bytes, delivered);
        text_format(call->out, "{\"delivered\":%s,\"session_id\":", delivered ? "true" : "false");
        text_json(call->out, sent.session_id);
        text_put(call->out, "}");
    } else {
        at->figures.signals_refused++;
    }
    pthread_mutex_unlock(&at->lock);
    text_end(&told);
    return result;
}

/* ------------------------------------------------------------------------------------------------------ quality -- */

/* What the ear makes of it: loss, and delay there and back with what the jitter buffer adds. */
static int quality_judge(const switch_report* report)
{
    double delay = report->latency + 2 * report->jitter;
    int by_loss = report->packet_loss < 0.01 ? 0 : report->packet_loss < 0.03 ? 1 : report->packet_loss < 0.08 ? 2 : 3;
    int by_delay = delay < 0.15 ? 0 : delay < 0.25 ? 1 : delay < 0.4 ? 2 : 3;
    return by_loss > by_delay ? by_loss : by_delay;
}

/* What a sender should do whom this listener hears so. */
static void quality_put_advice(const channel* of, const switch_report* report, text* out)
{
    uint32_t bitrate = of->sound.bitrate;
    if (report->packet_loss >= 0.1) {
        bitrate = bitrate / 2;
    } else if (report->packet_loss >= 0.03) {
        bitrate = bitrate / 4 * 3;
    }
    if (bitrate < 10000) bitrate = 10000;
    text_format(out, "{\"bitrate\":%" PRIu32 ",\"fec\":%s,\"frame_ms\":%" PRIu32 "}", bitrate,
                report->packet_loss >= 0.01 ? "true" : "false", of->sound.frame_ms);
}

static void quality_announce(switchboard* at, const switch_call* call, const channel_member* member,
                             const switch_report* report, int quality)
{
    cJSON* data = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(data, "channel_id", member->of->id);
    (void)cJSON_AddStringToObject(data, "user_id", member->user->subject);
    (void)cJSON_AddStringToObject(data, "quality", switch_quality_name(quality));
    (void)cJSON_AddNumberToObject(data, "packet_loss", report->packet_loss);
    switch_announce(at, call, member->of->id, "voice.quality", data);
}

/* The hubs of the workers where he listens. */
static void quality_tell_hubs(switchboard* at, const channel_member* member, const switch_report* report)
{
    for (uint32_t worker = 0; worker < CONFIG_WORKERS_MAX && member->user->workers >> worker; worker++) {
        if (!(member->user->workers >> worker & 1u)) continue;
        switch_task* task = switch_make_task(SWITCH_QUALITY, NULL, 0);
        if (!task) return;
        task->client_id = member->user->client_id;
        task->number = member->of->number;
        task->loss_ppm = (uint32_t)(report->packet_loss * 1e6);
        task->jitter_ms = (uint32_t)(report->jitter * 1e3);
        (void)switch_post(at, worker, task);
    }
}

static switch_result quality_take(switchboard* at, switch_call* call, const char* id, const switch_report* said)
{
    switch_report report = *said;
    channel* of = channels_find(at->all, id);
    if (!of) return switch_miss(call, "there is no such channel");
    if (report.user[0] == 0) report.user = call->subject;
    bool is_self = strcmp(report.user, call->subject) == 0;
    if (!is_self && !switch_is_trusted(call)) return switch_forbid(call, "user_id is not you: report what you hear");
    channel_member* member = channels_member(at->all, of, switch_client_id(at, call, report.user));
    if (!member)
        return is_self ? switch_forbid(call, "you are not in this channel")
                       : switch_miss(call, "this user is not in the channel");
    int quality = report.quality >= 0 ? report.quality : quality_judge(&report);
    if (switch_write_report(at, call, of, &report, quality) != SWITCH_OK) return SWITCH_DOWN;
    at->figures.reports[quality]++;
    member->user->seen_us = necpnet_wall_time_us();
    quality_tell_hubs(at, member, &report);
    if (member->quality != quality) quality_announce(at, call, member, &report, quality);
    member->quality = quality;
    text_format(call->out, "{\"quality\":\"%s\",\"recommended\":", switch_quality_name(quality));
    quality_put_advice(of, &report, call->out);
    text_put(call->out, "}");
    return SWITCH_CREATED;
}

switch_result switchboard_report(switchboard* at, switch_call* call, const char* id, const switch_report* report)
{
    pthread_mutex_lock(&at->lock);
    switch_result result = quality_take(at, call, id, report);
    pthread_mutex_unlock(&at->lock);
    return result;
}
