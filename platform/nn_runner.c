/* nn_runner - the game's side of a client that lives on an I/O thread. */
#include "nn_runner.h"

#if !defined(__EMSCRIPTEN__)

#define RUNNER_RING_BYTES_MIN 65536u
#define RUNNER_RING_BYTES_MAX (64u << 20)

NN_PRIVATE void* nn_runner_block(necpnet_runner* runner, size_t bytes)
{
    return runner->allocator.allocate(bytes, runner->allocator.user);
}

NN_PRIVATE void nn_runner_block_free(necpnet_runner* runner, void* block, size_t bytes)
{
    runner->allocator.release(block, bytes, runner->allocator.user);
}

NN_PRIVATE uint8_t* nn_runner_payload(nn_runner_record* record)
{
    return record->elsewhere ? record->elsewhere : (uint8_t*)(record + 1);
}

NN_PRIVATE void nn_runner_drop_elsewhere(necpnet_runner* runner, nn_runner_record* record)
{
    if (record->elsewhere) nn_runner_block_free(runner, record->elsewhere, record->bytes);
    record->elsewhere = NULL;
}

NN_PRIVATE void nn_runner_wake(necpnet_runner* runner)
{
    if (runner->own_transport) nn_loop_wake(((nn_socket*)runner->own_transport->user)->loop);
}

NN_PRIVATE necpnet_result nn_runner_write(necpnet_runner* runner, nn_ring* ring, nn_runner_record* record,
                                          const void* name, const void* text, const void* data)
{
    record->bytes = record->name_bytes + record->text_bytes + record->data_bytes;
    bool elsewhere = record->bytes > ring->capacity / 4;
    uint32_t inline_bytes = elsewhere ? 0 : record->bytes;
    nn_runner_record* written = (nn_runner_record*)nn_ring_begin(ring, (uint32_t)sizeof *written + inline_bytes);
    if (!written) return NECPNET_ERR_WOULD_BLOCK;
    *written = *record;
    written->elsewhere = NULL;
    if (elsewhere) {
        written->elsewhere = (uint8_t*)nn_runner_block(runner, record->bytes);
        if (!written->elsewhere) return NECPNET_ERR_OUT_OF_MEMORY; /* not committed: it was never there */
    }
    uint8_t* at = nn_runner_payload(written);
    if (name) nn_copy(at, name, record->name_bytes);
    if (text) nn_copy(at + record->name_bytes, text, record->text_bytes);
    if (data) nn_copy(at + record->name_bytes + record->text_bytes, data, record->data_bytes);
    nn_ring_commit(ring);
    return NECPNET_OK;
}

/* ---- beginning and end -- */

static necpnet_result runner_begin(necpnet_runner* runner, const necpnet_client_config* config, uint32_t ring_bytes)
{
    necpnet_result result = nn_ring_init(&runner->commands, &runner->alloc, ring_bytes);
    if (result == NECPNET_OK) result = nn_ring_init(&runner->reports, &runner->alloc, ring_bytes);
    necpnet_client_config own = *config;
    if (result == NECPNET_OK && !config->transport) {
        necpnet_socket_config sockets;
        necpnet_socket_config_default(&sockets);
        sockets.allocator = config->allocator;
        sockets.logger = config->logger;
        sockets.udp_port = 0;
        sockets.one_peer = true;
        sockets.busy_poll_us = config->busy_poll_us;
        result = necpnet_socket_create(&sockets, &runner->own_transport);
        own.transport = runner->own_transport;
    }
    runner->blind = config->transport != NULL;
    if (result == NECPNET_OK && !own.transport->wait) result = NECPNET_ERR_UNSUPPORTED;
    if (result == NECPNET_OK) result = necpnet_client_create(&own, &runner->client);
    if (result != NECPNET_OK) return result;
    runner->channel_count = config->channel_count;
    for (int i = 0; i < config->channel_count; i++) {
        runner->modes[i] = (uint8_t)config->channels[i].mode;
        runner->message_bytes_max[i] = config->channels[i].message_bytes_max;
    }
    if (runner->view) {
        nn_runner_set_state_sink(runner);
        nn_runner_set_view_out(runner);
    }
    nn_runner_publish(runner, necpnet_time_us());
    runner->started = nn_thread_start(&runner->thread, nn_runner_run, runner);
    return runner->started ? NECPNET_OK : NECPNET_ERR_LIMIT_REACHED;
}

