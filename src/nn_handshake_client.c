/* nn_handshake_client - HELLO, AUTH, resending, and what comes back. */
#include "nn_handshake_client.h"

#include "nn_bytes.h"

enum { CLIENT_HELLO = 0, CLIENT_AUTH = 1, CLIENT_RESUME = 2 };

#define CLIENT_AUTH_COOKIE_AT 44u
#define CLIENT_AUTH_TOKEN_AT 100u

static void handshake_client_fail(nn_handshake_client* handshake, necpnet_result result, const char* text,
                                  size_t text_bytes)
{
    handshake->state = NN_HANDSHAKE_FAILED;
    handshake->result = result;
    size_t bytes = nn_min_size(text_bytes, NECPNET_REASON_BYTES_MAX);
    memcpy(handshake->text, text, bytes);
    handshake->text[bytes] = '\0';
    handshake->due_us = NN_NEVER;
}

static void handshake_client_fail_here(nn_handshake_client* handshake, necpnet_result result)
{
    const char* text = necpnet_result_text(result);
    handshake_client_fail(handshake, result, text, strlen(text));
}

static void handshake_client_no_session(nn_handshake_client* handshake)
{
    static const char text[] = "the server is there but met the ticket with silence: restarted, or other ticket keys";
    handshake_client_fail(handshake, NECPNET_ERR_TOKEN_INVALID, text, sizeof text - 1);
}

static void handshake_client_no_answer(nn_handshake_client* handshake)
{
    static const char silent[] =
        "no answer to HELLO: server down, port wrong or blocked, or another protocol version or security mode";
    static const char token[] =
        "the server is there but met the token with silence: spent, other key or server id, or clocks differ";
    static const char resume[] = "no answer to RESUME: server down, or the way is blocked";
    static const char open[] = "the server is there but met AUTH with silence: another passphrase, or it is busy";
    if (handshake->is_resume) {
        handshake_client_fail(handshake, NECPNET_ERR_NO_ANSWER, resume, sizeof resume - 1);
        return;
    }
    const char* text = !handshake->has_key ? silent : handshake->security == NECPNET_SECURITY_TOKEN ? token : open;
    handshake_client_fail(handshake, NECPNET_ERR_NO_ANSWER, text, strlen(text));
}

static necpnet_result handshake_client_check(const nn_handshake_client_config* config)
{
    if (config->setup_bytes > NN_HANDSHAKE_SETUP_BYTES_MAX) return NECPNET_ERR_INVALID_ARGUMENT;
    if (config->ticket && (config->ticket_bytes < 1 || config->ticket_bytes > NN_HANDSHAKE_TICKET_BYTES_MAX)) {
        return NECPNET_ERR_INVALID_ARGUMENT;
    }
    switch (config->security) {
    case NECPNET_SECURITY_NONE: return NECPNET_OK;
    case NECPNET_SECURITY_OPEN: break;
    case NECPNET_SECURITY_TOKEN:
        if (config->ticket) break;
        if (!config->bundle) return NECPNET_ERR_TOKEN_MISSING;
        if (config->bundle->info.version != NN_HANDSHAKE_VERSION) return NECPNET_ERR_VERSION_DIFFERS;
        if (config->wall_us && config->wall_us >= config->bundle->info.expires_us) return NECPNET_ERR_TOKEN_EXPIRED;
        break;
    default: return NECPNET_ERR_INVALID_ARGUMENT;
    }
    uint32_t built = nn_aead_suites();
    return (config->suites ? config->suites & built : built) & ~NN_SUITES_FAST_AES ? NECPNET_OK
                                                                                   : NECPNET_ERR_UNSUPPORTED;
}

/* The primitives of what is sealed in the handshake itself: those of any real suite are the same. */
static uint32_t handshake_client_message_suite(const nn_handshake_client* handshake)
{
    return handshake->security == NECPNET_SECURITY_NONE ? NN_SUITE_NONE : NN_SUITE_CHACHA20_POLY1305;
}

static nn_handshake_head handshake_client_head(const nn_handshake_client* handshake)
{
    nn_handshake_head head = {0, NN_HANDSHAKE_VERSION, handshake->security, handshake->suite,
                              handshake->client_connection_id};
    return head;
}

