/* nn_websocket - the frames of RFC 6455, both sides. */
#include "nn_websocket.h"

#define WEBSOCKET_FIRST_BYTES 4096 /* of the block of an unfinished message, if it needs more than has come */

NN_PRIVATE void nn_websocket_init(nn_websocket* websocket, nn_alloc* alloc, bool is_server, uint32_t message_bytes_max)
{
    memset(websocket, 0, sizeof *websocket);
    websocket->alloc = alloc;
    websocket->is_server = is_server;
    websocket->message_bytes_max = message_bytes_max;
}

static void websocket_give_message(nn_websocket* websocket)
{
    nn_alloc_give(websocket->alloc, websocket->message, websocket->message_capacity);
    websocket->message = NULL;
    websocket->message_bytes = 0;
    websocket->message_capacity = 0;
}

static void websocket_give_control(nn_websocket* websocket)
{
    nn_alloc_give(websocket->alloc, websocket->control, NN_WEBSOCKET_CONTROL_BYTES_MAX);
    websocket->control = NULL;
    websocket->control_bytes = 0;
}

NN_PRIVATE void nn_websocket_reset(nn_websocket* websocket)
{
    websocket_give_message(websocket);
    websocket_give_control(websocket);
    websocket->ended = true;
}

NN_PRIVATE void nn_websocket_mask(uint8_t* data, size_t bytes, const uint8_t mask[4])
{
    uint32_t four;
    memcpy(&four, mask, 4);
    uint64_t eight = (uint64_t)four << 32 | four; /* the same in both byte orders */
    size_t at = 0;
    for (; bytes - at >= 32; at += 32) { /* a fixed inner length lets compilers use vectors */
        uint64_t words[4];
        memcpy(words, data + at, 32);
        for (int i = 0; i < 4; i++) words[i] ^= eight;
        memcpy(data + at, words, 32);
    }
    for (; bytes - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, data + at, 8);
        word ^= eight;
        memcpy(data + at, &word, 8);
    }
    for (; at < bytes; at++) data[at] = (uint8_t)(data[at] ^ mask[at & 3]);
}

/* Turn the mask so that its first byte fits the byte after `bytes` more. */
static void websocket_turn_mask(uint8_t mask[4], size_t bytes)
{
    uint8_t old[4];
    memcpy(old, mask, 4);
    for (size_t i = 0; i < 4; i++) mask[i] = old[(i + bytes) & 3];
}

static nn_websocket_kind websocket_fail(nn_websocket* websocket, nn_websocket_item* item, int code, const char* problem)
{
    websocket->ended = true;
    item->data = NULL;
    item->bytes = 0;
    item->code = code;
    item->problem = problem;
    return NN_WEBSOCKET_FAILED;
}

NN_PRIVATE bool nn_websocket_code_is_valid(int code)
{
    if (code >= 3000 && code <= 4999) return true;
    return code >= 1000 && code <= 1014 && code != 1004 && code != NN_WEBSOCKET_CODE_NONE &&
           code != NN_WEBSOCKET_CODE_LOST;
}

/* ---- the header of a frame ------------------------------------------------------------------------------------ */

/* What the first two bytes must obey, looked at before anything else of the frame has come. NULL: right. */
static const char* websocket_check_start(const nn_websocket* websocket, const uint8_t* header)
{
    uint8_t opcode = header[0] & 0x0f;
    bool fin = (header[0] & 0x80) != 0;
    bool masked = (header[1] & 0x80) != 0;
    uint8_t length = header[1] & 0x7f;
    uint8_t reserved = header[0] & 0x70;
    bool begins = opcode == NN_WEBSOCKET_TEXT || opcode == NN_WEBSOCKET_BINARY;
    if (reserved && (reserved != NN_WEBSOCKET_COMPRESSED || !websocket->deflate || !begins)) {
        return "reserved bits are set";
    }
    if (opcode > NN_WEBSOCKET_PONG || (opcode > NN_WEBSOCKET_BINARY && opcode < NN_WEBSOCKET_CLOSE)) {
        return "the opcode is reserved";
    }
    if (masked != websocket->is_server) return masked ? "a server's frame is masked" : "a client's frame is not masked";
    if (opcode >= NN_WEBSOCKET_CLOSE) {
        if (!fin) return "a control frame is fragmented";
        if (length > NN_WEBSOCKET_CONTROL_BYTES_MAX) return "a control frame is longer than 125 bytes";
    } else if (opcode == NN_WEBSOCKET_CONTINUATION) {
        if (!websocket->message_opcode) return "a continuation without a message";
    } else if (websocket->message_opcode) {
        return "a message begins inside another";
    }
    return NULL;
}

