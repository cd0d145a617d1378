/* speech - talk: a file or a pipe for a microphone, another for a loudspeaker, in real time. */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#include <fcntl.h>
#include <io.h>
#endif

#define SPEECH_BLOCK_US 10000u
#define SPEECH_OUT_HZ 48000u
#define SPEECH_FRAMES_MAX 960    /* 10 ms at 96,000 Hz */
#define SPEECH_TAIL_US 1500000u  /* goes on after the last sample said: what is under way arrives */
#define SPEECH_BEHIND_US 200000u /* late by more: the clock begins anew */

typedef struct speech {
    necpnet_client* client;
    necpnet_voice* voice;
    FILE* in;
    FILE* out;
    uint32_t in_hz;
    uint32_t in_channels;
    uint64_t in_bytes; /* left; UINT64_MAX: until the end */
    uint64_t out_frames;
    uint64_t next_us; /* of the next 10 ms */
    uint64_t stop_us; /* UINT64_MAX: not yet known */
    bool is_over;     /* everything was said */
    bool may_speak;   /* the server has put us into a group */
    double heard;     /* energy */
} speech;

static uint32_t load(const uint8_t* p, int bytes)
{
    uint32_t value = 0;
    for (int i = 0; i < bytes; i++) value |= (uint32_t)p[i] << (8 * i);
    return value;
}

static void store(uint8_t* p, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) p[i] = (uint8_t)(value >> (8 * i));
}

/* The head of a WAV file, up to its samples. Says what is wrong. */
static bool read_head(speech* at, const char* name)
{
    uint8_t head[12], chunk[8], format[16] = {0};
    bool has_format = false;
    if (fread(head, 1, 12, at->in) != 12 || memcmp(head, "RIFF", 4) != 0 || memcmp(head + 8, "WAVE", 4) != 0) {
        cli_fail("%s is no WAV file", name);
        return false;
    }
    while (fread(chunk, 1, 8, at->in) == 8) {
        uint32_t bytes = load(chunk + 4, 4);
        if (memcmp(chunk, "data", 4) == 0) {
            bool is_right = has_format && load(format, 2) == 1 && load(format + 14, 2) == 16;
            at->in_channels = load(format + 2, 2);
            at->in_hz = load(format + 4, 4);
            is_right = is_right && at->in_channels >= 1 && at->in_channels <= 2;
            if (!is_right) {
                cli_fail("%s: wanted are 16 bits, 1 or 2 channels, not compressed", name);
                return false;
            }
            if (at->in_hz < 8000 || at->in_hz > 96000) {
                cli_fail("%s has %u Hz; wanted are 8000 .. 96000", name, (unsigned)at->in_hz);
                return false;
            }
            at->in_bytes = bytes == 0 || bytes == UINT32_MAX ? UINT64_MAX : bytes; /* a pipe did not know */
            return true;
        }
        uint32_t take = memcmp(chunk, "fmt ", 4) == 0 && bytes >= 16 ? 16 : 0;
        if (take && fread(format, 1, 16, at->in) != 16) break;
        has_format = has_format || take > 0;
        for (uint32_t i = take; i < bytes + (bytes & 1); i++) (void)getc(at->in);
    }
    cli_fail("%s ends before its samples", name);
    return false;
}

static bool open_files(speech* at, const cli_options* options)
{
#ifdef _WIN32
    (void)_setmode(_fileno(stdin), _O_BINARY);
    (void)_setmode(_fileno(stdout), _O_BINARY);
#endif
    at->in_hz = SPEECH_OUT_HZ;
    at->in_channels = 1;
    at->in_bytes = UINT64_MAX;
    if (options->in_file) {
        bool is_pipe = strcmp(options->in_file, "-") == 0;
        at->in = is_pipe ? stdin : fopen(options->in_file, "rb");
        if (!at->in) {
            cli_fail("cannot read %s", options->in_file);
            return false;
        }
        if (!is_pipe && !read_head(at, options->in_file)) return false;
    }
    if (!options->out_file) return true;
    bool is_pipe = strcmp(options->out_file, "-") == 0;
    at->out = is_pipe ? stdout : fopen(options->out_file, "wb");
    if (!at->out) {
        cli_fail("cannot write %s", options->out_file);
        return false;
    }
    uint8_t head[44] = {0};
    return is_pipe || fwrite(head, 1, sizeof head, at->out) == sizeof head; /* filled in at the end */
}

