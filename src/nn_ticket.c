/* nn_ticket - sealing and opening resume tickets. */
#include "nn_ticket.h"

#include "nn_bytes.h"
#include "nn_hash.h"

static const char ticket_label[] = "ticket";

/* A salt gives a key of its own, so that the number of the seal may be fixed. */
static necpnet_result ticket_secret_of(const nn_ticket_keys* keys, const necpnet_token_key* key, const uint8_t* header,
                                       uint8_t out[NN_SECRET_BYTES])
{
    uint8_t salt[NN_SECRET_BYTES];
    const nn_span head = {header, NN_TICKET_HEADER_BYTES};
    const nn_span secret = {key->bytes, NECPNET_TOKEN_KEY_BYTES};
    necpnet_result result = nn_key_hash(keys->suite, &head, 1, salt);
    return result ? result : nn_key_extract(keys->suite, salt, &secret, 1, out);
}

NN_PRIVATE necpnet_result nn_ticket_seal(const nn_ticket_keys* keys, const nn_ticket* ticket,
                                         const uint8_t salt[NN_TICKET_SALT_BYTES], uint8_t out[NN_TICKET_BYTES])
{
    NN_ASSERT(keys->count >= 1);
    uint8_t secret[NN_SECRET_BYTES];
    uint8_t* plain = out + NN_TICKET_HEADER_BYTES;
    nn_writer writer = nn_writer_of(plain, NN_TICKET_PLAIN_BYTES);
    nn_store_u32(out, keys->keys[0].id);
    nn_store_u32(out + 4, ticket->number);
    memcpy(out + 8, salt, NN_TICKET_SALT_BYTES);
    nn_write_u64(&writer, ticket->session);
    nn_write_bytes(&writer, ticket->session_tag, NN_SESSION_TAG_BYTES);
    nn_write_u64(&writer, ticket->client_id);
    nn_write_u64(&writer, ticket->server_id);
    nn_write_u64(&writer, ticket->issued_us);
    nn_write_u64(&writer, ticket->expires_us);
    nn_write_u64(&writer, ticket->identity_expires_us);
    nn_write_u32(&writer, ticket->epoch);
    nn_write_u32(&writer, ticket->flags);
    nn_write_bytes(&writer, ticket->secret, NN_SECRET_BYTES);
    nn_write_bytes(&writer, ticket->user_data, NECPNET_USER_DATA_BYTES);
    NN_ASSERT(!writer.failed && nn_writer_bytes(&writer) == NN_TICKET_PLAIN_BYTES);
    necpnet_result result = ticket_secret_of(keys, &keys->keys[0], out, secret);
    if (!result) {
        result = nn_key_message_seal(keys->suite, secret, ticket_label, 0, out, NN_TICKET_HEADER_BYTES, plain,
                                     NN_TICKET_PLAIN_BYTES, plain + NN_TICKET_PLAIN_BYTES);
    }
    if (result) nn_wipe(out, NN_TICKET_BYTES);
    nn_wipe(secret, sizeof secret);
    return result;
}

NN_PRIVATE bool nn_ticket_open(const nn_ticket_keys* keys, const uint8_t* sealed, size_t bytes, nn_ticket* out_ticket)
{
    uint8_t plain[NN_TICKET_PLAIN_BYTES];
    uint8_t secret[NN_SECRET_BYTES];
    if (bytes != NN_TICKET_BYTES) return false;
    uint32_t id = nn_load_u32(sealed);
    bool opened = false;
    for (int i = 0; i < keys->count && !opened; i++) {
        if (keys->keys[i].id != id || ticket_secret_of(keys, &keys->keys[i], sealed, secret)) continue;
        memcpy(plain, sealed + NN_TICKET_HEADER_BYTES, sizeof plain);
        opened = nn_key_message_open(keys->suite, secret, ticket_label, 0, sealed, NN_TICKET_HEADER_BYTES, plain,
                                     sizeof plain, sealed + NN_TICKET_HEADER_BYTES + NN_TICKET_PLAIN_BYTES);
    }
    nn_wipe(secret, sizeof secret);
    if (!opened) return false;
    nn_reader reader = nn_reader_of(plain, sizeof plain);
    out_ticket->number = nn_load_u32(sealed + 4);
    out_ticket->session = nn_read_u64(&reader);
    nn_read_copy(&reader, out_ticket->session_tag, NN_SESSION_TAG_BYTES);
    out_ticket->client_id = nn_read_u64(&reader);
    out_ticket->server_id = nn_read_u64(&reader);
    out_ticket->issued_us = nn_read_u64(&reader);
    out_ticket->expires_us = nn_read_u64(&reader);
    out_ticket->identity_expires_us = nn_read_u64(&reader);
    out_ticket->epoch = nn_read_u32(&reader);
    out_ticket->flags = nn_read_u32(&reader);
    nn_read_copy(&reader, out_ticket->secret, NN_SECRET_BYTES);
    nn_read_copy(&reader, out_ticket->user_data, NECPNET_USER_DATA_BYTES);
    NN_ASSERT(!reader.failed && nn_reader_left(&reader) == 0);
    nn_wipe(plain, sizeof plain);
    return true;
}

NN_PRIVATE uint32_t nn_ticket_number(const uint8_t* sealed, size_t bytes)
{
    return bytes == NN_TICKET_BYTES ? nn_load_u32(sealed + 4) : 0;
}

NN_PRIVATE void nn_ticket_proof(const uint8_t secret[NN_SECRET_BYTES], const uint8_t sealed[NN_TICKET_BYTES],
                                uint8_t out[NN_TICKET_PROOF_BYTES])
{
    nn_siphash128(secret, sealed, NN_TICKET_BYTES, out);
}