static size_t websocket_header_bytes(uint8_t second)
{
    uint8_t length = second & 0x7f;
    return (size_t)2 + (length == 126 ? 2 : length == 127 ? 8 : 0) + (second & 0x80 ? 4 : 0);
}

/* What of a message may come over the wire: an incompressible one grows a little when it is deflated nevertheless. */
static uint32_t websocket_wire_bytes_max(const nn_websocket* websocket)
{
    uint32_t most = websocket->message_bytes_max;
    return websocket->compressed ? most + most / 64 + 64 : most;
}

/* A header has come whole: enter its frame. */
static nn_websocket_kind websocket_enter(nn_websocket* websocket, const uint8_t* header, nn_websocket_item* item)
{
    const uint8_t* at = header + 2;
    uint64_t length = header[1] & 0x7f;
    size_t wide = length == 126 ? 2 : length == 127 ? 8 : 0;
    if (wide) {
        length = 0;
        for (size_t i = 0; i < wide; i++) length = length << 8 | *at++;
        if (length >> 63)
            return websocket_fail(websocket, item, NN_WEBSOCKET_CODE_PROTOCOL, "a length has its top bit set");
        if (length < 126 || (wide == 8 && length <= 0xffff)) {
            return websocket_fail(websocket, item, NN_WEBSOCKET_CODE_PROTOCOL, "a length is not in its shortest form");
        }
    }
    uint8_t opcode = header[0] & 0x0f;
    bool begins = opcode == NN_WEBSOCKET_TEXT || opcode == NN_WEBSOCKET_BINARY;
    if (begins) websocket->compressed = (header[0] & NN_WEBSOCKET_COMPRESSED) != 0;
    if (opcode < NN_WEBSOCKET_CLOSE && length > websocket_wire_bytes_max(websocket) - websocket->message_bytes) {
        return websocket_fail(websocket, item, NN_WEBSOCKET_CODE_TOO_LARGE, "the message is larger than the limit");
    }
    websocket->opcode = opcode;
    websocket->fin = (header[0] & 0x80) != 0;
    if (websocket->is_server)
        memmove(websocket->at.mask, at, 4); /* the header may lie in the same place: no more of it */
    websocket->frame_left = (uint32_t)length;
    websocket->in_frame = true;
    websocket->header_bytes = 0;
    if (begins) {
        websocket->message_opcode = opcode;
        memset(&websocket->utf8, 0, sizeof websocket->utf8);
    }
    return NN_WEBSOCKET_MORE;
}

/* Read a header from the input, in pieces if need be. MORE: in_frame tells whether it is whole. */
static nn_websocket_kind websocket_read_header(nn_websocket* websocket, uint8_t** at, const uint8_t* end,
                                               nn_websocket_item* item)
{
    size_t there = (size_t)(end - *at);
    if (NN_LIKELY(websocket->header_bytes == 0 && there >= 2 && there >= websocket_header_bytes((*at)[1]))) {
        uint8_t* header = *at;
        const char* problem = websocket_check_start(websocket, header);
        if (problem) return websocket_fail(websocket, item, NN_WEBSOCKET_CODE_PROTOCOL, problem);
        *at += websocket_header_bytes(header[1]);
        return websocket_enter(websocket, header, item);
    }
    while (*at < end) {
        websocket->at.header[websocket->header_bytes++] = *(*at)++;
        if (websocket->header_bytes < 2) continue;
        if (websocket->header_bytes == 2) {
            const char* problem = websocket_check_start(websocket, websocket->at.header);
            if (problem) return websocket_fail(websocket, item, NN_WEBSOCKET_CODE_PROTOCOL, problem);
        }
        if (websocket->header_bytes == websocket_header_bytes(websocket->at.header[1])) {
            return websocket_enter(websocket, websocket->at.header, item);
        }
    }
    return NN_WEBSOCKET_MORE;
}

