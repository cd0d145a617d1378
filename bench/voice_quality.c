/* bench/voice_quality - what is heard of what was said, over links that lose and delay.
 *
 * Real speech (espeak-ng, or a WAV file of 48,000 or 22,050 Hz, 16 bits, mono) goes through a client, the server and another
 * client, all on a simulated link with a virtual clock, so every run of one build gives the same figures. The listener's link
 * loses packets and delays each by 20 ms and 0 .. jitter more; order may change. For each pair of loss and jitter:
 *   delay       from mouth to ear without the link's least way, by the best match of loudness
 *   gaps        pieces of 10 ms in which nothing was played though the speaker went on, a minute
 *   made up     share of the sound that the decoder made up; from FEC: that came of the packet behind
 *   distance    root mean square of the difference of spectra (21 bands of a third of an octave or more, in dB, 20 ms
 *               at a time, the best match within 25 ms of the mean delay), over what is louder than -45 dB
 *   offline     the same of the packets that came, decoded without any clock, with FEC: what no jitter buffer can better
 * docs/voice.md shows them; the goal at 5 % and 40 ms is a ratio of at most 1.2.
 *
 *     voice_quality [FILE.wav] [--out PREFIX]     PREFIX: write what was heard as PREFIX-LOSS-JITTER.wav
 *
 * Output: a table for people, then one JSON line a figure; tools/plot_voice.py makes docs/voice.svg of them.
 */
#include "../necpnet.c"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define RATE 48000u
#define BLOCK 480u
#define SECONDS_MAX 120u
#define BANDS 21
#define FFT 1024u
#define HOP 960u
#define LATENCY_MS 20u
#define PACKETS_MAX 20000

static const char text[] = "The quick brown fox jumps over the lazy dog. Behind the hill on the left there are three "
                           "of them, and one has a rifle. "
                           "Wait for my signal, then go in together. I am out of ammunition; does anybody have some to "
                           "spare? Thank you. The bridge "
                           "is closed, we take the long way around the lake. Careful, somebody is shooting from the "
                           "tower. Nice shot! Let us meet at "
                           "the old mill in five minutes. Peter Piper picked a peck of pickled peppers. She sells sea "
                           "shells by the sea shore. "
                           "How many boards could the Mongols hoard, if the Mongol hordes got bored?";

static float* spoken;
static size_t spoken_samples;
static float* heard;
static float* offline;

/* ---- the file -- */

static uint32_t little(const uint8_t* p, int bytes)
{
    uint32_t value = 0;
    for (int i = 0; i < bytes; i++) value |= (uint32_t)p[i] << (8 * i);
    return value;
}

static bool read_speech(FILE* file)
{
    static uint8_t bytes[RATE * 2 * SECONDS_MAX];
    size_t count = fread(bytes, 1, sizeof bytes, file);
    if (count < 44 || memcmp(bytes, "RIFF", 4) != 0 || little(bytes + 22, 2) != 1 || little(bytes + 34, 2) != 16) {
        return false;
    }
    uint32_t hz = little(bytes + 24, 4);
    size_t at = 12;
    while (at + 8 < count && memcmp(bytes + at, "data", 4) != 0) at += 8 + little(bytes + at + 4, 4);
    at += 8;
    if (at >= count) return false;
    uint32_t samples = (uint32_t)((count - at) / 2);
    float* in = (float*)calloc(samples, sizeof *in);
    for (uint32_t i = 0; i < samples; i++) in[i] = (float)(int16_t)little(bytes + at + i * 2, 2) / 32768.0f;
    size_t most = (size_t)RATE * SECONDS_MAX;
    spoken = (float*)calloc(most, sizeof *spoken);
    if (hz == RATE) {
        spoken_samples = samples;
        memcpy(spoken, in, samples * sizeof *in);
    } else {
        nn_alloc alloc;
        nn_resampler* resampler = NULL;
        nn_alloc_init(&alloc, NULL);
        if (nn_resampler_create(&alloc, hz, RATE, 1, &resampler) != NECPNET_OK) return false;
        uint32_t made = (uint32_t)most;
        nn_resampler_run(resampler, in, &samples, spoken, &made);
        spoken_samples = made;
        nn_resampler_destroy(resampler);
    }
    free(in);
    spoken_samples -= spoken_samples % BLOCK;
    return spoken_samples > 0;
}