necpnet_result necpnet_runner_create(const necpnet_client_config* config, uint32_t ring_bytes,
                                     necpnet_runner** out_runner)
{
    if (!config || !out_runner || ring_bytes < RUNNER_RING_BYTES_MIN || ring_bytes > RUNNER_RING_BYTES_MAX) {
        return NECPNET_ERR_INVALID_ARGUMENT;
    }
    if (config->struct_bytes != sizeof *config) return NECPNET_ERR_BAD_STRUCT_BYTES;
    if (config->voice) return NECPNET_ERR_UNSUPPORTED; /* it lives on one thread, and PCM is wanted on the game's */
    uint32_t capacity = RUNNER_RING_BYTES_MIN;
    while (capacity < ring_bytes) capacity *= 2;
    nn_alloc alloc;
    nn_alloc_init(&alloc, &config->allocator);
    necpnet_runner* runner = (necpnet_runner*)nn_alloc_take(&alloc, sizeof *runner);
    if (!runner) return NECPNET_ERR_OUT_OF_MEMORY;
    runner->alloc = alloc;
    runner->allocator = alloc.allocator;
    nn_alloc_init(&runner->io_alloc, &config->allocator);
    runner->logger = config->logger;
    runner->view = config->view;
    necpnet_result result = runner_begin(runner, config, capacity);
    if (result != NECPNET_OK) {
        necpnet_runner_destroy(runner);
        return result;
    }
    *out_runner = runner;
    return NECPNET_OK;
}

static void runner_drop_ring(necpnet_runner* runner, nn_ring* ring)
{
    while (ring->bytes) {
        nn_runner_record* record = (nn_runner_record*)nn_ring_peek(ring);
        if (!record) break;
        nn_runner_drop_elsewhere(runner, record);
        nn_ring_release(ring);
    }
    nn_ring_reset(ring, &runner->alloc);
}

void necpnet_runner_destroy(necpnet_runner* runner)
{
    if (!runner) return;
    if (runner->started) {
        nn_atomic_exchange(&runner->stop, 1);
        nn_runner_wake(runner);
        nn_thread_join(&runner->thread);
    }
    if (runner->client) necpnet_client_destroy(runner->client); /* may report the view's end: the rings still stand */
    necpnet_socket_destroy(runner->own_transport);
    if (runner->view && runner->started) nn_view_reset(runner->view);
    nn_runner_drop_behind(runner);
    runner_drop_ring(runner, &runner->commands);
    runner_drop_ring(runner, &runner->reports);
    nn_alloc alloc = runner->alloc;
    nn_alloc_give(&alloc, runner, sizeof *runner);
}

/* ---- figures -- */

static void runner_read(const necpnet_runner* runner, nn_runner_figures* out)
{
    uint32_t words[NN_RUNNER_FIGURE_WORDS];
    for (;;) {
        uint32_t sequence = nn_atomic_load(&runner->sequence);
        for (size_t i = 0; i < NN_RUNNER_FIGURE_WORDS; i++) words[i] = nn_atomic_load(&runner->figures[i]);
        if (!(sequence & 1) && nn_atomic_load(&runner->sequence) == sequence) break;
    }
    memcpy(out, words, sizeof *out);
}

/* What the client's state is, or will be once it has heard of connect. */
static necpnet_client_state runner_state(const necpnet_runner* runner)
{
    nn_runner_figures figures;
    runner_read(runner, &figures);
    necpnet_client_state state = (necpnet_client_state)figures.state;
    return state == NECPNET_CLIENT_IDLE && figures.commands_done != runner->commands_asked ? NECPNET_CLIENT_CONNECTING
                                                                                           : state;
}

necpnet_client_state necpnet_runner_get_state(const necpnet_runner* runner)
{
    return runner ? runner_state(runner) : NECPNET_CLIENT_IDLE;
}

necpnet_result necpnet_runner_get_statistics(const necpnet_runner* runner, necpnet_statistics* out_statistics)
{
    if (!runner || !out_statistics) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_runner_figures figures;
    runner_read(runner, &figures);
    *out_statistics = figures.statistics;
    return NECPNET_OK;
}

static uint32_t runner_tick_at(uint64_t time_us, uint64_t hz)
{
    return (uint32_t)(time_us / 1000000 * hz + time_us % 1000000 * hz / 1000000);
}

