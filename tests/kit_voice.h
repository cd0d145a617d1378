/* kit_voice.h - what a voice hub has for a listener. */
#ifndef KIT_VOICE_H
#define KIT_VOICE_H

#include "nn_voice_hub.h"
#include "test.h"

/* How many VOICE frames wait behind a port; takes them. out_last (zeros where there is none), reports (rows of VOICE_REPORT
 * are added): NULL or where. */
static inline uint32_t kit_voice_hear(const nn_voice_port* port, uint64_t now_us, nn_voice_frame* out_last,
                                      uint32_t* reports)
{
    static uint8_t bytes[1200];
    uint32_t count = 0;
    if (out_last) memset(out_last, 0, sizeof *out_last);
    while (port->ready(port->user, now_us)) {
        nn_writer writer = nn_writer_of(bytes, sizeof bytes);
        if (!port->write(port->user, &writer, now_us)) break;
        nn_reader reader = nn_reader_of(bytes, nn_writer_bytes(&writer));
        while (nn_reader_left(&reader)) {
            nn_voice_frame frame;
            nn_voice_report rows[NN_VOICE_REPORT_ROWS_MAX];
            uint32_t row_count;
            uint8_t type = nn_read_u8(&reader);
            if (type == NN_VOICE_FRAME_LAST) {
                TEST_CHECK(nn_voice_read_reports(&reader, rows, &row_count));
                if (reports) *reports += row_count;
                continue;
            }
            TEST_CHECK(nn_voice_read(type, &reader, &frame));
            if (out_last) *out_last = frame;
            count++;
        }
    }
    return count;
}

#endif