/* ---- payload ---------------------------------------------------------------------------------------------------- */

/* Room for `bytes` more of the message: grows with what has come, so that a length alone costs nothing. */
static bool websocket_reserve(nn_websocket* websocket, size_t bytes)
{
    size_t needed = websocket->message_bytes + bytes;
    if (needed <= websocket->message_capacity) return true;
    size_t known = (size_t)websocket->message_bytes + websocket->frame_left; /* frame_left still counts `bytes` */
    size_t capacity = nn_max_size((size_t)websocket->message_capacity * 2, WEBSOCKET_FIRST_BYTES);
    capacity = nn_max_size(capacity, needed);
    if (known / 4 <= needed) capacity = nn_max_size(capacity, known);
    if (websocket->fin && capacity > known) capacity = known;
    capacity = nn_min_size(capacity, websocket_wire_bytes_max(websocket));
    void* grown = nn_alloc_grow(websocket->alloc, websocket->message, websocket->message_capacity, capacity);
    if (!grown) return false;
    websocket->message = (uint8_t*)grown;
    websocket->message_capacity = (uint32_t)capacity;
    return true;
}

static nn_websocket_kind websocket_close_item(nn_websocket* websocket, nn_websocket_item* item)
{
    if (item->bytes == 1)
        return websocket_fail(websocket, item, NN_WEBSOCKET_CODE_PROTOCOL, "a close frame of one byte");
    item->code = NN_WEBSOCKET_CODE_NONE;
    if (item->bytes >= 2) {
        item->code = item->data[0] << 8 | item->data[1];
        item->data += 2;
        item->bytes -= 2;
        if (!nn_websocket_code_is_valid(item->code)) {
            return websocket_fail(websocket, item, NN_WEBSOCKET_CODE_PROTOCOL, "a close code that may not be sent");
        }
        if (!nn_utf8_valid(item->data, item->bytes)) {
            return websocket_fail(websocket, item, NN_WEBSOCKET_CODE_BAD_DATA, "a close text that is not UTF-8");
        }
    }
    websocket->ended = true;
    return NN_WEBSOCKET_CLOSED;
}

/* Payload of a ping, pong or close. */
static nn_websocket_kind websocket_read_control(nn_websocket* websocket, uint8_t* data, size_t bytes,
                                                nn_websocket_item* item)
{
    bool whole = websocket->frame_left == bytes;
    if (!whole || websocket->control) {
        if (!websocket->control) {
            websocket->control = (uint8_t*)nn_alloc_take(websocket->alloc, NN_WEBSOCKET_CONTROL_BYTES_MAX);
            if (!websocket->control) {
                return websocket_fail(websocket, item, NN_WEBSOCKET_CODE_INTERNAL, "no memory for a control frame");
            }
        }
        nn_copy(websocket->control + websocket->control_bytes, data, bytes);
        websocket->control_bytes = (uint8_t)(websocket->control_bytes + bytes);
    }
    websocket->frame_left -= (uint32_t)bytes;
    if (!whole) return NN_WEBSOCKET_MORE;
    item->data = websocket->control ? websocket->control : data;
    item->bytes = websocket->control ? websocket->control_bytes : bytes;
    item->opcode = (nn_websocket_opcode)websocket->opcode;
    websocket->delivered = websocket->control != NULL;
    websocket->in_frame = false;
    return item->opcode == NN_WEBSOCKET_CLOSE ? websocket_close_item(websocket, item) : NN_WEBSOCKET_CONTROL;
}

