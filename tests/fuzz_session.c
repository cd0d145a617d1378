/* fuzz_session - hostile frames of a session: nothing breaks, limits hold, and all memory comes back.
 *
 * The input is a sequence of packets: 2 bytes of length (little-endian), then frames. A session that has sent something
 * on every channel reads them, polls, writes, and hears that its packets were lost or arrived, by the parity of the
 * length.
 */
#include <stdlib.h>

#include "nn_session.h"

static void fuzz_open(nn_session* session, nn_alloc* alloc, nn_blocks* blocks, nn_receive_memory* memory,
                      necpnet_channel_config* channels, nn_session_config* config)
{
    nn_alloc_init(alloc, NULL);
    nn_blocks_init(blocks, alloc);
    memory->held = 0;
    memory->max = 200000;
    memset(channels, 0, 5 * sizeof *channels);
    for (int i = 0; i < 5; i++) {
        channels[i].mode = (necpnet_channel_mode)i;
        channels[i].priority = (necpnet_priority)(i % 4);
        channels[i].redundancy = i % 2 == 0;
        channels[i].message_bytes_max = 20000;
        channels[i].queue_bytes_max = 100000;
        channels[i].queue_messages_max = 100;
        channels[i].window_bytes = 50000;
    }
    memset(config, 0, sizeof *config);
    config->alloc = alloc;
    config->blocks = blocks;
    config->channels = channels;
    config->channel_count = 5;
    config->receive_memory = memory;
    nn_session_init(session, config);
    nn_session_begin(session, false);
    nn_session_set_peer_decompresses(session, true);
    static const uint8_t message[3000];
    for (int i = 0; i < 5; i++) {
        (void)nn_session_set_peer_window(session, i, 50000);
        (void)nn_session_send(session, i, message, sizeof message, NULL, 0);
        (void)nn_session_send(session, i, message, 10, NULL, 0);
    }
}

static void fuzz_write(nn_session* session, bool lost)
{
    uint8_t packet[1177];
    nn_contents contents;
    nn_contents_init(&contents);
    nn_writer writer = nn_writer_of(packet, sizeof packet);
    (void)nn_session_write(session, &writer, &contents, 0);
    if (lost) {
        nn_session_lost(session, &contents, 0);
    } else {
        nn_session_acked(session, &contents, 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes)
{
    nn_session session;
    nn_alloc alloc;
    nn_blocks blocks;
    nn_receive_memory memory;
    necpnet_channel_config channels[5];
    nn_session_config config;
    nn_reader input = nn_reader_of(data, bytes);
    necpnet_result result = NECPNET_OK;
    fuzz_open(&session, &alloc, &blocks, &memory, channels, &config);
    while (nn_reader_left(&input) >= 2 && result != NECPNET_ERR_PROTOCOL) {
        size_t length = nn_read_u16(&input);
        size_t taken = nn_min_size(length, nn_reader_left(&input));
        nn_reader packet = nn_reader_of(nn_read_view(&input, taken), taken);
        fuzz_write(&session, length % 2 == 0);
        while (nn_reader_left(&packet) > 0 && result != NECPNET_ERR_PROTOCOL) {
            const char* text = NULL;
            uint8_t type = nn_read_u8(&packet);
            result = nn_session_read(&session, type, &packet, 0, &text);
            if (result == NECPNET_ERR_PROTOCOL && !text) abort();
        }
        nn_session_event event;
        while (length % 3 == 0 && nn_session_poll(&session, &event)) {
        }
        /* What was begun may end beyond the limit: 16 messages of each reliable channel, and what they decompress to. */
        if (memory.held > memory.max + 2 * 16 * 2 * 20000 + 300000) abort();
    }
    nn_session_reset(&session);
    if (memory.held != 0) abort();
    nn_blocks_reset(&blocks);
    if (alloc.bytes != 0) abort();
    return 0;
}