necpnet_result necpnet_runner_server_tick(const necpnet_runner* runner, uint64_t now_us, uint32_t* out_tick,
                                          uint32_t* out_input_tick)
{
    if (!runner || !out_tick) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_runner_figures figures;
    runner_read(runner, &figures);
    if (!figures.has_clock) return NECPNET_ERR_NOT_CONNECTED;
    uint64_t server_us = now_us + (uint64_t)figures.offset_us;
    *out_tick = runner_tick_at(server_us, figures.tick_hz);
    if (out_input_tick) *out_input_tick = runner_tick_at(server_us + figures.lead_us, figures.tick_hz) + 1;
    return NECPNET_OK;
}

/* ---- commands -- */

/* Sends leave room in the ring for a disconnect, before which those that cannot go give way. */
static necpnet_result runner_command(necpnet_runner* runner, nn_runner_record* record, const void* name,
                                     const void* text, const void* data)
{
    if (record->kind == NN_RUNNER_SEND || record->kind == NN_RUNNER_INPUT || record->kind == NN_RUNNER_WRITE) {
        uint32_t bytes = record->name_bytes + record->data_bytes;
        if (bytes > runner->commands.capacity / 4) bytes = 0; /* elsewhere */
        bytes += (uint32_t)sizeof *record + NN_RUNNER_RESERVE_BYTES;
        if (!nn_ring_begin(&runner->commands, bytes))
            return NECPNET_ERR_WOULD_BLOCK; /* begun alone: nothing is there */
    }
    necpnet_result result = nn_runner_write(runner, &runner->commands, record, name, text, data);
    if (result == NECPNET_OK) nn_runner_wake(runner);
    return result;
}

static void runner_record_init(nn_runner_record* record, nn_runner_kind kind)
{
    memset(record, 0, sizeof *record);
    record->kind = (uint32_t)kind;
}

necpnet_result necpnet_runner_connect(necpnet_runner* runner, const char* const* urls, int url_count)
{
    if (!runner || url_count < 0 || url_count > NECPNET_URLS_MAX || (url_count && !urls)) {
        return NECPNET_ERR_INVALID_ARGUMENT;
    }
    if (runner_state(runner) != NECPNET_CLIENT_IDLE) return NECPNET_ERR_INVALID_STATE;
    char texts[NECPNET_URLS_MAX * (NECPNET_URL_BYTES_MAX + 1)];
    nn_runner_record record;
    runner_record_init(&record, NN_RUNNER_CONNECT);
    for (int i = 0; i < url_count; i++) {
        nn_url url;
        if (!urls[i]) return NECPNET_ERR_INVALID_ARGUMENT;
        necpnet_result result = nn_url_parse(urls[i], &url);
        if (result != NECPNET_OK) return result;
        size_t bytes = strlen(urls[i]) + 1;
        if (bytes > NECPNET_URL_BYTES_MAX + 1) return NECPNET_ERR_BAD_URL;
        memcpy(texts + record.text_bytes, urls[i], bytes);
        record.text_bytes += (uint32_t)bytes;
    }
    record.as.command.url_count = url_count;
    necpnet_result result = runner_command(runner, &record, NULL, texts, NULL);
    if (result == NECPNET_OK) runner->commands_asked++;
    return result;
}

necpnet_result necpnet_runner_set_token(necpnet_runner* runner, const char* token, uint64_t wall_us)
{
    if (!runner || !token) return NECPNET_ERR_INVALID_ARGUMENT;
    size_t bytes = strlen(token) + 1;
    if (bytes > NECPNET_TOKEN_TEXT_BYTES_MAX) return NECPNET_ERR_BAD_TOKEN_TEXT;
    nn_token_bundle bundle;
    necpnet_result result = nn_token_bundle_parse(token, &bundle);
    if (result == NECPNET_OK && wall_us >= bundle.info.expires_us) result = NECPNET_ERR_TOKEN_EXPIRED;
    nn_wipe(&bundle, sizeof bundle);
    if (result != NECPNET_OK) return result;
    nn_runner_record record;
    runner_record_init(&record, NN_RUNNER_TOKEN);
    record.text_bytes = (uint32_t)bytes;
    record.as.command.wall_us = wall_us;
    return runner_command(runner, &record, NULL, token, NULL);
}

