/* nn_runner_thread - the runner's I/O thread: obeys commands, updates the client, reports. */
#include "nn_runner.h"

#if !defined(__EMSCRIPTEN__)

/* ---- reports -- */

static bool runner_keep_behind(necpnet_runner* runner, const nn_runner_record* record, const void* name,
                               const void* text, const void* data)
{
    size_t bytes = sizeof(nn_runner_behind) + record->bytes;
    if (runner->behind_bytes + bytes > (size_t)runner->reports.capacity * NN_RUNNER_BEHIND_MAX) return false;
    nn_runner_behind* behind = (nn_runner_behind*)nn_alloc_take(&runner->io_alloc, bytes);
    if (!behind) return false;
    behind->bytes = bytes;
    behind->record = *record;
    uint8_t* at = (uint8_t*)(behind + 1);
    nn_copy(at, name, record->name_bytes);
    nn_copy(at + record->name_bytes, text, record->text_bytes);
    nn_copy(at + record->name_bytes + record->text_bytes, data, record->data_bytes);
    if (runner->behind_last) {
        runner->behind_last->next = behind;
    } else {
        runner->behind_first = behind;
    }
    runner->behind_last = behind;
    runner->behind_bytes += bytes;
    return true;
}

static void runner_take_behind(necpnet_runner* runner)
{
    nn_runner_behind* behind = runner->behind_first;
    runner->behind_first = behind->next;
    if (!runner->behind_first) runner->behind_last = NULL;
    runner->behind_bytes -= behind->bytes;
    nn_alloc_give(&runner->io_alloc, behind, behind->bytes);
}

NN_PRIVATE void nn_runner_drop_behind(necpnet_runner* runner)
{
    while (runner->behind_first) runner_take_behind(runner);
}

/* Whether nothing is behind any more. */
static bool runner_catch_up(necpnet_runner* runner)
{
    while (runner->behind_first) {
        nn_runner_behind* behind = runner->behind_first;
        const uint8_t* name = (const uint8_t*)(behind + 1);
        const uint8_t* text = name + behind->record.name_bytes;
        const uint8_t* data = text + behind->record.text_bytes;
        if (nn_runner_write(runner, &runner->reports, &behind->record, name, text, data) != NECPNET_OK) return false;
        runner_take_behind(runner);
    }
    return true;
}

/* False: there is no memory, or too much is behind. */
static bool runner_report(necpnet_runner* runner, nn_runner_record* record, const void* name, const void* text,
                          const void* data)
{
    record->bytes = record->name_bytes + record->text_bytes + record->data_bytes;
    if (runner_catch_up(runner)) {
        necpnet_result result = nn_runner_write(runner, &runner->reports, record, name, text, data);
        if (result != NECPNET_ERR_WOULD_BLOCK) return result == NECPNET_OK;
    }
    return runner_keep_behind(runner, record, name, text, data);
}

static void runner_report_event(necpnet_runner* runner, const necpnet_event* event)
{
    nn_runner_record record;
    memset(&record, 0, sizeof record);
    record.kind = NN_RUNNER_EVENT;
    record.as.event = *event;
    const char* name = event->name ? event->name : event->server_name;
    record.name_bytes = name ? (uint32_t)strlen(name) + 1 : 0;
    record.text_bytes = event->text ? (uint32_t)strlen(event->text) + 1 : 0;
    record.data_bytes = (uint32_t)event->bytes;
    if (!runner_report(runner, &record, name, event->text, event->data)) {
        nn_log_write(&runner->logger, NECPNET_LOG_ERROR, "runner: an event is lost: no memory");
    }
}

static void runner_report_failure(necpnet_runner* runner, necpnet_result reason)
{
    necpnet_event event;
    memset(&event, 0, sizeof event);
    event.type = NECPNET_EVENT_CONNECT_FAILED;
    event.reason = reason;
    event.text = necpnet_result_text(reason);
    runner_report_event(runner, &event);
}