static void write_wav(const char* prefix, uint32_t loss, uint32_t jitter, const float* pcm, size_t samples)
{
    char name[300];
    uint8_t head[44] = {0};
    snprintf(name, sizeof name, "%s-%u-%u.wav", prefix, loss, jitter);
    FILE* file = fopen(name, "wb");
    if (!file) return;
    memcpy(head, "RIFF", 4);
    nn_store_u32(head + 4, (uint32_t)(36 + samples * 2));
    memcpy(head + 8, "WAVEfmt ", 8);
    nn_store_u32(head + 16, 16);
    nn_store_u16(head + 20, 1);
    nn_store_u16(head + 22, 1);
    nn_store_u32(head + 24, RATE);
    nn_store_u32(head + 28, RATE * 2);
    nn_store_u16(head + 32, 2);
    nn_store_u16(head + 34, 16);
    memcpy(head + 36, "data", 4);
    nn_store_u32(head + 40, (uint32_t)(samples * 2));
    fwrite(head, 1, sizeof head, file);
    for (size_t i = 0; i < samples; i++) {
        uint8_t two[2];
        float x = pcm[i] > 1 ? 1 : pcm[i] < -1 ? -1 : pcm[i];
        nn_store_u16(two, (uint16_t)(int16_t)(x * 32767));
        fwrite(two, 1, 2, file);
    }
    fclose(file);
}

/* ---- the world: two clients and a server, their frames watched -- */

typedef struct packet {
    uint16_t bytes;
    uint8_t sequence;
    bool came;
    int64_t unit; /* of its first sample, since the beginning of the file */
    uint8_t data[NECPNET_VOICE_PAYLOAD_BYTES_MAX];
} packet;

typedef struct world {
    necpnet_link* link;
    necpnet_server* server;
    necpnet_voice_hub* hub;
    necpnet_client* clients[2];
    necpnet_voice* voices[2];
    const necpnet_transport* transports[3];
    uint64_t now_us;
    uint64_t random;
    uint64_t began_unit; /* the sender's clock when the file begins */
} world;

static world at;
static packet* packets;
static uint32_t packet_count;

static bool fill(void* to, size_t bytes, void* user)
{
    uint64_t* state = (uint64_t*)user;
    for (size_t i = 0; i < bytes; i++) {
        *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        ((uint8_t*)to)[i] = (uint8_t)(*state >> 56);
    }
    return true;
}

static bool watch_write(void* user, nn_writer* writer, uint64_t now_us)
{
    uint8_t* from = writer->at;
    bool wrote = nn_voice_write_frames((necpnet_voice*)user, writer, now_us);
    nn_reader reader = nn_reader_of(from, (size_t)(writer->at - from));
    while (nn_reader_left(&reader)) {
        nn_voice_frame frame;
        uint8_t type = nn_read_u8(&reader);
        if (type == NN_VOICE_FRAME_LAST) {
            nn_voice_report rows[NN_VOICE_REPORT_ROWS_MAX];
            uint32_t count;
            nn_voice_read_reports(&reader, rows, &count);
            continue;
        }
        if (!nn_voice_read(type, &reader, &frame) || packet_count == PACKETS_MAX) break;
        packet* one = &packets[packet_count++];
        int64_t unit = (int64_t)at.voices[0]->sends[0]->time; /* a little later than the packet's */
        while ((uint64_t)unit % NN_VOICE_TIMES != frame.time) unit--;
        one->unit = unit - (int64_t)at.began_unit;
        one->bytes = (uint16_t)frame.bytes;
        one->sequence = frame.sequence;
        one->came = false;
        memcpy(one->data, frame.payload, frame.bytes);
    }
    return wrote;
}