static void close_files(speech* at)
{
    if (at->in && at->in != stdin) fclose(at->in);
    if (!at->out) return;
    if (at->out == stdout) {
        fflush(stdout);
        return;
    }
    uint8_t head[44];
    uint32_t bytes = (uint32_t)(at->out_frames * 2);
    memcpy(head, "RIFF....WAVEfmt ", 16);
    store(head + 4, 36 + bytes, 4);
    store(head + 16, 16, 4);
    store(head + 20, 1, 2);
    store(head + 22, 1, 2);
    store(head + 24, SPEECH_OUT_HZ, 4);
    store(head + 28, SPEECH_OUT_HZ * 2, 4);
    store(head + 32, 2, 2);
    store(head + 34, 16, 2);
    memcpy(head + 36, "data", 4);
    store(head + 40, bytes, 4);
    if (fseek(at->out, 0, SEEK_SET) != 0 || fwrite(head, 1, sizeof head, at->out) != sizeof head) {
        cli_fail("the head of the WAV file was not written");
    }
    fclose(at->out);
}

/* 10 ms of the file, both channels as one; silence behind its end. */
static size_t read_block(speech* at, float* pcm)
{
    uint8_t bytes[SPEECH_FRAMES_MAX * 4];
    size_t frames = at->in_hz / 100, frame_bytes = (size_t)at->in_channels * 2, got = 0;
    if (at->in && !at->is_over && at->may_speak) {
        size_t wanted = frames * frame_bytes;
        if (wanted > at->in_bytes) wanted = (size_t)at->in_bytes;
        got = fread(bytes, 1, wanted, at->in) / frame_bytes;
        if (at->in_bytes != UINT64_MAX) at->in_bytes -= got * frame_bytes;
        at->is_over = got < frames;
    }
    for (size_t i = 0; i < frames; i++) {
        float sum = 0;
        for (uint32_t c = 0; i < got && c < at->in_channels; c++) {
            sum += (float)(int16_t)load(bytes + (i * at->in_channels + c) * 2, 2) / 32768.0f;
        }
        pcm[i] = sum / (float)at->in_channels;
    }
    return frames;
}

static void write_block(speech* at, const float* pcm, size_t frames)
{
    uint8_t bytes[SPEECH_FRAMES_MAX * 2];
    for (size_t i = 0; i < frames; i++) {
        float x = pcm[i] > 1 ? 1 : pcm[i] < -1 ? -1 : pcm[i];
        store(bytes + i * 2, (uint32_t)(int32_t)(x * 32767), 2);
        at->heard += (double)pcm[i] * (double)pcm[i];
    }
    if (at->out && fwrite(bytes, 2, frames, at->out) == frames) at->out_frames += frames;
}

static void move_sound(speech* at, uint64_t now_us)
{
    if (at->next_us == 0 || now_us > at->next_us + SPEECH_BEHIND_US) at->next_us = now_us;
    while (now_us >= at->next_us) {
        float in[SPEECH_FRAMES_MAX], out[SPEECH_FRAMES_MAX];
        size_t frames = read_block(at, in);
        necpnet_result result = necpnet_voice_push(at->voice, 0, in, frames, at->next_us);
        if (result) cli_fail("not said: %s", necpnet_result_text(result));
        if (necpnet_voice_pull(at->voice, out, SPEECH_OUT_HZ / 100, at->next_us) == NECPNET_OK) {
            write_block(at, out, SPEECH_OUT_HZ / 100);
        }
        at->next_us += SPEECH_BLOCK_US;
    }
    if (at->is_over && at->stop_us == UINT64_MAX) at->stop_us = now_us + SPEECH_TAIL_US;
}

static void print_voice_event(speech* at, const necpnet_voice_event* event, bool json)
{
    static const char* const names[] = {"none",   "joined",      "left",    "speaking",
                                        "silent", "key_missing", "talking", "quiet"};
    if (event->type == NECPNET_VOICE_EVENT_JOINED) at->may_speak = true;
    /* standard output may be the sound */
    fprintf(stderr,
            json ? "{\"event\":\"%s\",\"user\":\"%llu\",\"group\":%u,\"kind\":%d}\n"
                 : "%s user %llu group %u kind %d\n",
            names[event->type], (unsigned long long)event->user, (unsigned)event->group, (int)event->kind);
}