/* Events wait in the client while the game does not poll: its limits press back to the server. */
static void runner_report_events(necpnet_runner* runner)
{
    necpnet_event event;
    for (;;) {
        if (!runner_catch_up(runner)) {
            nn_atomic_exchange(&runner->starved, 1);
            if (!runner_catch_up(runner)) return; /* the game may have polled just before it could see the flag */
        }
        if (!necpnet_client_poll(runner->client, &event)) return;
        runner_report_event(runner, &event);
    }
}

/* ---- the view's feed -- */

static necpnet_result runner_state_read(void* user, nn_reader* reader, uint64_t now_us)
{
    necpnet_runner* runner = (necpnet_runner*)user;
    uint32_t failed = nn_atomic_exchange(&runner->view_failed, 0);
    if (failed) return (necpnet_result) - (int)failed;
    const uint8_t* begin = reader->at;
    uint64_t bytes = nn_read_varint(reader);
    if (reader->failed || bytes > nn_reader_left(reader)) return NECPNET_ERR_BAD_DATA;
    nn_read_view(reader, (size_t)bytes);
    nn_runner_record record;
    memset(&record, 0, sizeof record);
    record.kind = NN_RUNNER_STATE;
    record.data_bytes = (uint32_t)(reader->at - begin);
    record.as.feed.at_us = now_us;
    return runner_report(runner, &record, NULL, NULL, begin) ? NECPNET_OK : NECPNET_ERR_OUT_OF_MEMORY;
}

static void runner_feed(necpnet_runner* runner, nn_runner_kind kind, int64_t offset_us, uint32_t tick_hz)
{
    nn_runner_record record;
    memset(&record, 0, sizeof record);
    record.kind = (uint32_t)kind;
    record.as.feed.offset_us = offset_us;
    record.as.feed.tick_hz = tick_hz;
    if (!runner_report(runner, &record, NULL, NULL, NULL)) {
        /* a view that is not told may show what is no more: the next frame ends the connection */
        nn_atomic_exchange(&runner->view_failed, (uint32_t)-NECPNET_ERR_OUT_OF_MEMORY);
    }
}

static void runner_state_clock(void* user, int64_t server_minus_local_us, uint32_t tick_hz)
{
    runner_feed((necpnet_runner*)user, NN_RUNNER_CLOCK, server_minus_local_us, tick_hz);
}

static void runner_state_reset(void* user)
{
    necpnet_runner* runner = (necpnet_runner*)user;
    nn_atomic_exchange(&runner->view_failed, 0);
    runner_feed(runner, NN_RUNNER_RESET, 0, 0);
}

/* Whether it can be followed is known here: the view's own schema does not change. The view learns it in its turn. */
static necpnet_result runner_state_follow(void* user, const necpnet_schema* writer, char* text)
{
    necpnet_runner* runner = (necpnet_runner*)user;
    char difference[NN_SCHEMA_DIFFERENCE_BYTES_MAX];
    nn_runner_record record;
    memset(&record, 0, sizeof record);
    record.kind = NN_RUNNER_FOLLOW;
    text[0] = 0;
    if (!writer) return runner_report(runner, &record, NULL, NULL, NULL) ? NECPNET_OK : NECPNET_ERR_OUT_OF_MEMORY;
    if (nn_schema_differs(nn_view_get_schema(runner->view), writer, difference)) {
        memcpy(text, difference, NECPNET_REASON_BYTES_MAX);
        text[NECPNET_REASON_BYTES_MAX] = 0;
        return NECPNET_ERR_SCHEMA_DIFFERS;
    }
    size_t bytes = nn_schema_described_bytes(writer);
    uint8_t* description = (uint8_t*)nn_alloc_take(&runner->io_alloc, bytes);
    if (!description) return NECPNET_ERR_OUT_OF_MEMORY;
    nn_writer to = nn_writer_of(description, bytes);
    nn_schema_describe(writer, &to);
    record.data_bytes = (uint32_t)bytes;
    bool reported = runner_report(runner, &record, NULL, NULL, description);
    nn_alloc_give(&runner->io_alloc, description, bytes);
    return reported ? NECPNET_OK : NECPNET_ERR_OUT_OF_MEMORY;
}

