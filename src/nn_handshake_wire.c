/* nn_handshake_wire - the byte tables of the handshake. */
#include "nn_handshake_wire.h"

#include "nn_bytes.h"
#include "nn_key_schedule.h"

#define WIRE_HEAD_BYTES 8u
#define WIRE_AUTH_COOKIE_AT 44u
#define WIRE_AUTH_KEY_AT (WIRE_AUTH_COOKIE_AT + NN_COOKIE_BYTES)
#define WIRE_ACCEPT_SEALED_BYTES_MIN 5u /* connection id, ticket bytes */
#define WIRE_REFUSE_SEALED_BYTES_MIN 4u

static void wire_write_head(nn_writer* writer, const nn_handshake_head* head, nn_handshake_type type)
{
    nn_write_u8(writer, (uint8_t)type);
    nn_write_u8(writer, head->version);
    nn_write_u8(writer, head->security);
    nn_write_u8(writer, head->suite);
    nn_write_u32(writer, head->client_connection_id);
}

static void wire_read_head(nn_reader* reader, nn_handshake_head* head)
{
    head->type = nn_read_u8(reader);
    head->version = nn_read_u8(reader);
    head->security = nn_read_u8(reader);
    head->suite = nn_read_u8(reader);
    head->client_connection_id = nn_read_u32(reader);
}

/* The rest of a padded message. */
static bool wire_is_padding(const nn_reader* reader)
{
    uint8_t any = 0;
    for (const uint8_t* p = reader->at; p < reader->end; p++) any = (uint8_t)(any | *p);
    return any == 0;
}

static bool wire_begins(const nn_handshake_head* head, nn_handshake_type type)
{
    return head->type == type && head->version == NN_HANDSHAKE_VERSION;
}

NN_PRIVATE bool nn_handshake_head_read(const uint8_t* data, size_t bytes, nn_handshake_head* out)
{
    nn_reader reader = nn_reader_of(data, bytes);
    wire_read_head(&reader, out);
    return !reader.failed;
}

NN_PRIVATE size_t nn_hello_write(const nn_hello* hello, uint8_t* to)
{
    nn_writer writer = nn_writer_of(to, NN_HANDSHAKE_BYTES);
    wire_write_head(&writer, &hello->head, NN_HANDSHAKE_HELLO);
    nn_write_u32(&writer, hello->suites);
    nn_write_bytes(&writer, hello->nonce, sizeof hello->nonce);
    NN_ASSERT(nn_writer_bytes(&writer) == NN_HELLO_BYTES);
    nn_write_zeroes(&writer, nn_writer_left(&writer));
    return NN_HANDSHAKE_BYTES;
}

NN_PRIVATE bool nn_hello_read(const uint8_t* data, size_t bytes, nn_hello* out)
{
    if (bytes != NN_HANDSHAKE_BYTES) return false;
    nn_reader reader = nn_reader_of(data, bytes);
    wire_read_head(&reader, &out->head);
    out->suites = nn_read_u32(&reader);
    nn_read_copy(&reader, out->nonce, sizeof out->nonce);
    return wire_begins(&out->head, NN_HANDSHAKE_HELLO) && out->head.suite == 0 && wire_is_padding(&reader);
}

NN_PRIVATE size_t nn_retry_write(const nn_retry* retry, uint8_t* to)
{
    nn_writer writer = nn_writer_of(to, NN_RETRY_BYTES);
    wire_write_head(&writer, &retry->head, NN_HANDSHAKE_RETRY);
    nn_write_bytes(&writer, retry->cookie, sizeof retry->cookie);
    NN_ASSERT(!writer.failed && nn_writer_bytes(&writer) == NN_RETRY_BYTES);
    return NN_RETRY_BYTES;
}

NN_PRIVATE bool nn_retry_read(const uint8_t* data, size_t bytes, nn_retry* out)
{
    if (bytes != NN_RETRY_BYTES) return false;
    nn_reader reader = nn_reader_of(data, bytes);
    wire_read_head(&reader, &out->head);
    nn_read_copy(&reader, out->cookie, sizeof out->cookie);
    return wire_begins(&out->head, NN_HANDSHAKE_RETRY);
}

