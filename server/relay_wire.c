/* relay_wire - the bytes of what relays say. */
#include "relay_wire.h"

#include <string.h>

#define WIRE_VERSION 1u
#define WIRE_HEAD_BYTES 45u

static uint8_t* wire_put64(uint8_t* to, uint64_t value)
{
    for (int i = 0; i < 8; i++) to[i] = (uint8_t)(value >> (8 * i));
    return to + 8;
}

static const uint8_t* wire_get64(const uint8_t* from, uint64_t* out)
{
    *out = 0;
    for (int i = 0; i < 8; i++) *out |= (uint64_t)from[i] << (8 * i);
    return from + 8;
}

void relay_write(text* out, const relay_message* message)
{
    uint8_t head[WIRE_HEAD_BYTES] = {WIRE_VERSION, (uint8_t)message->kind, message->hops, message->code,
                                     (uint8_t)strlen(message->name)};
    uint8_t* at = wire_put64(head + 5, message->origin);
    at = wire_put64(at, message->number);
    at = wire_put64(at, message->position.epoch);
    at = wire_put64(at, message->position.offset);
    (void)wire_put64(at, message->base);
    text_put_bytes(out, head, sizeof(head));
    text_put_bytes(out, message->name, strlen(message->name));
    if (message->bytes) text_put_bytes(out, message->data, message->bytes);
}

bool relay_read(const void* data, size_t bytes, relay_message* out)
{
    const uint8_t* head = data;
    if (bytes < WIRE_HEAD_BYTES || head[0] != WIRE_VERSION) return false;
    size_t name_bytes = head[4];
    if (head[1] == 0 || head[1] >= RELAY_KINDS || name_bytes > TOPICS_NAME_BYTES_MAX) return false;
    if (bytes - WIRE_HEAD_BYTES < name_bytes) return false;
    out->kind = (relay_kind)head[1];
    out->hops = head[2];
    out->code = head[3];
    const uint8_t* at = wire_get64(head + 5, &out->origin);
    at = wire_get64(at, &out->number);
    at = wire_get64(at, &out->position.epoch);
    at = wire_get64(at, &out->position.offset);
    at = wire_get64(at, &out->base);
    memcpy(out->name, at, name_bytes);
    out->name[name_bytes] = 0;
    out->data = at + name_bytes;
    out->bytes = bytes - WIRE_HEAD_BYTES - name_bytes;
    bool named =
        out->kind != RELAY_SEEN && out->kind != RELAY_SETTLED && out->kind != RELAY_TAKEN && out->kind != RELAY_LEFT;
    return named ? topics_name_is_right(out->name) : name_bytes == 0;
}

void relay_put_item(text* out, const void* item, size_t bytes)
{
    uint8_t length[4] = {(uint8_t)bytes, (uint8_t)(bytes >> 8), (uint8_t)(bytes >> 16), (uint8_t)(bytes >> 24)};
    text_put_bytes(out, length, sizeof(length));
    text_put_bytes(out, item, bytes);
}

bool relay_next_item(const uint8_t** at, size_t* left, const uint8_t** out_item, size_t* out_bytes)
{
    if (*left < 4) return false;
    const uint8_t* length = *at;
    size_t bytes = length[0] | (size_t)length[1] << 8 | (size_t)length[2] << 16 | (size_t)length[3] << 24;
    if (*left - 4 < bytes) return false;
    *out_item = *at + 4;
    *out_bytes = bytes;
    *at += 4 + bytes;
    *left -= 4 + bytes;
    return true;
}