static necpnet_result runner_state_variables(void* user, const uint8_t* data, size_t bytes)
{
    necpnet_runner* runner = (necpnet_runner*)user;
    nn_runner_record record;
    memset(&record, 0, sizeof record);
    record.kind = NN_RUNNER_VARIABLES;
    record.data_bytes = (uint32_t)bytes;
    return runner_report(runner, &record, NULL, NULL, data) ? NECPNET_OK : NECPNET_ERR_OUT_OF_MEMORY;
}

static void runner_state_renew(void* user, bool ordered)
{
    runner_feed((necpnet_runner*)user, NN_RUNNER_RENEW, ordered, 0);
}

static bool runner_state_control(void* user, const uint8_t* data, size_t bytes)
{
    necpnet_runner* runner = (necpnet_runner*)user;
    nn_runner_record record;
    memset(&record, 0, sizeof record);
    record.kind = NN_RUNNER_CONTROL;
    record.data_bytes = (uint32_t)bytes;
    if (!runner_report(runner, &record, NULL, NULL, data)) {
        nn_atomic_exchange(&runner->view_failed, (uint32_t)-NECPNET_ERR_OUT_OF_MEMORY);
    }
    return true;
}

static void runner_state_written(void* user, uint32_t entity, uint32_t number)
{
    necpnet_runner* runner = (necpnet_runner*)user;
    nn_runner_record record;
    memset(&record, 0, sizeof record);
    record.kind = NN_RUNNER_WRITTEN;
    record.as.feed.entity = entity;
    record.as.feed.number = number;
    (void)runner_report(runner, &record, NULL, NULL, NULL); /* unknown: the next write holds more than it must */
}

NN_PRIVATE void nn_runner_set_state_sink(necpnet_runner* runner)
{
    nn_state_sink sink = {runner_state_read,    runner_state_clock,     runner_state_reset,
                          runner_state_follow,  runner_state_variables, runner_state_renew,
                          runner_state_control, runner_state_written,   runner};
    nn_client_set_state_sink(runner->client, &sink);
}

/* ---- commands -- */

static void runner_obey_connect(necpnet_runner* runner, nn_runner_record* record)
{
    const char* urls[NECPNET_URLS_MAX];
    const char* at = (const char*)nn_runner_payload(record);
    int count = record->as.command.url_count;
    for (int i = 0; i < count; i++) {
        urls[i] = at;
        at += strlen(at) + 1;
    }
    necpnet_result result = necpnet_client_connect(runner->client, count ? urls : NULL, count);
    if (result != NECPNET_OK) runner_report_failure(runner, result);
}

/* False: the channel's queue is full, and the message must wait; so must all commands behind it. */
static bool runner_obey_send(necpnet_runner* runner, nn_runner_record* record)
{
    necpnet_send_options options = record->as.command.options;
    const uint8_t* payload = nn_runner_payload(record);
    options.name = record->name_bytes ? (const char*)payload : NULL;
    int channel = record->as.command.channel;
    necpnet_result result =
        necpnet_client_send_with(runner->client, channel, payload + record->name_bytes, record->data_bytes, &options);
    if (result == NECPNET_OK) return true;
    bool waits = (result == NECPNET_ERR_WOULD_BLOCK || result == NECPNET_ERR_OUT_OF_MEMORY) &&
                 runner->modes[channel] >= NECPNET_RELIABLE_UNORDERED && nn_atomic_load(&runner->disconnects) == 0 &&
                 necpnet_client_get_state(runner->client) != NECPNET_CLIENT_IDLE;
    if (waits) return false;
    runner->own.sends_dropped++;
    nn_log_write(&runner->logger, NECPNET_LOG_DEBUG, "runner: a message on channel %d is dropped: %s", channel,
                 necpnet_result_text(result));
    return true;
}

static void runner_obey_write(necpnet_runner* runner, nn_runner_record* record)
{
    nn_view_out out = nn_client_view_out(runner->client);
    const uint8_t* data = nn_runner_payload(record);
    if (record->as.command.number) { /* unsent without a connection: the view sends it with the next */
        (void)out.write(out.user, record->as.command.entity, record->as.command.number, data, record->data_bytes);
    } else {
        (void)out.tell(out.user, data, record->data_bytes);
    }
}