/* Payload of a text, binary or continuation frame. */
static nn_websocket_kind websocket_read_message(nn_websocket* websocket, uint8_t* data, size_t bytes,
                                                nn_websocket_item* item)
{
    bool frame_whole = websocket->frame_left == bytes;
    bool whole = frame_whole && websocket->fin;
    if (websocket->message_opcode == NN_WEBSOCKET_TEXT && !websocket->compressed) {
        if (!nn_utf8_feed(&websocket->utf8, data, bytes) || (whole && !nn_utf8_is_whole(&websocket->utf8))) {
            return websocket_fail(websocket, item, NN_WEBSOCKET_CODE_BAD_DATA, "a text that is not UTF-8");
        }
    }
    if (NN_UNLIKELY(!whole || websocket->message)) {
        if (bytes && !websocket_reserve(websocket, bytes)) {
            return websocket_fail(websocket, item, NN_WEBSOCKET_CODE_INTERNAL, "no memory for a message");
        }
        if (bytes) memcpy(websocket->message + websocket->message_bytes, data, bytes);
        websocket->message_bytes += (uint32_t)bytes;
    }
    websocket->frame_left -= (uint32_t)bytes;
    if (frame_whole) websocket->in_frame = false;
    if (!whole) return NN_WEBSOCKET_MORE;
    item->data = websocket->message ? websocket->message : data;
    item->bytes = websocket->message ? websocket->message_bytes : bytes;
    item->opcode = (nn_websocket_opcode)websocket->message_opcode;
    item->compressed = websocket->compressed;
    websocket->delivered = websocket->message != NULL;
    websocket->message_opcode = 0;
    return NN_WEBSOCKET_MESSAGE;
}

/* Give back what the last call handed out. A control frame may lie inside an unfinished message, which stays. */
static void websocket_give_delivered(nn_websocket* websocket)
{
    websocket->delivered = false;
    if (websocket->control) {
        websocket_give_control(websocket);
    } else {
        websocket_give_message(websocket);
    }
}

NN_PRIVATE nn_websocket_kind nn_websocket_next(nn_websocket* websocket, uint8_t** at, const uint8_t* end,
                                               nn_websocket_item* item)
{
    if (NN_UNLIKELY(websocket->delivered)) websocket_give_delivered(websocket);
    while (!websocket->ended) {
        if (!websocket->in_frame) {
            nn_websocket_kind failed = websocket_read_header(websocket, at, end, item);
            if (NN_UNLIKELY(failed != NN_WEBSOCKET_MORE)) return failed;
            if (!websocket->in_frame) return NN_WEBSOCKET_MORE;
        }
        size_t there = (size_t)(end - *at);
        if (!there && websocket->frame_left) return NN_WEBSOCKET_MORE;
        size_t bytes = nn_min_size(there, websocket->frame_left);
        uint8_t* data = *at;
        *at += bytes;
        if (websocket->is_server) {
            nn_websocket_mask(data, bytes, websocket->at.mask);
            if (bytes != websocket->frame_left) websocket_turn_mask(websocket->at.mask, bytes);
        }
        nn_websocket_kind kind = websocket->opcode >= NN_WEBSOCKET_CLOSE
                                     ? websocket_read_control(websocket, data, bytes, item)
                                     : websocket_read_message(websocket, data, bytes, item);
        if (kind != NN_WEBSOCKET_MORE) return kind;
    }
    *at = *at + (end - *at);
    return NN_WEBSOCKET_MORE;
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

NN_PRIVATE size_t nn_websocket_write_header(uint8_t* to, nn_websocket_opcode opcode, uint64_t bytes,
                                            const uint8_t* mask)
{
    uint8_t masked = mask ? 0x80 : 0;
    size_t at = 2;
    to[0] = (uint8_t)(0x80 | (unsigned)opcode);
    if (bytes < 126) {
        to[1] = (uint8_t)(masked | bytes);
    } else {
        size_t wide = bytes <= 0xffff ? 2 : 8;
        to[1] = (uint8_t)(masked | (wide == 2 ? 126 : 127));
        for (size_t i = 0; i < wide; i++) to[at + i] = (uint8_t)(bytes >> (8 * (wide - 1 - i)));
        at += wide;
    }
    if (mask) {
        memcpy(to + at, mask, 4);
        at += 4;
    }
    return at;
}