/* RESUME is whole from the start: nothing in it waits for the server. */
static necpnet_result handshake_client_init_resume(nn_handshake_client* handshake,
                                                   const nn_handshake_client_config* config)
{
    nn_resume resume;
    memset(&resume, 0, sizeof resume);
    handshake->is_resume = true;
    handshake->has_key = true;
    handshake->phase = CLIENT_RESUME;
    handshake->resend_us = NN_HANDSHAKE_RESEND_US_MIN;
    memcpy(handshake->psk, config->ticket_secret, NN_PSK_BYTES);
    resume.head = handshake_client_head(handshake);
    resume.suites = handshake->suites;
    memcpy(resume.nonce, handshake->nonce, sizeof resume.nonce);
    resume.ticket = config->ticket;
    resume.ticket_bytes = config->ticket_bytes;
    resume.setup_bytes = config->setup_bytes;
    nn_resume_write(&resume, handshake->auth);
    uint8_t* setup = handshake->auth + NN_RESUME_HEADER_BYTES;
    nn_copy(setup, config->setup, config->setup_bytes);
    uint32_t suite = handshake_client_message_suite(handshake);
    const nn_span secret = {handshake->psk, NN_PSK_BYTES};
    necpnet_result result = nn_resume_transcript(handshake->auth, suite, handshake->transcript);
    if (!result) result = nn_key_extract(suite, handshake->transcript, &secret, 1, handshake->setup_secret);
    if (!result) {
        result = nn_key_message_seal(suite, handshake->setup_secret, "setup", 0, NULL, 0, setup, config->setup_bytes,
                                     setup + config->setup_bytes);
    }
    if (result) nn_handshake_client_reset(handshake);
    return result;
}

NN_PRIVATE necpnet_result nn_handshake_client_init(nn_handshake_client* handshake,
                                                   const nn_handshake_client_config* config, uint64_t now_us)
{
    necpnet_result result = handshake_client_check(config);
    if (result) return result;
    memset(handshake, 0, sizeof *handshake);
    if (config->entropy) handshake->entropy = *config->entropy;
    if (!nn_entropy_fill(&handshake->entropy, handshake->nonce, sizeof handshake->nonce)) {
        return NECPNET_ERR_NO_ENTROPY;
    }
    uint32_t built = nn_aead_suites();
    handshake->alloc = config->alloc;
    handshake->security = (uint8_t)config->security;
    handshake->suites = config->security == NECPNET_SECURITY_NONE ? 1u << NN_SUITE_NONE
                        : config->suites                          ? config->suites & built
                                                                  : built;
    handshake->client_connection_id = config->client_connection_id;
    handshake->now_us = now_us;
    handshake->due_us = now_us;
    handshake->resend_us = NN_HANDSHAKE_RESEND_US_MIN;
    handshake->ends_us = config->timeout_us > NN_NEVER - now_us ? NN_NEVER : now_us + config->timeout_us;
    handshake->setup_bytes = config->setup_bytes;
    if (config->ticket) return handshake_client_init_resume(handshake, config);
    if (config->security == NECPNET_SECURITY_TOKEN) {
        memcpy(handshake->psk, config->bundle->psk, NN_PSK_BYTES);
        memcpy(handshake->auth + CLIENT_AUTH_TOKEN_AT, config->bundle->sealed, NN_TOKEN_SEALED_BYTES);
    } else if (config->security == NECPNET_SECURITY_OPEN && config->psk) {
        memcpy(handshake->psk, config->psk, NN_PSK_BYTES);
    }
    nn_copy(handshake->auth + NN_AUTH_HEADER_BYTES, config->setup, config->setup_bytes);
    return NECPNET_OK;
}

NN_PRIVATE void nn_handshake_client_reset(nn_handshake_client* handshake)
{
    nn_aead_destroy(handshake->keys.send);
    nn_aead_destroy(handshake->keys.receive);
    nn_wipe(handshake, sizeof *handshake);
    handshake->state = NN_HANDSHAKE_FAILED;
    handshake->result = NECPNET_ERR_INVALID_STATE;
    handshake->due_us = NN_NEVER;
}

static void handshake_client_advance(nn_handshake_client* handshake, uint64_t now_us)
{
    if (now_us > handshake->now_us) handshake->now_us = now_us;
}