static bool watch_read(void* user, uint8_t type, nn_reader* reader, uint64_t now_us)
{
    nn_reader copy = *reader;
    nn_voice_frame frame;
    if (type != NN_VOICE_FRAME_LAST && nn_voice_read(type, &copy, &frame)) {
        for (uint32_t i = packet_count; i-- > 0 && i + 200 > packet_count;) {
            if (packets[i].sequence == frame.sequence) {
                packets[i].came = true;
                break;
            }
        }
    }
    return nn_voice_read_frame((necpnet_voice*)user, type, reader, now_us);
}

static void must(necpnet_result result, const char* what)
{
    if (result == NECPNET_OK) return;
    fprintf(stderr, "voice_quality: %s: %s\n", what, necpnet_result_text(result));
    exit(1);
}

static void step(void)
{
    necpnet_event event;
    necpnet_link_advance(at.link, at.now_us);
    necpnet_server_update(at.server, at.now_us);
    while (necpnet_server_poll(at.server, &event)) continue;
    for (int i = 0; i < 2; i++) {
        necpnet_client_update(at.clients[i], at.now_us);
        while (necpnet_client_poll(at.clients[i], &event)) continue;
    }
    at.now_us += 1000;
}

static void open_world(void)
{
    necpnet_link_config link;
    necpnet_server_config server;
    necpnet_client_config client;
    necpnet_voice_config voice;
    necpnet_voice_hub_config hub;
    necpnet_voice_group group;
    const char* url = "udp://server:7777";
    memset(&at, 0, sizeof at);
    at.now_us = 1000000;
    at.random = 5;
    necpnet_link_config_default(&link);
    necpnet_server_config_default(&server);
    necpnet_client_config_default(&client);
    necpnet_voice_config_default(&voice);
    necpnet_voice_hub_config_default(&hub);
    link.latency_us = 1000;
    server.security = client.security = NECPNET_SECURITY_NONE;
    server.entropy.fill = client.entropy.fill = fill;
    server.entropy.user = client.entropy.user = &at.random;
    voice.activation = NECPNET_VOICE_ALWAYS; /* what is compared is all of it */
    voice.dtx = false;
    voice.output_channels = 1;
    must(necpnet_link_create(&link, &at.link), "link");
    necpnet_link_advance(at.link, at.now_us);
    must(necpnet_link_add_server(at.link, 7777, &at.transports[2]), "link");
    must(necpnet_voice_hub_create(&hub, &at.hub), "hub");
    server.transport = at.transports[2];
    server.voice_hub = at.hub;
    must(necpnet_server_create(&server, &at.server), "server");
    must(necpnet_voice_hub_group_create(at.hub, NECPNET_VOICE_CHANNEL, 0, 8, &group), "group");
    for (int i = 0; i < 2; i++) {
        must(necpnet_link_add_client(at.link, &at.transports[i]), "link");
        must(necpnet_voice_create(&voice, &at.voices[i]), "voice");
        client.transport = at.transports[i];
        client.voice = at.voices[i];
        must(necpnet_client_create(&client, &at.clients[i]), "client");
        necpnet_client_update(at.clients[i], at.now_us);
        must(necpnet_client_connect(at.clients[i], &url, 1), "connect");
    }
    at.clients[0]->voice_port.write = watch_write;
    at.clients[1]->voice_port.read = watch_read;
    for (int n = 0; n < 200; n++) step();
    necpnet_peer peer = NECPNET_PEER_NONE;
    while ((peer = necpnet_server_next_peer(at.server, peer)) != NECPNET_PEER_NONE) {
        must(necpnet_voice_hub_join(at.hub, group, peer), "join");
    }
    for (int n = 0; n < 100; n++) step();
}

static void close_world(void)
{
    for (int i = 0; i < 2; i++) necpnet_client_destroy(at.clients[i]);
    necpnet_server_destroy(at.server);
    for (int i = 0; i < 2; i++) necpnet_voice_destroy(at.voices[i]);
    necpnet_voice_hub_destroy(at.hub);
    necpnet_link_destroy(at.link);
}

/* ---- distance -- */

static double twiddle_cos[FFT / 2], twiddle_sin[FFT / 2], window[HOP];
static int band_of[FFT / 2];

