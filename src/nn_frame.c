/* nn_frame - frame types, their names and properties, and the codec of the small ones. */
#include "nn_frame.h"

#include "nn_text.h"

NN_PRIVATE const char* nn_frame_name(uint8_t type)
{
    if (type > NN_FRAME_VOICE && type < NN_FRAME_VOICE_REPORT) return "VOICE";
    switch (type) {
    case NN_FRAME_PADDING: return "PADDING";
    case NN_FRAME_PING: return "PING";
    case NN_FRAME_PONG: return "PONG";
    case NN_FRAME_ACK: return "ACK";
    case NN_FRAME_RECEIVED: return "RECEIVED";
    case NN_FRAME_MESSAGE: return "MESSAGE";
    case NN_FRAME_MESSAGE_LAST: return "MESSAGE_LAST";
    case NN_FRAME_FRAGMENT: return "FRAGMENT";
    case NN_FRAME_CREDIT: return "CREDIT";
    case NN_FRAME_PATH_CHALLENGE: return "PATH_CHALLENGE";
    case NN_FRAME_PATH_RESPONSE: return "PATH_RESPONSE";
    case NN_FRAME_SETUP: return "SETUP";
    case NN_FRAME_CLOSE: return "CLOSE";
    case NN_FRAME_SUSPEND: return "SUSPEND";
    case NN_FRAME_STATE: return "STATE";
    case NN_FRAME_INPUT: return "INPUT";
    case NN_FRAME_INPUT_ACK: return "INPUT_ACK";
    case NN_FRAME_WRITE: return "WRITE";
    case NN_FRAME_VOICE: return "VOICE";
    case NN_FRAME_VOICE_REPORT: return "VOICE_REPORT";
    case NN_FRAME_EVENT: return "EVENT";
    default: return "UNKNOWN";
    }
}

NN_PRIVATE bool nn_frame_is_ack_eliciting(uint8_t type)
{
    if (type >= NN_FRAME_VOICE && type <= NN_FRAME_VOICE_REPORT)
        return false; /* told by reports, and never sent again */
    switch (type) {
    case NN_FRAME_PADDING:
    case NN_FRAME_PONG:
    case NN_FRAME_ACK:
    case NN_FRAME_CLOSE:
    case NN_FRAME_INPUT_ACK: return false;
    default: return true;
    }
}

NN_PRIVATE void nn_frame_write_ping(nn_writer* writer, const nn_ping* ping)
{
    nn_write_u8(writer, NN_FRAME_PING);
    nn_write_varint(writer, ping->id);
    nn_write_u64(writer, ping->sent_at_us);
}

NN_PRIVATE bool nn_frame_read_ping(nn_reader* reader, nn_ping* out)
{
    out->id = nn_read_varint(reader);
    out->sent_at_us = nn_read_u64(reader);
    return !reader->failed;
}

NN_PRIVATE void nn_frame_write_pong(nn_writer* writer, const nn_pong* pong)
{
    nn_write_u8(writer, NN_FRAME_PONG);
    nn_write_varint(writer, pong->id);
    nn_write_u64(writer, pong->sent_at_us);
    nn_write_u64(writer, pong->received_at_us);
    nn_write_varint(writer, nn_min_u64(pong->hold_us, NN_VARINT_MAX));
}

NN_PRIVATE bool nn_frame_read_pong(nn_reader* reader, nn_pong* out)
{
    out->id = nn_read_varint(reader);
    out->sent_at_us = nn_read_u64(reader);
    out->received_at_us = nn_read_u64(reader);
    out->hold_us = nn_read_varint(reader);
    return !reader->failed;
}

NN_PRIVATE void nn_frame_write_close(nn_writer* writer, const nn_close* close)
{
    size_t text_bytes = nn_text_bytes(close->text, NECPNET_REASON_BYTES_MAX);
    NN_ASSERT((int)close->reason <= 0);
    nn_write_u8(writer, NN_FRAME_CLOSE);
    nn_write_varint(writer, (uint64_t)(-(int)close->reason));
    nn_write_varint(writer, close->code);
    nn_write_varint(writer, close->has_retry ? nn_min_u64(close->retry_ms, NN_CLOSE_RETRY_MS_MAX) + 1 : 0);
    nn_write_u8(writer, (uint8_t)text_bytes);
    nn_write_bytes(writer, close->text, text_bytes);
}

NN_PRIVATE necpnet_result nn_frame_result_of(uint64_t number)
{
    static const int known[] = {
#define FRAME_RESULT(name, value, text) -(value),
        NECPNET_RESULTS(FRAME_RESULT)
#undef FRAME_RESULT
    };
    for (size_t i = 0; i < NN_COUNT(known); i++) {
        if (number == (uint64_t)known[i]) return (necpnet_result)(-known[i]);
    }
    return NECPNET_ERR_CLOSED;
}

NN_PRIVATE bool nn_frame_read_close(nn_reader* reader, nn_close* out)
{
    uint64_t reason = nn_read_varint(reader);
    uint64_t code = nn_read_varint(reader);
    uint64_t retry = nn_read_varint(reader);
    size_t text_bytes = nn_read_u8(reader);
    if (reader->failed || code > UINT32_MAX || retry > (uint64_t)NN_CLOSE_RETRY_MS_MAX + 1) return false;
    if (text_bytes > NECPNET_REASON_BYTES_MAX) return false;
    const uint8_t* text = nn_read_view(reader, text_bytes);
    if (reader->failed) return false;
    out->reason = nn_frame_result_of(reason);
    out->code = (uint32_t)code;
    out->has_retry = retry != 0;
    out->retry_ms = retry ? (uint32_t)(retry - 1) : 0;
    nn_text_printable(out->text, text, text_bytes);
    return true;
}

NN_PRIVATE void nn_frame_write_path(nn_writer* writer, nn_frame_type type, uint64_t challenge)
{
    NN_ASSERT(type == NN_FRAME_PATH_CHALLENGE || type == NN_FRAME_PATH_RESPONSE);
    nn_write_u8(writer, (uint8_t)type);
    nn_write_u64(writer, challenge);
}

NN_PRIVATE bool nn_frame_read_path(nn_reader* reader, uint64_t* out)
{
    *out = nn_read_u64(reader);
    return !reader->failed;
}

NN_PRIVATE void nn_frame_write_suspend(nn_writer* writer, uint8_t flags)
{
    nn_write_u8(writer, NN_FRAME_SUSPEND);
    nn_write_u8(writer, (uint8_t)(flags & (NN_SUSPEND_SUSPENDED | NN_SUSPEND_LOADING)));
}

NN_PRIVATE bool nn_frame_read_suspend(nn_reader* reader, uint8_t* out)
{
    *out = (uint8_t)(nn_read_u8(reader) & (NN_SUSPEND_SUSPENDED | NN_SUSPEND_LOADING));
    return !reader->failed;
}

NN_PRIVATE void nn_frame_write_input_ack(nn_writer* writer, uint32_t tick)
{
    nn_write_u8(writer, NN_FRAME_INPUT_ACK);
    nn_write_varint(writer, tick);
}

NN_PRIVATE bool nn_frame_read_input_ack(nn_reader* reader, uint32_t* out)
{
    uint64_t tick = nn_read_varint(reader);
    if (reader->failed || tick > UINT32_MAX) return false;
    *out = (uint32_t)tick;
    return true;
}