static void handshake_client_enter(nn_handshake_client* handshake, uint8_t phase)
{
    handshake->phase = phase;
    handshake->sends = 0;
    handshake->resend_us = NN_HANDSHAKE_RESEND_US_MIN;
    handshake->due_us = handshake->now_us;
}

static size_t handshake_client_write_hello(const nn_handshake_client* handshake, uint8_t* datagram)
{
    nn_hello hello = {handshake_client_head(handshake), handshake->suites, {0}};
    hello.head.suite = 0;
    memcpy(hello.nonce, handshake->nonce, sizeof hello.nonce);
    return nn_hello_write(&hello, datagram);
}

/* A server that cannot open the ticket is silent, as one is that cannot be reached. So from the second RESUME on a HELLO
 * goes close behind each: when several of these are answered and never the RESUME before, it is the ticket. */
static void handshake_client_write_resume(nn_handshake_client* handshake, uint8_t* datagram, size_t* out_bytes)
{
    if (handshake->doubts >= NN_HANDSHAKE_DOUBTS_MAX) {
        handshake_client_no_session(handshake);
        return;
    }
    bool is_hello = handshake->sends >= 2 && handshake->sends % 2 == 0;
    if (is_hello) {
        *out_bytes = handshake_client_write_hello(handshake, datagram);
        handshake->hello_waits = true;
    } else {
        memcpy(datagram, handshake->auth, NN_HANDSHAKE_BYTES);
        *out_bytes = NN_HANDSHAKE_BYTES;
    }
    handshake->sends++;
    handshake->sent_us = handshake->now_us;
    bool hello_next = handshake->sends >= 2 && !is_hello;
    handshake->due_us = handshake->now_us + (hello_next ? NN_HANDSHAKE_PAIR_US : handshake->resend_us);
}

NN_PRIVATE nn_handshake_state nn_handshake_client_write(nn_handshake_client* handshake, uint64_t now_us,
                                                        uint8_t* datagram, size_t* out_bytes)
{
    *out_bytes = 0;
    if (handshake->state != NN_HANDSHAKE_WAITING) return handshake->state;
    handshake_client_advance(handshake, now_us);
    if (handshake->now_us >= handshake->ends_us) {
        handshake_client_no_answer(handshake);
        return handshake->state;
    }
    if (handshake->now_us < handshake->due_us) return handshake->state;
    if (handshake->is_resume) {
        handshake_client_write_resume(handshake, datagram, out_bytes);
        return handshake->state;
    }
    /* The cookie may have died of age, or the server has changed its key: ask for another. */
    if (handshake->phase == CLIENT_AUTH && handshake->sends >= NN_HANDSHAKE_AUTHS_MAX) {
        handshake_client_enter(handshake, CLIENT_HELLO);
    }
    if (handshake->phase == CLIENT_HELLO) {
        *out_bytes = handshake_client_write_hello(handshake, datagram);
    } else {
        memcpy(datagram, handshake->auth, NN_HANDSHAKE_BYTES);
        *out_bytes = NN_HANDSHAKE_BYTES;
    }
    handshake->sends++;
    handshake->sent_us = handshake->now_us;
    handshake->due_us = handshake->now_us + handshake->resend_us;
    handshake->resend_us = nn_min_u64(handshake->resend_us * 2, NN_HANDSHAKE_RESEND_US_MAX);
    return handshake->state;
}

NN_PRIVATE uint64_t nn_handshake_client_deadline_us(const nn_handshake_client* handshake)
{
    if (handshake->state != NN_HANDSHAKE_WAITING) return NN_NEVER;
    return nn_min_u64(handshake->due_us, handshake->ends_us);
}