static void prepare(void)
{
    for (unsigned i = 0; i < FFT / 2; i++) {
        twiddle_cos[i] = cos(2 * 3.14159265358979 * i / FFT);
        twiddle_sin[i] = sin(2 * 3.14159265358979 * i / FFT);
        double hz = (double)i * RATE / FFT;
        band_of[i] = hz < 100 || hz > 8000 ? -1 : (int)(log(hz / 100) / log(80.0) * BANDS);
        if (band_of[i] >= BANDS) band_of[i] = BANDS - 1;
    }
    for (unsigned i = 0; i < HOP; i++) window[i] = 0.5 - 0.5 * cos(2 * 3.14159265358979 * i / HOP);
}

static void transform(double* re, double* im)
{
    for (unsigned i = 1, j = 0; i < FFT; i++) {
        unsigned bit = FFT >> 1;
        for (; j & bit; bit >>= 1) j ^= bit;
        j ^= bit;
        if (i < j) {
            double t = re[i];
            re[i] = re[j];
            re[j] = t;
            t = im[i];
            im[i] = im[j];
            im[j] = t;
        }
    }
    for (unsigned length = 2; length <= FFT; length <<= 1) {
        unsigned stride = FFT / length;
        for (unsigned i = 0; i < FFT; i += length) {
            for (unsigned k = 0; k < length / 2; k++) {
                unsigned a = i + k, b = a + length / 2;
                double c = twiddle_cos[k * stride], s = -twiddle_sin[k * stride];
                double x = re[b] * c - im[b] * s, y = re[b] * s + im[b] * c;
                re[b] = re[a] - x;
                im[b] = im[a] - y;
                re[a] += x;
                im[a] += y;
            }
        }
    }
}

/* Loudness of bands in dB. Some bands have no line of the transform: as loud as nothing, on both sides. */
static void bands(const float* pcm, double* out)
{
    double re[FFT] = {0}, im[FFT] = {0}, sums[BANDS] = {0};
    for (unsigned i = 0; i < HOP; i++) re[i] = (double)pcm[i] * window[i];
    transform(re, im);
    for (unsigned i = 0; i < FFT / 2; i++) {
        if (band_of[i] >= 0) sums[band_of[i]] += re[i] * re[i] + im[i] * im[i];
    }
    for (int b = 0; b < BANDS; b++) out[b] = 10 * log10(sums[b] / (HOP * HOP / 16.0) + 1e-6);
}

static double loudness(const float* pcm, size_t samples)
{
    double sum = 1e-12;
    for (size_t i = 0; i < samples; i++) sum += (double)pcm[i] * (double)pcm[i];
    return 10 * log10(sum / (double)samples);
}

/* By the envelopes, in ms: how much later the other is. */
static int find_delay_ms(const float* other, size_t samples, int most_ms)
{
    int count = (int)(samples / 48);
    float* a = (float*)calloc((size_t)count, sizeof *a);
    float* b = (float*)calloc((size_t)count, sizeof *b);
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < 48; k++) {
            a[i] += fabsf(spoken[i * 48 + k]);
            b[i] += fabsf(other[i * 48 + k]);
        }
    }
    double best = -1;
    int delay = 0;
    for (int d = 0; d < most_ms; d++) {
        double sum = 0;
        for (int i = 0; i + d < count; i++) sum += (double)a[i] * (double)b[i + d];
        if (sum > best) {
            best = sum;
            delay = d;
        }
    }
    free(a);
    free(b);
    return delay;
}

/* The distance of what was heard so much later from what was said. */
static double distance(const float* other, size_t samples, int delay_ms)
{
    double sum = 0;
    long count = 0;
    for (size_t at_sample = 0; at_sample + HOP + (size_t)(delay_ms + 30) * 48 < samples; at_sample += HOP) {
        if (loudness(spoken + at_sample, HOP) < -45) continue;
        double said[BANDS], got[BANDS], best = 1e9;
        bands(spoken + at_sample, said);
        for (int shift = -25 * 48; shift <= 25 * 48; shift += 120) {
            long from = (long)at_sample + delay_ms * 48 + shift;
            double off = 0;
            if (from < 0) continue;
            bands(other + from, got);
            for (int b = 0; b < BANDS; b++) {
                double x = said[b] < -50 ? -50 : said[b], y = got[b] < -50 ? -50 : got[b];
                off += (x - y) * (x - y);
            }
            if (off < best) best = off;
        }
        sum += best / BANDS;
        count++;
    }
    return sqrt(sum / (double)(count ? count : 1));
}