static void print_summary(const speech* at, bool json)
{
    necpnet_voice_statistics s;
    if (necpnet_voice_get_statistics(at->voice, &s) != NECPNET_OK) return;
    fprintf(
        stderr,
        json ? "{\"sent\":%llu,\"received\":%llu,\"lost\":%llu,\"late\":%llu,\"decoded_ms\":%llu,\"recovered_ms\":%llu,"
               "\"concealed_ms\":%llu,\"delay_ms\":%u,\"heard\":%.3f}\n"
             : "sent %llu packets, received %llu, lost %llu, late %llu; %llu ms decoded, %llu from FEC, %llu made up; "
               "target delay %u ms; energy heard %.3f\n",
        (unsigned long long)s.packets_sent, (unsigned long long)s.packets_received, (unsigned long long)s.packets_lost,
        (unsigned long long)s.packets_late, (unsigned long long)s.units_decoded * 10,
        (unsigned long long)s.units_recovered * 10, (unsigned long long)s.units_concealed * 10, (unsigned)s.delay_ms,
        at->heard);
}

static bool begin(speech* at, const cli_options* options)
{
    necpnet_voice_config voice;
    necpnet_client_config config;
    necpnet_voice_config_default(&voice);
    voice.input_hz = at->in_hz;
    voice.output_channels = 1;
    cli_client_config(options, NULL, &config);
    voice.logger = config.logger;
    if (!voice.logger.write) voice.logger.level = NECPNET_LOG_OFF;
    necpnet_result result = necpnet_voice_create(&voice, &at->voice);
    if (result) {
        cli_fail("voice: %s", necpnet_result_text(result));
        return false;
    }
    config.voice = at->voice;
    result = necpnet_client_create(&config, &at->client);
    if (result) {
        cli_fail("%s", necpnet_result_text(result));
        return false;
    }
    necpnet_client_update(at->client, necpnet_time_us());
    return cli_connect(options, at->client);
}

static void leave(speech* at)
{
    necpnet_event event;
    uint64_t until_us = necpnet_time_us() + 1000000;
    necpnet_client_disconnect(at->client, 0, "", 200);
    while (necpnet_client_get_state(at->client) != NECPNET_CLIENT_IDLE && necpnet_time_us() < until_us) {
        necpnet_client_update(at->client, necpnet_time_us());
        while (necpnet_client_poll(at->client, &event)) continue;
        necpnet_client_wait(at->client, 10000);
    }
}

/* Returns whether it was ever connected. */
static bool run(speech* at, const cli_options* options)
{
    bool on = true, was_connected = false;
    at->stop_us = options->seconds ? necpnet_time_us() + (uint64_t)options->seconds * 1000000 : UINT64_MAX;
    while (on && !cli_interrupted && necpnet_time_us() < at->stop_us) {
        necpnet_event event;
        necpnet_voice_event spoken;
        uint64_t now_us = necpnet_time_us();
        necpnet_client_update(at->client, now_us);
        while (on && necpnet_client_poll(at->client, &event)) {
            was_connected = was_connected || event.type == NECPNET_EVENT_CONNECTED;
            on = cli_answer(options, at->client, &event);
        }
        while (necpnet_voice_poll(at->voice, &spoken)) print_voice_event(at, &spoken, options->json);
        move_sound(at, now_us);
        necpnet_client_flush(at->client, now_us); /* what was just said leaves now */
        now_us = necpnet_time_us();
        necpnet_client_wait(at->client, at->next_us > now_us ? at->next_us - now_us : 0);
    }
    return was_connected;
}

int cli_talk_command(const cli_options* options)
{
    static speech at;
    if (!options->in_file && !options->out_file) {
        cli_fail("talk wants --in FILE.wav, --out FILE.wav, or both");
        return CLI_EXIT_USAGE;
    }
    memset(&at, 0, sizeof at);
    cli_options quiet = *options;
    if (options->out_file && strcmp(options->out_file, "-") == 0)
        quiet.json = true; /* nothing but sound goes out there */
    bool was_connected = false;
    bool opened = open_files(&at, options);
    if (opened && begin(&at, options)) {
        was_connected = run(&at, &quiet);
        print_summary(&at, options->json);
        leave(&at);
    }
    necpnet_client_destroy(at.client);
    necpnet_voice_destroy(at.voice);
    close_files(&at);
    if (!opened) return CLI_EXIT_USAGE;
    return was_connected ? CLI_EXIT_OK : CLI_EXIT_FAILED;
}