/* AUTH is made and sealed once: a later cookie only takes the former one's place, outside of what is sealed. */
static necpnet_result handshake_client_seal(nn_handshake_client* handshake, uint8_t suite)
{
    nn_auth auth;
    memset(&auth, 0, sizeof auth);
    handshake->suite = suite;
    auth.head = handshake_client_head(handshake);
    auth.suites = handshake->suites;
    memcpy(auth.nonce, handshake->nonce, sizeof auth.nonce);
    if (suite != NN_SUITE_NONE) {
        necpnet_result result = nn_x25519_keypair(&handshake->entropy, handshake->private_key, auth.key);
        if (result) return result;
    }
    uint8_t token[NN_TOKEN_SEALED_BYTES];
    memcpy(token, handshake->auth + CLIENT_AUTH_TOKEN_AT, sizeof token);
    auth.token = token;
    auth.setup_bytes = handshake->setup_bytes;
    nn_auth_write(&auth, handshake->auth);
    uint8_t* setup = handshake->auth + NN_AUTH_HEADER_BYTES;
    necpnet_result result = nn_auth_transcript(handshake->auth, suite, handshake->transcript);
    const nn_span psk = {handshake->psk, NN_PSK_BYTES};
    if (!result) result = nn_key_extract(suite, handshake->transcript, &psk, 1, handshake->setup_secret);
    if (!result) {
        result = nn_key_message_seal(suite, handshake->setup_secret, "setup", 0, NULL, 0, setup, handshake->setup_bytes,
                                     setup + handshake->setup_bytes);
    }
    return result;
}

static void handshake_client_read_retry(nn_handshake_client* handshake, const uint8_t* data, size_t bytes)
{
    nn_retry retry;
    if (handshake->is_resume) {
        if (!handshake->hello_waits || !nn_retry_read(data, bytes, &retry)) return;
        handshake->hello_waits = false;
        handshake->doubts++;
        return;
    }
    if (handshake->phase != CLIENT_HELLO || !handshake->sends || !nn_retry_read(data, bytes, &retry)) return;
    if (retry.head.suite > NN_SUITE_AES_256_GCM || !(handshake->suites & 1u << retry.head.suite)) return;
    if (handshake->has_key && retry.head.suite != handshake->suite) return;
    if (handshake->sends == 1) handshake->rtt_us = (uint32_t)(handshake->now_us - handshake->sent_us);
    if (!handshake->has_key) {
        necpnet_result result = handshake_client_seal(handshake, retry.head.suite);
        if (result) {
            handshake_client_fail_here(handshake, result);
            return;
        }
        handshake->has_key = true;
    }
    memcpy(handshake->auth + CLIENT_AUTH_COOKIE_AT, retry.cookie, sizeof retry.cookie);
    handshake_client_enter(handshake, CLIENT_AUTH);
}

/* The sealed part of ACCEPT: connection id, ticket, SETUP_OK. */
static bool handshake_client_take(nn_handshake_client* handshake, const uint8_t* data, size_t bytes)
{
    nn_reader reader = nn_reader_of(data, bytes);
    uint32_t connection_id = nn_read_u32(&reader);
    size_t ticket_bytes = nn_read_u8(&reader);
    const uint8_t* ticket = nn_read_view(&reader, ticket_bytes);
    size_t setup_ok_bytes = nn_reader_left(&reader);
    if (reader.failed || ticket_bytes > sizeof handshake->ticket || setup_ok_bytes > sizeof handshake->setup_ok) {
        return false;
    }
    handshake->server_connection_id = connection_id;
    nn_copy(handshake->ticket, ticket, ticket_bytes);
    handshake->ticket_bytes = ticket_bytes;
    nn_copy(handshake->setup_ok, reader.at, setup_ok_bytes);
    handshake->setup_ok_bytes = setup_ok_bytes;
    return true;
}