NN_PRIVATE size_t nn_auth_write(const nn_auth* auth, uint8_t* to)
{
    NN_ASSERT(auth->setup_bytes <= NN_HANDSHAKE_SETUP_BYTES_MAX);
    nn_writer writer = nn_writer_of(to, NN_HANDSHAKE_BYTES);
    wire_write_head(&writer, &auth->head, NN_HANDSHAKE_AUTH);
    nn_write_u32(&writer, auth->suites);
    nn_write_bytes(&writer, auth->nonce, sizeof auth->nonce);
    nn_write_bytes(&writer, auth->cookie, sizeof auth->cookie);
    nn_write_bytes(&writer, auth->key, sizeof auth->key);
    if (auth->token) {
        nn_write_bytes(&writer, auth->token, NN_TOKEN_SEALED_BYTES);
    } else {
        nn_write_zeroes(&writer, NN_TOKEN_SEALED_BYTES);
    }
    nn_write_u16(&writer, (uint16_t)auth->setup_bytes);
    NN_ASSERT(nn_writer_bytes(&writer) == NN_AUTH_HEADER_BYTES);
    uint8_t* padding = writer.at + auth->setup_bytes + NN_AEAD_TAG_BYTES;
    memset(padding, 0, (size_t)(writer.end - padding));
    return NN_HANDSHAKE_BYTES;
}

NN_PRIVATE bool nn_auth_read(const uint8_t* data, size_t bytes, nn_auth* out)
{
    if (bytes != NN_HANDSHAKE_BYTES) return false;
    nn_reader reader = nn_reader_of(data, bytes);
    wire_read_head(&reader, &out->head);
    out->suites = nn_read_u32(&reader);
    nn_read_copy(&reader, out->nonce, sizeof out->nonce);
    nn_read_copy(&reader, out->cookie, sizeof out->cookie);
    nn_read_copy(&reader, out->key, sizeof out->key);
    out->token = nn_read_view(&reader, NN_TOKEN_SEALED_BYTES);
    out->setup_bytes = nn_read_u16(&reader);
    if (out->setup_bytes > NN_HANDSHAKE_SETUP_BYTES_MAX) return false;
    out->setup = nn_read_view(&reader, out->setup_bytes);
    out->tag = nn_read_view(&reader, NN_AEAD_TAG_BYTES);
    return !reader.failed && wire_begins(&out->head, NN_HANDSHAKE_AUTH) && wire_is_padding(&reader);
}

NN_PRIVATE size_t nn_resume_write(const nn_resume* resume, uint8_t* to)
{
    NN_ASSERT(resume->setup_bytes <= NN_HANDSHAKE_SETUP_BYTES_MAX);
    NN_ASSERT(resume->ticket_bytes >= 1 && resume->ticket_bytes <= NN_HANDSHAKE_TICKET_BYTES_MAX);
    nn_writer writer = nn_writer_of(to, NN_HANDSHAKE_BYTES);
    wire_write_head(&writer, &resume->head, NN_HANDSHAKE_RESUME);
    nn_write_u32(&writer, resume->suites);
    nn_write_bytes(&writer, resume->nonce, sizeof resume->nonce);
    nn_write_u16(&writer, (uint16_t)resume->ticket_bytes);
    nn_write_bytes(&writer, resume->ticket, resume->ticket_bytes);
    nn_write_zeroes(&writer, NN_HANDSHAKE_TICKET_BYTES_MAX - resume->ticket_bytes);
    nn_write_u16(&writer, (uint16_t)resume->setup_bytes);
    NN_ASSERT(nn_writer_bytes(&writer) == NN_RESUME_HEADER_BYTES);
    uint8_t* padding = writer.at + resume->setup_bytes + NN_AEAD_TAG_BYTES;
    memset(padding, 0, (size_t)(writer.end - padding));
    return NN_HANDSHAKE_BYTES;
}

NN_PRIVATE bool nn_resume_read(const uint8_t* data, size_t bytes, nn_resume* out)
{
    if (bytes != NN_HANDSHAKE_BYTES) return false;
    nn_reader reader = nn_reader_of(data, bytes);
    wire_read_head(&reader, &out->head);
    out->suites = nn_read_u32(&reader);
    nn_read_copy(&reader, out->nonce, sizeof out->nonce);
    out->ticket_bytes = nn_read_u16(&reader);
    if (out->ticket_bytes < 1 || out->ticket_bytes > NN_HANDSHAKE_TICKET_BYTES_MAX) return false;
    out->ticket = nn_read_view(&reader, out->ticket_bytes);
    size_t unused_bytes = NN_HANDSHAKE_TICKET_BYTES_MAX - out->ticket_bytes;
    const uint8_t* unused = nn_read_view(&reader, unused_bytes);
    if (reader.failed) return false;
    nn_reader gap = nn_reader_of(unused, unused_bytes);
    out->setup_bytes = nn_read_u16(&reader);
    if (out->setup_bytes > NN_HANDSHAKE_SETUP_BYTES_MAX || !wire_is_padding(&gap)) return false;
    out->setup = nn_read_view(&reader, out->setup_bytes);
    out->tag = nn_read_view(&reader, NN_AEAD_TAG_BYTES);
    return !reader.failed && wire_begins(&out->head, NN_HANDSHAKE_RESUME) && out->head.suite == 0 &&
           wire_is_padding(&reader);
}