/* The packets that came, decoded one behind the other. */
static void decode_offline(void)
{
    const nn_voice_codec* codec = nn_voice_codec_opus();
    void* decoder = calloc(1, codec->decoder_bytes(1));
    codec->decoder_begin(decoder, 1);
    memset(offline, 0, (spoken_samples + RATE) * sizeof *offline);
    for (uint32_t i = 0; i < packet_count; i++) {
        packet* one = &packets[i];
        if (one->bytes == 0 || one->unit < 0) continue;
        uint32_t units = nn_voice_units(NN_VOICE_CODEC_OPUS, one->data, one->bytes);
        float pcm[6 * BLOCK];
        nn_opus_facts facts;
        bool has_fec = !one->came && i + 1 < packet_count && packets[i + 1].came &&
                       nn_opus_read(packets[i + 1].data, packets[i + 1].bytes, &facts) && facts.has_fec;
        if (one->came) {
            codec->decode(decoder, one->data, one->bytes, false, pcm, units);
        } else if (has_fec) {
            codec->decode(decoder, packets[i + 1].data, packets[i + 1].bytes, true, pcm, units);
        } else {
            codec->decode(decoder, NULL, 0, false, pcm, units);
        }
        size_t to = (size_t)one->unit * BLOCK;
        if (to + units * BLOCK <= spoken_samples + RATE) memcpy(offline + to, pcm, units * BLOCK * sizeof *pcm);
    }
    free(decoder);
}

/* ---- one link -- */

static void print_json(const char* name, const char* metric, const char* unit, double ours, double peer)
{
    printf("{\"bench\":\"voice_quality\",\"case\":\"%s\",\"metric\":\"%s\",\"unit\":\"%s\",\"ours\":%.4g", name, metric,
           unit, ours);
    if (peer > 0) {
        printf(",\"peer\":\"offline decode with FEC\",\"theirs\":%.4g,\"ratio\":%.3f}\n", peer, peer / ours);
    } else {
        printf(",\"peer\":null,\"theirs\":null,\"ratio\":null}\n");
    }
}

typedef struct result {
    uint32_t loss, jitter;
    double delay_ms, gaps, made_up, recovered, lost, ours, theirs, late, moved;
} result;

static void talk(result* out, const char* prefix)
{
    necpnet_link_config link;
    size_t blocks = spoken_samples / BLOCK, tail = RATE / BLOCK;
    packet_count = 0;
    open_world();
    necpnet_link_config_default(&link);
    link.latency_us = LATENCY_MS * 1000;
    link.jitter_us = out->jitter * 1000;
    link.loss_ppm = out->loss * 10000;
    must(necpnet_link_configure(at.link, at.transports[1], &link), "link");
    memset(heard, 0, (spoken_samples + RATE) * sizeof *heard);
    /* two seconds of the speech first, so that reports have come and the way is known */
    for (size_t n = 0; n < 200 + blocks + tail; n++) {
        float silence[BLOCK] = {0}, scratch[BLOCK];
        size_t file = n < 200 ? n : n - 200;
        if (n == 200) at.began_unit = at.voices[0]->sends[0]->time;
        bool is_over = n >= 200 && file >= blocks;
        must(necpnet_voice_push(at.voices[0], 0, is_over ? silence : spoken + file * BLOCK, BLOCK, at.now_us), "push");
        must(necpnet_voice_pull(at.voices[1], n < 200 ? scratch : heard + file * BLOCK, BLOCK, at.now_us), "pull");
        const nn_voice_speaker* speaker = at.voices[1]->speakers[0];
        if (n > 200 && speaker && speaker->jitter.play == NN_VOICE_IDLE) out->gaps++;
        for (int k = 0; k < 10; k++) step();
    }
    out->gaps *= 6000.0 / (double)(blocks + tail);
    necpnet_voice_statistics s;
    necpnet_voice_get_statistics(at.voices[1], &s);
    decode_offline();
    int delay_ms = find_delay_ms(heard, spoken_samples, 400);
    int offline_ms = find_delay_ms(offline, spoken_samples, 100);
    double units = (double)(s.units_decoded + s.units_recovered + s.units_concealed);
    out->ours = distance(heard, spoken_samples + RATE, delay_ms);
    out->theirs = distance(offline, spoken_samples + RATE, offline_ms);
    out->delay_ms = delay_ms + 10 - (double)(LATENCY_MS + 1); /* a piece is pushed when its last sample was said */
    out->made_up = (double)s.units_concealed / units * 100;
    out->recovered = (double)s.units_recovered / units * 100;
    out->lost = (double)s.packets_lost / (double)(s.packets_received + s.packets_lost) * 100;
    out->late = (double)s.packets_late;
    out->moved = (double)(s.samples_shortened + s.samples_lengthened) / 48;
    if (prefix) write_wav(prefix, out->loss, out->jitter, heard, spoken_samples + RATE);
    close_world();
}