static void handshake_client_read_accept(nn_handshake_client* handshake, const uint8_t* data, size_t bytes)
{
    nn_accept accept;
    if (!handshake->has_key || !nn_accept_read(data, bytes, &accept)) return;
    bool is_offered = accept.head.suite <= NN_SUITE_AES_256_GCM && (handshake->suites & 1u << accept.head.suite) != 0;
    if (handshake->is_resume ? !is_offered : accept.head.suite != handshake->suite) return;
    uint32_t suite = accept.head.suite;
    bool is_agreed = suite != NN_SUITE_NONE && !handshake->is_resume; /* by X25519 */
    uint8_t shared[NN_X25519_BYTES] = {0};
    uint8_t transcript[NN_SECRET_BYTES];
    uint8_t master[NN_SECRET_BYTES];
    uint8_t plain[NN_HANDSHAKE_BYTES];
    size_t header_bytes = handshake->is_resume ? NN_RESUME_HEADER_BYTES : NN_AUTH_HEADER_BYTES;
    const uint8_t* setup_tag = handshake->auth + header_bytes + handshake->setup_bytes;
    const nn_span secrets[2] = {{handshake->psk, NN_PSK_BYTES}, {shared, is_agreed ? sizeof shared : 0}};
    necpnet_result result = NECPNET_OK;
    if (is_agreed) result = nn_x25519(&handshake->entropy, handshake->private_key, accept.key, shared);
    if (!result) result = nn_accept_transcript(handshake->transcript, setup_tag, data, suite, transcript);
    if (!result) result = nn_key_extract(suite, transcript, secrets, 2, master);
    if (!result) {
        memcpy(plain, accept.sealed, accept.sealed_bytes);
        bool opened = nn_key_message_open(suite, master, "accept", 0, data, NN_ACCEPT_HEADER_BYTES, plain,
                                          accept.sealed_bytes, accept.tag);
        if (opened) {
            result = handshake_client_take(handshake, plain, accept.sealed_bytes)
                         ? nn_key_expand(suite, master, "ticket", handshake->ticket_secret, NN_SECRET_BYTES)
                         : NECPNET_ERR_PROTOCOL;
            if (!result) result = nn_key_connection(handshake->alloc, suite, master, false, &handshake->keys);
            if (result) {
                handshake_client_fail_here(handshake, result);
            } else {
                handshake->suite = (uint8_t)suite;
                if (handshake->phase != CLIENT_HELLO && handshake->sends == 1) {
                    handshake->rtt_us = (uint32_t)(handshake->now_us - handshake->sent_us);
                }
                handshake->state = NN_HANDSHAKE_DONE;
                handshake->due_us = NN_NEVER;
            }
        }
    }
    nn_wipe(shared, sizeof shared);
    nn_wipe(master, sizeof master);
    nn_wipe(plain, sizeof plain);
}

static void handshake_client_read_refuse(nn_handshake_client* handshake, const uint8_t* data, size_t bytes)
{
    nn_refuse refuse;
    if (!handshake->has_key || !nn_refuse_read(data, bytes, &refuse)) return;
    if (!handshake->is_resume && refuse.head.suite != handshake->suite) return;
    uint32_t suite = handshake->is_resume ? handshake_client_message_suite(handshake) : handshake->suite;
    uint8_t plain[NN_REFUSE_BYTES_MAX];
    memcpy(plain, refuse.sealed, refuse.sealed_bytes);
    if (!nn_key_message_open(suite, handshake->setup_secret, "refuse", refuse.number, data, NN_REFUSE_HEADER_BYTES,
                             plain, refuse.sealed_bytes, refuse.tag)) {
        return;
    }
    uint32_t code = nn_load_u32(plain);
    necpnet_result reason = NECPNET_ERR_REFUSED;
    for (int i = -1; i >= -500; i--) {
        if (code == (uint32_t)i && strcmp(necpnet_result_name((necpnet_result)i), "ERR_UNKNOWN") != 0) {
            reason = (necpnet_result)i;
        }
    }
    size_t text_bytes = refuse.sealed_bytes - 4;
    for (size_t i = 4; i < refuse.sealed_bytes; i++) {
        if (plain[i] < ' ' || plain[i] == 0x7f) plain[i] = ' '; /* it may end in a log */
    }
    handshake_client_fail(handshake, reason, (const char*)plain + 4, text_bytes);
}

NN_PRIVATE nn_handshake_state nn_handshake_client_read(nn_handshake_client* handshake, const uint8_t* datagram,
                                                       size_t bytes, uint64_t now_us)
{
    nn_handshake_head head;
    if (handshake->state != NN_HANDSHAKE_WAITING) return handshake->state;
    handshake_client_advance(handshake, now_us);
    if (!nn_handshake_head_read(datagram, bytes, &head) || head.version != NN_HANDSHAKE_VERSION ||
        head.security != handshake->security || head.client_connection_id != handshake->client_connection_id) {
        return handshake->state;
    }
    switch (head.type) {
    case NN_HANDSHAKE_RETRY: handshake_client_read_retry(handshake, datagram, bytes); break;
    case NN_HANDSHAKE_ACCEPT: handshake_client_read_accept(handshake, datagram, bytes); break;
    case NN_HANDSHAKE_REFUSE: handshake_client_read_refuse(handshake, datagram, bytes); break;
    default: break;
    }
    return handshake->state;
}
