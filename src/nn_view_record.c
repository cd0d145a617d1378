/* nn_view_record - what a view receives, as a recording. */
#include "nn_view.h"

necpnet_result necpnet_view_record(necpnet_view* view, const necpnet_recorder* recorder)
{
    if (!view || (recorder && !recorder->write)) return NECPNET_ERR_INVALID_ARGUMENT;
    if (!recorder) return nn_recording_end(&view->recording);
    if (view->recording.on) return NECPNET_ERR_ALREADY_EXISTS;
    if (view->numbered) return NECPNET_ERR_INVALID_STATE; /* what comes next follows from what came before */
    necpnet_result result = nn_recording_begin(&view->recording, &view->alloc, recorder);
    nn_recording_add_schema(&view->recording, view->schema, 0);
    return result;
}

NN_PRIVATE void nn_view_record_clock(necpnet_view* view)
{
    uint8_t data[16];
    nn_writer writer = nn_writer_of(data, sizeof data);
    nn_write_u64(&writer, (uint64_t)view->server_minus_local_us);
    nn_write_varint(&writer, view->playback.tick_hz);
    nn_recording_add(&view->recording, NN_RECORD_CLOCK, data, nn_writer_bytes(&writer), 0);
}