necpnet_result necpnet_runner_disconnect(necpnet_runner* runner, uint32_t code, const char* text, uint32_t linger_ms)
{
    size_t bytes = text ? strlen(text) : 0;
    if (!runner || bytes > NECPNET_REASON_BYTES_MAX) return NECPNET_ERR_INVALID_ARGUMENT;
    if (runner_state(runner) == NECPNET_CLIENT_IDLE) return NECPNET_ERR_NOT_CONNECTED;
    nn_runner_record record;
    runner_record_init(&record, NN_RUNNER_DISCONNECT);
    record.text_bytes = (uint32_t)bytes + 1;
    record.as.command.code = code;
    record.as.command.linger_ms = linger_ms;
    nn_atomic_add(&runner->disconnects, 1); /* before it is seen, so that a blocked send gives way */
    necpnet_result result = runner_command(runner, &record, NULL, text ? text : "", NULL);
    if (result == NECPNET_OK) {
        runner->commands_asked++;
    } else {
        nn_atomic_subtract(&runner->disconnects, 1);
    }
    return result;
}

necpnet_result necpnet_runner_send_with(necpnet_runner* runner, int channel, const void* data, size_t bytes,
                                        const necpnet_send_options* options)
{
    if (!runner || (!data && bytes)) return NECPNET_ERR_INVALID_ARGUMENT;
    if (channel < 0 || channel >= runner->channel_count) return NECPNET_ERR_NO_SUCH_CHANNEL;
    if (bytes > runner->message_bytes_max[channel]) return NECPNET_ERR_MESSAGE_TOO_LARGE;
    nn_runner_record record;
    runner_record_init(&record, NN_RUNNER_SEND);
    const char* name = options ? options->name : NULL;
    if (name) {
        size_t name_bytes = strlen(name);
        if (name_bytes == 0 || name_bytes > NECPNET_NAME_BYTES_MAX) return NECPNET_ERR_INVALID_ARGUMENT;
        record.name_bytes = (uint32_t)name_bytes + 1;
    }
    necpnet_client_state state = runner_state(runner);
    bool coming = state != NECPNET_CLIENT_IDLE && state != NECPNET_CLIENT_CLOSING;
    bool reliable = runner->modes[channel] >= NECPNET_RELIABLE_SEQUENCED;
    if (state != NECPNET_CLIENT_CONNECTED && !(coming && reliable)) return NECPNET_ERR_NOT_CONNECTED;
    if (options) record.as.command.options = *options;
    record.as.command.channel = channel;
    record.data_bytes = (uint32_t)bytes;
    return runner_command(runner, &record, name, NULL, data);
}

necpnet_result necpnet_runner_send_input(necpnet_runner* runner, uint32_t tick, const void* data, size_t bytes)
{
    if (!runner || !data || bytes == 0 || bytes > NN_INPUT_BYTES_MAX) return NECPNET_ERR_INVALID_ARGUMENT;
    if (runner_state(runner) != NECPNET_CLIENT_CONNECTED) return NECPNET_ERR_NOT_CONNECTED;
    nn_runner_record record;
    runner_record_init(&record, NN_RUNNER_INPUT);
    record.as.command.tick = tick;
    record.data_bytes = (uint32_t)bytes;
    return runner_command(runner, &record, NULL, NULL, data);
}

static necpnet_result runner_view_say(necpnet_runner* runner, uint32_t entity, uint32_t number, const void* data,
                                      size_t bytes)
{
    if (runner_state(runner) != NECPNET_CLIENT_CONNECTED) return NECPNET_ERR_NOT_CONNECTED;
    nn_runner_record record;
    runner_record_init(&record, NN_RUNNER_WRITE);
    record.as.command.entity = entity;
    record.as.command.number = number;
    record.data_bytes = (uint32_t)bytes;
    return runner_command(runner, &record, NULL, NULL, data);
}

static necpnet_result runner_view_write(void* user, uint32_t entity, uint32_t number, const void* data, size_t bytes)
{
    return runner_view_say((necpnet_runner*)user, entity, number, data, bytes);
}

static necpnet_result runner_view_tell(void* user, const void* data, size_t bytes)
{
    return runner_view_say((necpnet_runner*)user, 0, 0, data, bytes);
}