NN_PRIVATE size_t nn_accept_write(const nn_accept* accept, uint8_t* to)
{
    nn_writer writer = nn_writer_of(to, NN_HANDSHAKE_BYTES);
    wire_write_head(&writer, &accept->head, NN_HANDSHAKE_ACCEPT);
    nn_write_bytes(&writer, accept->key, sizeof accept->key);
    nn_write_u16(&writer, (uint16_t)accept->sealed_bytes);
    NN_ASSERT(nn_writer_bytes(&writer) == NN_ACCEPT_HEADER_BYTES);
    NN_ASSERT(nn_writer_left(&writer) >= accept->sealed_bytes + NN_AEAD_TAG_BYTES);
    return NN_ACCEPT_HEADER_BYTES + accept->sealed_bytes + NN_AEAD_TAG_BYTES;
}

NN_PRIVATE bool nn_accept_read(const uint8_t* data, size_t bytes, nn_accept* out)
{
    if (bytes > NN_HANDSHAKE_BYTES) return false;
    nn_reader reader = nn_reader_of(data, bytes);
    wire_read_head(&reader, &out->head);
    nn_read_copy(&reader, out->key, sizeof out->key);
    out->sealed_bytes = nn_read_u16(&reader);
    out->sealed = nn_read_view(&reader, out->sealed_bytes);
    out->tag = nn_read_view(&reader, NN_AEAD_TAG_BYTES);
    return !reader.failed && nn_reader_left(&reader) == 0 && wire_begins(&out->head, NN_HANDSHAKE_ACCEPT) &&
           out->sealed_bytes >= WIRE_ACCEPT_SEALED_BYTES_MIN;
}

NN_PRIVATE size_t nn_refuse_write(const nn_refuse* refuse, uint8_t* to)
{
    nn_writer writer = nn_writer_of(to, NN_REFUSE_BYTES_MAX);
    wire_write_head(&writer, &refuse->head, NN_HANDSHAKE_REFUSE);
    nn_write_u64(&writer, refuse->number);
    nn_write_u16(&writer, (uint16_t)refuse->sealed_bytes);
    NN_ASSERT(nn_writer_bytes(&writer) == NN_REFUSE_HEADER_BYTES);
    NN_ASSERT(nn_writer_left(&writer) >= refuse->sealed_bytes + NN_AEAD_TAG_BYTES);
    return NN_REFUSE_HEADER_BYTES + refuse->sealed_bytes + NN_AEAD_TAG_BYTES;
}

NN_PRIVATE bool nn_refuse_read(const uint8_t* data, size_t bytes, nn_refuse* out)
{
    if (bytes > NN_REFUSE_BYTES_MAX) return false;
    nn_reader reader = nn_reader_of(data, bytes);
    wire_read_head(&reader, &out->head);
    out->number = nn_read_u64(&reader);
    out->sealed_bytes = nn_read_u16(&reader);
    out->sealed = nn_read_view(&reader, out->sealed_bytes);
    out->tag = nn_read_view(&reader, NN_AEAD_TAG_BYTES);
    return !reader.failed && nn_reader_left(&reader) == 0 && wire_begins(&out->head, NN_HANDSHAKE_REFUSE) &&
           out->sealed_bytes >= WIRE_REFUSE_SEALED_BYTES_MIN;
}

NN_PRIVATE necpnet_result nn_auth_transcript(const uint8_t* auth, uint32_t suite, uint8_t out[32])
{
    const nn_span spans[2] = {{auth, WIRE_AUTH_COOKIE_AT},
                              {auth + WIRE_AUTH_KEY_AT, NN_AUTH_HEADER_BYTES - WIRE_AUTH_KEY_AT}};
    return nn_key_hash(suite, spans, 2, out);
}

NN_PRIVATE necpnet_result nn_resume_transcript(const uint8_t* resume, uint32_t suite, uint8_t out[32])
{
    const nn_span span = {resume, NN_RESUME_HEADER_BYTES};
    return nn_key_hash(suite, &span, 1, out);
}

NN_PRIVATE necpnet_result nn_accept_transcript(const uint8_t auth_transcript[32], const uint8_t setup_tag[16],
                                               const uint8_t* accept, uint32_t suite, uint8_t out[32])
{
    const nn_span spans[3] = {
        {auth_transcript, NN_SECRET_BYTES}, {setup_tag, NN_AEAD_TAG_BYTES}, {accept, NN_ACCEPT_HEADER_BYTES}};
    return nn_key_hash(suite, spans, 3, out);
}