static bool runner_obey_one(necpnet_runner* runner, nn_runner_record* record)
{
    const char* payload = (const char*)nn_runner_payload(record);
    necpnet_result result = NECPNET_OK;
    switch ((nn_runner_kind)record->kind) {
    case NN_RUNNER_CONNECT:
        runner_obey_connect(runner, record);
        runner->own.commands_done++;
        break;
    case NN_RUNNER_TOKEN:
        result = necpnet_client_set_token(runner->client, payload, record->as.command.wall_us);
        if (result != NECPNET_OK) runner_report_failure(runner, result);
        break;
    case NN_RUNNER_WRITE: runner_obey_write(runner, record); break;
    case NN_RUNNER_DISCONNECT:
        necpnet_client_disconnect(runner->client, record->as.command.code, payload, record->as.command.linger_ms);
        nn_atomic_subtract(&runner->disconnects, 1);
        runner->own.commands_done++;
        break;
    case NN_RUNNER_SEND: return runner_obey_send(runner, record);
    case NN_RUNNER_INPUT:
        result = necpnet_client_send_input(runner->client, record->as.command.tick, payload, record->data_bytes);
        if (result != NECPNET_OK) runner->own.sends_dropped++;
        break;
    default: break;
    }
    return true;
}

/* Whether all commands are done. */
static bool runner_obey(necpnet_runner* runner)
{
    for (;;) {
        nn_runner_record* record = (nn_runner_record*)nn_ring_peek(&runner->commands);
        if (!record) return true;
        if (!runner_obey_one(runner, record)) return false;
        nn_runner_drop_elsewhere(runner, record);
        nn_ring_release(&runner->commands);
    }
}

/* ---- the thread -- */

NN_PRIVATE void nn_runner_publish(necpnet_runner* runner, uint64_t now_us)
{
    nn_runner_figures* own = &runner->own;
    uint64_t server_us;
    own->state = (uint32_t)necpnet_client_get_state(runner->client);
    necpnet_client_get_statistics(runner->client, &own->statistics);
    own->has_clock = necpnet_client_server_time_us(runner->client, now_us, &server_us) == NECPNET_OK;
    own->offset_us = own->has_clock ? (int64_t)(server_us - now_us) : 0;
    own->tick_hz = runner->client->connection.tick_hz;
    own->lead_us = own->statistics.rtt_us / 2 + own->statistics.jitter_us * 2;
    uint32_t words[NN_RUNNER_FIGURE_WORDS];
    words[NN_RUNNER_FIGURE_WORDS - 1] = 0;
    memcpy(words, own, sizeof *own);
    uint32_t sequence = nn_atomic_load(&runner->sequence);
    nn_atomic_exchange(&runner->sequence, sequence + 1); /* a full barrier: no word before it */
    for (size_t i = 0; i < NN_RUNNER_FIGURE_WORDS; i++) nn_atomic_store(&runner->figures[i], words[i]);
    nn_atomic_store(&runner->sequence, sequence + 2);
}

NN_PRIVATE void nn_runner_run(void* user)
{
    necpnet_runner* runner = (necpnet_runner*)user;
    while (!nn_atomic_load(&runner->stop)) {
        bool done = runner_obey(runner);
        uint64_t now_us = necpnet_time_us();
        necpnet_result result = necpnet_client_update(runner->client, now_us);
        if (result != NECPNET_OK) {
            nn_log_write(&runner->logger, NECPNET_LOG_ERROR, "runner: stops: %s", necpnet_result_text(result));
            return;
        }
        runner_report_events(runner);
        nn_runner_publish(runner, now_us);
        /* The update may have taken the wake of a command that came after runner_obey. */
        if (done && nn_ring_peek(&runner->commands)) continue;
        necpnet_client_wait(runner->client, runner->blind ? NN_RUNNER_WAIT_BLIND_US : NN_RUNNER_WAIT_US);
    }
}

#endif