NN_PRIVATE void nn_runner_set_view_out(necpnet_runner* runner)
{
    nn_view_out out = {runner_view_write, runner_view_tell, runner};
    nn_view_set_out(runner->view, &out);
}

/* ---- events -- */

/* The I/O thread has found that it can be followed. */
static void runner_follow(necpnet_runner* runner, nn_runner_record* record)
{
    char text[NECPNET_REASON_BYTES_MAX + 1];
    necpnet_schema* writer = NULL;
    necpnet_result result = NECPNET_OK;
    if (record->data_bytes) {
        nn_reader reader = nn_reader_of(nn_runner_payload(record), record->data_bytes);
        result = nn_schema_read(&runner->allocator, &runner->logger, &reader, &writer);
    }
    if (result == NECPNET_OK) result = nn_view_follow_schema(runner->view, writer, text);
    necpnet_schema_destroy(writer);
    if (result != NECPNET_OK) nn_atomic_exchange(&runner->view_failed, (uint32_t) - (int)result);
}

static void runner_feed_view(necpnet_runner* runner, nn_runner_record* record)
{
    if (record->kind == NN_RUNNER_STATE) {
        nn_reader reader = nn_reader_of(nn_runner_payload(record), record->data_bytes);
        necpnet_result result = nn_view_read(runner->view, &reader, record->as.feed.at_us);
        if (result != NECPNET_OK) {
            nn_log_write(&runner->logger, NECPNET_LOG_WARNING, "runner: the view refuses a frame: %s",
                         necpnet_result_text(result));
            nn_atomic_exchange(&runner->view_failed, (uint32_t) - (int)result);
        }
    } else if (record->kind == NN_RUNNER_CLOCK) {
        nn_view_set_clock(runner->view, record->as.feed.offset_us, record->as.feed.tick_hz);
    } else if (record->kind == NN_RUNNER_FOLLOW) {
        runner_follow(runner, record);
    } else if (record->kind == NN_RUNNER_CONTROL) {
        if (!nn_view_take_control(runner->view, nn_runner_payload(record), record->data_bytes)) {
            nn_atomic_exchange(&runner->view_failed, (uint32_t)-NECPNET_ERR_BAD_DATA);
        }
    } else if (record->kind == NN_RUNNER_WRITTEN) {
        nn_view_written(runner->view, record->as.feed.entity, record->as.feed.number);
    } else if (record->kind == NN_RUNNER_VARIABLES) {
        necpnet_result result = nn_view_read_variables(runner->view, nn_runner_payload(record), record->data_bytes);
        if (result != NECPNET_OK) nn_atomic_exchange(&runner->view_failed, (uint32_t) - (int)result);
    } else if (record->kind == NN_RUNNER_RENEW) {
        nn_view_renew(runner->view, record->as.feed.offset_us != 0);
    } else {
        nn_view_reset(runner->view);
    }
}

static void runner_view_event(nn_runner_record* record, necpnet_event* out_event)
{
    const char* name = (const char*)nn_runner_payload(record);
    const char* text = name + record->name_bytes;
    *out_event = record->as.event;
    if (out_event->name) out_event->name = name;
    if (out_event->server_name) out_event->server_name = record->name_bytes && !out_event->name ? name : "";
    out_event->text = record->text_bytes ? text : "";
    if (out_event->data) out_event->data = text + record->text_bytes;
}

static void runner_release_report(necpnet_runner* runner, nn_runner_record* record)
{
    nn_runner_drop_elsewhere(runner, record);
    nn_ring_release(&runner->reports);
    if (nn_atomic_load(&runner->starved) && nn_atomic_exchange(&runner->starved, 0)) nn_runner_wake(runner);
}

bool necpnet_runner_poll(necpnet_runner* runner, necpnet_event* out_event)
{
    if (!runner || !out_event) return false;
    for (;;) {
        nn_runner_record* record = (nn_runner_record*)nn_ring_peek(&runner->reports);
        if (!record) return false;
        if (runner->holds_report) {
            runner->holds_report = false;
            runner_release_report(runner, record);
        } else if (record->kind == NN_RUNNER_EVENT) {
            runner_view_event(record, out_event);
            runner->holds_report = true;
            return true;
        } else {
            if (runner->view) runner_feed_view(runner, record);
            runner_release_report(runner, record);
        }
    }
}

#endif