int main(int argc, char** argv)
{
    static const uint32_t losses[] = {0, 5, 10, 20}, jitters[] = {0, 20, 40, 60};
    const char* prefix = NULL;
    const char* name = NULL;
    result rows[16];
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--out") == 0 && i + 1 < argc) {
            prefix = argv[++i];
        } else {
            name = argv[i];
        }
    }
    if (!nn_voice_codec_opus()) {
        fprintf(stderr, "voice_quality: this build has no Opus\n");
        return 0;
    }
    char command[2000];
    snprintf(command, sizeof command, "espeak-ng -s 150 --stdout '%s'", text);
    FILE* file = name ? fopen(name, "rb") : popen(command, "r");
    if (!file || !read_speech(file)) {
        fprintf(stderr,
                "voice_quality: no speech; install espeak-ng (tools/setup.sh), or give a WAV file, 16 bits, mono\n");
        return 0;
    }
    if (name) {
        fclose(file);
    } else {
        pclose(file);
    }
    prepare();
    packets = (packet*)calloc(PACKETS_MAX, sizeof *packets);
    heard = (float*)calloc(spoken_samples + 2 * RATE, sizeof *heard);
    offline = (float*)calloc(spoken_samples + 2 * RATE, sizeof *offline);
    printf("%.1f s of speech\n", (double)spoken_samples / RATE);
    printf("loss jitter  delay   lost  late  from FEC  made up  gaps/min  stretched  distance  offline  ratio\n");
    int count = 0;
    for (size_t l = 0; l < 4; l++) {
        for (size_t j = 0; j < 4; j++) {
            result* row = &rows[count++];
            memset(row, 0, sizeof *row);
            row->loss = losses[l];
            row->jitter = jitters[j];
            talk(row, prefix);
            printf("%3u %% %3u ms %4.0f ms %5.1f %% %4.0f   %5.1f %%  %5.1f %%  %7.1f  %6.0f ms  %6.2f dB %6.2f dB  "
                   "%5.3f\n",
                   row->loss, row->jitter, row->delay_ms, row->lost, row->late, row->recovered, row->made_up, row->gaps,
                   row->moved, row->ours, row->theirs, row->ours / row->theirs);
            fflush(stdout);
        }
    }
    for (int i = 0; i < count; i++) {
        char label[60];
        snprintf(label, sizeof label, "%u %%, %u ms", rows[i].loss, rows[i].jitter);
        print_json(label, "distance", "dB", rows[i].ours, rows[i].theirs);
        print_json(label, "mouth to ear", "ms", rows[i].delay_ms, 0);
        print_json(label, "made up", "%", rows[i].made_up, 0);
        print_json(label, "from FEC", "%", rows[i].recovered, 0);
        print_json(label, "gaps a minute", "pieces of 10 ms", rows[i].gaps, 0);
    }
    free(packets);
    free(spoken);
    free(heard);
    free(offline);
    return 0;
}
