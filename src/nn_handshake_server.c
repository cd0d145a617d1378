/* nn_handshake_server - cookies, tokens, proofs; ACCEPT and REFUSE. */
#include "nn_handshake_server.h"

#include "nn_bytes.h"
#include "nn_hash.h"
#include "nn_revoked.h"

#define SERVER_TOKEN_KEYS_MAX 16u
#define SERVER_NO_DROP NECPNET_DROP_COUNT

struct nn_handshake_server {
    nn_alloc* alloc;
    necpnet_entropy entropy;
    necpnet_security security;
    uint32_t suites;
    uint64_t server_id;
    uint32_t token_epoch;
    bool token_restart_guard;
    const nn_ticket_keys* ticket_keys;
    uint8_t psk[NN_PSK_BYTES];
    necpnet_token_key* token_keys;
    size_t token_key_count;
    uint64_t created_us;
    uint64_t now_us;
    uint64_t start_wall_us; /* 0: the wall time was never told */
    uint64_t cookie_key_made_us;
    uint8_t cookie_keys[2][NN_SIPHASH_KEY_BYTES]; /* present, former */
    uint64_t open_per_s;
    uint64_t open_budget; /* millionths of a handshake */
    uint64_t open_filled_us;
    uint64_t refusals;
    nn_spent spent; /* unless others remember */
    nn_spending spending;
    nn_accepts accepts;
    nn_revoked revoked;
    uint8_t setup[NN_HANDSHAKE_SETUP_BYTES_MAX];
};

static bool handshake_server_has_spent(void* user, const uint8_t* id)
{
    return nn_spent_has((const nn_spent*)user, id);
}

static necpnet_result handshake_server_reserve(void* user, uint64_t wall_us)
{
    return nn_spent_reserve((nn_spent*)user, wall_us);
}

static necpnet_result handshake_server_spend(void* user, const uint8_t* id, uint64_t expires_us, uint64_t wall_us)
{
    return nn_spent_spend((nn_spent*)user, id, expires_us, wall_us);
}

static necpnet_result handshake_server_configure(nn_handshake_server* server, const nn_handshake_server_config* config)
{
    if (config->entropy) server->entropy = *config->entropy;
    server->security = config->security;
    uint32_t built = nn_aead_suites();
    server->suites = config->security == NECPNET_SECURITY_NONE ? 1u << NN_SUITE_NONE
                     : config->suites                          ? config->suites & built
                                                               : built;
    if (!(server->suites & ~NN_SUITES_FAST_AES)) return NECPNET_ERR_UNSUPPORTED;
    server->server_id = config->server_id;
    server->token_epoch = config->token_epoch;
    server->token_restart_guard = config->token_restart_guard;
    server->ticket_keys = config->ticket_keys;
    if (config->security == NECPNET_SECURITY_OPEN && config->psk) memcpy(server->psk, config->psk, NN_PSK_BYTES);
    server->open_per_s = config->open_handshakes_per_s ? config->open_handshakes_per_s : NN_OPEN_HANDSHAKES_PER_S;
    server->open_budget = UINT64_C(1000000) * NN_OPEN_HANDSHAKES_BURST;
    if (config->token_key_count) {
        size_t bytes = config->token_key_count * sizeof *server->token_keys;
        server->token_keys = (necpnet_token_key*)nn_alloc_take(server->alloc, bytes);
        if (!server->token_keys) return NECPNET_ERR_OUT_OF_MEMORY;
        memcpy(server->token_keys, config->token_keys, bytes);
        server->token_key_count = config->token_key_count;
    }
    return NECPNET_OK;
}

NN_PRIVATE necpnet_result nn_handshake_server_create(nn_alloc* alloc, const nn_handshake_server_config* config,
                                                     uint64_t now_us, nn_handshake_server** out_server)
{
    if (config->token_key_count > SERVER_TOKEN_KEYS_MAX || (config->token_key_count && !config->token_keys) ||
        (unsigned)config->security > NECPNET_SECURITY_NONE) {
        return NECPNET_ERR_INVALID_ARGUMENT;
    }
    nn_handshake_server* server = (nn_handshake_server*)nn_alloc_take(alloc, sizeof *server);
    if (!server) return NECPNET_ERR_OUT_OF_MEMORY;
    server->alloc = alloc;
    server->created_us = now_us;
    server->now_us = now_us;
    server->cookie_key_made_us = now_us;
    server->open_filled_us = now_us;
    nn_spent_init(&server->spent, alloc, config->spent_tokens_max ? config->spent_tokens_max : NN_SPENT_TOKENS_MAX);
    nn_revoked_init(&server->revoked, alloc, NN_REVOKED_MAX);
    nn_spending alone = {handshake_server_has_spent, handshake_server_reserve, handshake_server_spend, &server->spent};
    server->spending = config->spending.has ? config->spending : alone;
    uint8_t hash_key[NN_SIPHASH_KEY_BYTES] = {0};
    necpnet_result result = handshake_server_configure(server, config);
    if (!result && !(nn_entropy_fill(&server->entropy, server->cookie_keys, sizeof server->cookie_keys) &&
                     nn_entropy_fill(&server->entropy, hash_key, sizeof hash_key))) {
        result = NECPNET_ERR_NO_ENTROPY;
    }
    nn_accepts_init(&server->accepts, alloc, NN_ACCEPT_CACHE_MAX, NN_ACCEPT_LIFE_US, hash_key);
    if (result) {
        nn_handshake_server_destroy(server);
        return result;
    }
    *out_server = server;
    return NECPNET_OK;
}

NN_PRIVATE void nn_handshake_server_destroy(nn_handshake_server* server)
{
    if (!server) return;
    nn_alloc* alloc = server->alloc;
    nn_spent_reset(&server->spent);
    nn_revoked_reset(&server->revoked);
    nn_accepts_reset(&server->accepts);
    if (server->token_keys) {
        size_t bytes = server->token_key_count * sizeof *server->token_keys;
        nn_wipe(server->token_keys, bytes);
        nn_alloc_give(alloc, server->token_keys, bytes);
    }
    nn_wipe(server, sizeof *server);
    nn_alloc_give(alloc, server, sizeof *server);
}

/* ---- time: cookie keys, wall clock, budget ---- */

static void handshake_server_advance(nn_handshake_server* server, uint64_t now_us, uint64_t wall_us)
{
    if (now_us > server->now_us) server->now_us = now_us;
    if (wall_us && !server->start_wall_us) {
        uint64_t up_us = server->now_us - server->created_us;
        server->start_wall_us = wall_us > up_us ? wall_us - up_us : 1;
    }
    uint8_t fresh[NN_SIPHASH_KEY_BYTES];
    if (server->now_us - server->cookie_key_made_us >= NN_COOKIE_KEY_US &&
        nn_entropy_fill(&server->entropy, fresh, sizeof fresh)) {
        memcpy(server->cookie_keys[1], server->cookie_keys[0], sizeof fresh);
        memcpy(server->cookie_keys[0], fresh, sizeof fresh);
        server->cookie_key_made_us = server->now_us;
    }
    uint64_t full = UINT64_C(1000000) * NN_OPEN_HANDSHAKES_BURST;
    uint64_t gained_us =
        nn_min_u64(server->now_us - server->open_filled_us, UINT64_C(1000000) * NN_OPEN_HANDSHAKES_BURST);
    server->open_budget = nn_min_u64(full, server->open_budget + gained_us * server->open_per_s);
    server->open_filled_us = server->now_us;
}

NN_PRIVATE void nn_handshake_server_expire(nn_handshake_server* server, uint64_t now_us)
{
    nn_accepts_expire(&server->accepts, now_us);
}

/* ---- cookies ---- */

static void handshake_server_cookie_tag(const uint8_t* key, const necpnet_address* from, const nn_handshake_head* head,
                                        uint32_t suites, const uint8_t* nonce, const uint8_t* time, uint8_t tag[16])
{
    uint8_t data[24 + 8 + 4 + 2 + NN_HANDSHAKE_NONCE_BYTES + 8];
    nn_writer writer = nn_writer_of(data, sizeof data);
    nn_write_u8(&writer, from->family);
    nn_write_u8(&writer, 0);
    nn_write_u16(&writer, from->port);
    nn_write_u32(&writer, from->scope);
    nn_write_bytes(&writer, from->bytes, sizeof from->bytes);
    nn_write_u32(&writer, head->client_connection_id);
    nn_write_u32(&writer, suites);
    nn_write_u8(&writer, head->security);
    nn_write_u8(&writer, head->suite);
    nn_write_bytes(&writer, nonce, NN_HANDSHAKE_NONCE_BYTES);
    nn_write_bytes(&writer, time, 8);
    NN_ASSERT(!writer.failed);
    nn_siphash128(key, data, nn_writer_bytes(&writer), tag);
}

static bool handshake_server_cookie_is_right(const nn_handshake_server* server, const necpnet_address* from,
                                             const nn_auth* auth)
{
    uint64_t up_us = server->now_us - server->created_us;
    uint64_t made_us = nn_load_u64(auth->cookie);
    if (made_us > up_us || up_us - made_us > NN_COOKIE_LIFE_US) return false;
    bool is_former = made_us < server->cookie_key_made_us - server->created_us;
    uint8_t tag[16];
    handshake_server_cookie_tag(server->cookie_keys[is_former ? 1 : 0], from, &auth->head, auth->suites, auth->nonce,
                                auth->cookie, tag);
    return nn_equal_constant_time(tag, auth->cookie + 8, sizeof tag);
}

/* AES where both sides have it in their processors, else ChaCha20-Poly1305. False: they share none. */
static bool handshake_server_choose(const nn_handshake_server* server, uint32_t offered, uint8_t* out_suite)
{
    uint32_t shared = offered & server->suites;
    if (shared & NN_SUITES_FAST_AES && shared & 1u << NN_SUITE_AES_256_GCM) {
        *out_suite = NN_SUITE_AES_256_GCM;
        return true;
    }
    for (uint8_t suite = 0; suite <= NN_SUITE_AES_256_GCM; suite++) {
        if (shared & 1u << suite) {
            *out_suite = suite;
            return true;
        }
    }
    return false;
}

/* ---- reading ---- */

static void handshake_server_read_hello(nn_handshake_server* server, const necpnet_address* from, const uint8_t* data,
                                        size_t bytes, uint8_t* reply, nn_handshake_outcome* out)
{
    nn_hello hello;
    nn_retry retry;
    if (!nn_hello_read(data, bytes, &hello)) return;
    out->drop = NECPNET_DROP_MODE;
    if (hello.head.security != (uint8_t)server->security) return;
    retry.head = hello.head;
    if (!handshake_server_choose(server, hello.suites, &retry.head.suite)) return;
    nn_store_u64(retry.cookie, server->now_us - server->created_us);
    handshake_server_cookie_tag(server->cookie_keys[0], from, &retry.head, hello.suites, hello.nonce, retry.cookie,
                                retry.cookie + 8);
    out->kind = NN_HANDSHAKE_REPLY;
    out->drop = SERVER_NO_DROP;
    out->reply_bytes = nn_retry_write(&retry, reply);
}

/* The token's seal, then what it says. NECPNET_DROP_COUNT: nothing wrong. */
static necpnet_drop handshake_server_judge_token(const nn_handshake_server* server, const uint8_t* sealed,
                                                 uint32_t suite, uint64_t wall_us, nn_token* token)
{
    if (nn_token_open(sealed, server->token_keys, server->token_key_count, token)) return NECPNET_DROP_TOKEN_KEY;
    if (!wall_us || wall_us >= token->expires_us) return NECPNET_DROP_TOKEN_EXPIRED;
    if (token->issued_us > wall_us + NN_TOKEN_SKEW_US) return NECPNET_DROP_TOKEN_EXPIRED;
    if (token->server_id != server->server_id) return NECPNET_DROP_TOKEN_SERVER;
    if (token->epoch < server->token_epoch) return NECPNET_DROP_TOKEN_EPOCH;
    if (nn_revoked_has(&server->revoked, token->id, token->client_id, token->issued_us)) {
        return NECPNET_DROP_TOKEN_REVOKED;
    }
    if (suite < token->suite_min) return NECPNET_DROP_MODE;
    if (server->token_restart_guard && token->issued_us < server->start_wall_us) return NECPNET_DROP_TOKEN_STALE;
    if (server->spending.has(server->spending.user, token->id)) return NECPNET_DROP_TOKEN_SPENT;
    return SERVER_NO_DROP;
}

/* The seal of SETUP is the proof that the client has the pre-shared key. pending has the transcript. */
static necpnet_drop handshake_server_prove(nn_handshake_server* server, uint32_t suite, const uint8_t* setup,
                                           size_t setup_bytes, const uint8_t* tag, nn_handshake_pending* pending)
{
    const nn_span psk = {pending->psk, NN_PSK_BYTES};
    if (nn_key_extract(suite, pending->transcript, &psk, 1, pending->setup_secret)) return NECPNET_DROP_MEMORY;
    nn_copy(server->setup, setup, setup_bytes);
    bool is_proven =
        nn_key_message_open(suite, pending->setup_secret, "setup", 0, NULL, 0, server->setup, setup_bytes, tag);
    return is_proven ? SERVER_NO_DROP : NECPNET_DROP_PROOF;
}

static void handshake_server_fill_pending(const nn_handshake_server* server, const nn_auth* auth, uint64_t wall_us,
                                          nn_handshake_pending* pending)
{
    pending->head = auth->head;
    memcpy(pending->nonce, auth->nonce, sizeof pending->nonce);
    memcpy(pending->client_key, auth->key, sizeof pending->client_key);
    memcpy(pending->setup_tag, auth->tag, sizeof pending->setup_tag);
    memcpy(pending->psk, server->psk, NN_PSK_BYTES);
    pending->wall_us = wall_us;
}

/* After the proof: room among the spent tokens, or a place in the budget of open mode. */
static bool handshake_server_has_room(nn_handshake_server* server, nn_handshake_pending* pending, uint8_t* reply,
                                      nn_handshake_outcome* out)
{
    if (server->security == NECPNET_SECURITY_OPEN && server->open_budget < UINT64_C(1000000)) {
        out->drop = NECPNET_DROP_BUSY;
        return false;
    }
    if (server->security != NECPNET_SECURITY_TOKEN) return true;
    necpnet_result result = server->spending.reserve(server->spending.user, pending->wall_us);
    if (!result) return true;
    out->drop = result == NECPNET_ERR_LIMIT_REACHED ? NECPNET_DROP_BUSY : NECPNET_DROP_MEMORY;
    nn_handshake_server_refuse(server, pending, NECPNET_ERR_RATE_LIMITED,
                               "too many connect tokens at once; try again in a minute", reply, &out->reply_bytes);
    if (out->reply_bytes) out->kind = NN_HANDSHAKE_REPLY;
    return false;
}

/* The same client connection id and nonce get the same ACCEPT. */
static bool handshake_server_answered(nn_handshake_server* server, uint32_t client_connection_id, const uint8_t* nonce,
                                      uint8_t* reply, nn_handshake_outcome* out)
{
    uint8_t key[NN_ACCEPT_KEY_BYTES];
    nn_store_u32(key, client_connection_id);
    memcpy(key + 4, nonce, NN_HANDSHAKE_NONCE_BYTES);
    const uint8_t* accept = nn_accepts_find(&server->accepts, key, server->now_us, &out->reply_bytes);
    if (!accept) return false;
    memcpy(reply, accept, out->reply_bytes);
    out->kind = NN_HANDSHAKE_REPLY;
    out->drop = SERVER_NO_DROP;
    return true;
}

static void handshake_server_read_auth(nn_handshake_server* server, const necpnet_address* from, const uint8_t* data,
                                       size_t bytes, uint64_t wall_us, uint8_t* reply, nn_handshake_outcome* out)
{
    nn_auth auth;
    if (!nn_auth_read(data, bytes, &auth)) return;
    out->drop = NECPNET_DROP_COOKIE;
    if (!handshake_server_cookie_is_right(server, from, &auth)) return;
    /* The cookie covers security and suites, so that a HELLO of this form was answered. */
    if (handshake_server_answered(server, auth.head.client_connection_id, auth.nonce, reply, out)) return;
    nn_handshake_pending* pending = &out->pending;
    handshake_server_fill_pending(server, &auth, wall_us, pending);
    nn_token token;
    memset(&token, 0, sizeof token);
    out->drop = SERVER_NO_DROP;
    if (server->security == NECPNET_SECURITY_TOKEN) {
        out->drop = handshake_server_judge_token(server, auth.token, auth.head.suite, wall_us, &token);
        memcpy(pending->psk, token.psk, NN_PSK_BYTES);
        memcpy(pending->token_id, token.id, NN_TOKEN_ID_BYTES);
        pending->token_expires_us = token.expires_us;
    }
    if (out->drop == SERVER_NO_DROP && nn_auth_transcript(data, auth.head.suite, pending->transcript)) {
        out->drop = NECPNET_DROP_MEMORY;
    }
    if (out->drop == SERVER_NO_DROP) {
        out->drop = handshake_server_prove(server, auth.head.suite, auth.setup, auth.setup_bytes, auth.tag, pending);
    }
    if (out->drop == SERVER_NO_DROP && handshake_server_has_room(server, pending, reply, out)) {
        out->kind = NN_HANDSHAKE_ADMIT;
        out->client_connection_id = auth.head.client_connection_id;
        out->setup = server->setup;
        out->setup_bytes = auth.setup_bytes;
        out->identity.client_id = token.client_id;
        memcpy(out->identity.user_data, token.user_data, sizeof token.user_data);
        memcpy(out->identity.token_id, token.id, NN_TOKEN_ID_BYTES);
        if (server->security != NECPNET_SECURITY_TOKEN &&
            !nn_entropy_fill(&server->entropy, &out->identity.client_id, sizeof out->identity.client_id)) {
            out->kind = NN_HANDSHAKE_DROP;
            out->drop = NECPNET_DROP_MEMORY;
        }
    }
    if (out->kind != NN_HANDSHAKE_ADMIT) nn_wipe(pending, sizeof *pending);
    nn_wipe(&token, sizeof token);
}

/* A ticket of ours, in time and of no revoked epoch, and whoever shows it has its secret. */
static necpnet_drop handshake_server_judge_ticket(nn_handshake_server* server, const uint8_t* data,
                                                  const nn_resume* resume, uint64_t wall_us, nn_ticket* ticket,
                                                  nn_handshake_pending* pending)
{
    if (!server->ticket_keys) return NECPNET_DROP_TICKET_KEY;
    if (!nn_ticket_open(server->ticket_keys, resume->ticket, resume->ticket_bytes, ticket)) {
        return NECPNET_DROP_TICKET_KEY;
    }
    memcpy(pending->psk, ticket->secret, NN_PSK_BYTES);
    nn_wipe(ticket->secret, sizeof ticket->secret);
    if (ticket->expires_us && wall_us >= ticket->expires_us) return NECPNET_DROP_TICKET_EXPIRED;
    if (ticket->epoch < server->token_epoch) return NECPNET_DROP_TICKET_EXPIRED;
    uint32_t suite = server->ticket_keys->suite;
    if (nn_resume_transcript(data, suite, pending->transcript)) return NECPNET_DROP_MEMORY;
    return handshake_server_prove(server, suite, resume->setup, resume->setup_bytes, resume->tag, pending);
}

static void handshake_server_read_resume(nn_handshake_server* server, const uint8_t* data, size_t bytes,
                                         uint64_t wall_us, uint8_t* reply, nn_handshake_outcome* out)
{
    nn_resume resume;
    if (!nn_resume_read(data, bytes, &resume)) return;
    out->drop = NECPNET_DROP_MODE;
    nn_handshake_pending* pending = &out->pending;
    pending->head = resume.head;
    if (resume.head.security != (uint8_t)server->security) return;
    if (!handshake_server_choose(server, resume.suites, &pending->head.suite)) return;
    if (handshake_server_answered(server, resume.head.client_connection_id, resume.nonce, reply, out)) return;
    memcpy(pending->nonce, resume.nonce, sizeof pending->nonce);
    memcpy(pending->setup_tag, resume.tag, sizeof pending->setup_tag);
    pending->is_resume = true;
    pending->wall_us = wall_us;
    out->drop = handshake_server_judge_ticket(server, data, &resume, wall_us, &out->ticket, pending);
    if (out->drop != SERVER_NO_DROP) {
        nn_wipe(pending, sizeof *pending);
        return;
    }
    out->kind = NN_HANDSHAKE_ADMIT;
    out->client_connection_id = resume.head.client_connection_id;
    out->setup = server->setup;
    out->setup_bytes = resume.setup_bytes;
}

NN_PRIVATE void nn_handshake_server_read(nn_handshake_server* server, const necpnet_address* from, const uint8_t* data,
                                         size_t bytes, uint64_t now_us, uint64_t wall_us, uint8_t* reply,
                                         nn_handshake_outcome* out)
{
    memset(out, 0, sizeof *out);
    out->drop = NECPNET_DROP_TOO_SHORT;
    nn_handshake_head head;
    if (!nn_handshake_head_read(data, bytes, &head)) return;
    bool is_known =
        head.type == NN_HANDSHAKE_HELLO || head.type == NN_HANDSHAKE_AUTH || head.type == NN_HANDSHAKE_RESUME;
    out->drop = NECPNET_DROP_MALFORMED;
    if (!is_known || bytes > NN_HANDSHAKE_BYTES) return;
    out->drop = NECPNET_DROP_NOT_PADDED;
    if (bytes < NN_HANDSHAKE_BYTES) return;
    out->drop = NECPNET_DROP_VERSION;
    if (head.version != NN_HANDSHAKE_VERSION) return;
    out->drop = NECPNET_DROP_MALFORMED;
    handshake_server_advance(server, now_us, wall_us);
    if (head.type == NN_HANDSHAKE_HELLO) {
        handshake_server_read_hello(server, from, data, bytes, reply, out);
    } else if (head.type == NN_HANDSHAKE_RESUME) {
        handshake_server_read_resume(server, data, bytes, wall_us, reply, out);
    } else {
        handshake_server_read_auth(server, from, data, bytes, wall_us, reply, out);
    }
}

/* ---- tokens on streams ---- */

NN_PRIVATE void nn_handshake_server_set_start(nn_handshake_server* server, uint64_t wall_us)
{
    if (!server->start_wall_us) server->start_wall_us = wall_us;
}

NN_PRIVATE void nn_handshake_server_revoke_client(nn_handshake_server* server, uint64_t client_id, uint64_t wall_us)
{
    nn_revoked_add_client(&server->revoked, client_id, wall_us);
}

NN_PRIVATE void nn_handshake_server_revoke_token(nn_handshake_server* server, const uint8_t* token_id, uint64_t wall_us)
{
    nn_revoked_add_token(&server->revoked, token_id, wall_us);
}

NN_PRIVATE void nn_handshake_server_set_epoch(nn_handshake_server* server, uint32_t epoch)
{
    server->token_epoch = epoch;
}

static necpnet_result handshake_server_result_of(necpnet_drop drop)
{
    switch (drop) {
    case SERVER_NO_DROP: return NECPNET_OK;
    case NECPNET_DROP_TOKEN_EXPIRED:
    case NECPNET_DROP_TOKEN_STALE: return NECPNET_ERR_TOKEN_EXPIRED; /* a new one helps */
    case NECPNET_DROP_TOKEN_SERVER: return NECPNET_ERR_TOKEN_FOREIGN;
    case NECPNET_DROP_TOKEN_SPENT: return NECPNET_ERR_TOKEN_SPENT;
    case NECPNET_DROP_TOKEN_REVOKED: return NECPNET_ERR_TOKEN_REVOKED;
    default: return NECPNET_ERR_TOKEN_INVALID;
    }
}

NN_PRIVATE necpnet_result nn_handshake_server_check_token(nn_handshake_server* server, const uint8_t* sealed,
                                                          const uint8_t* proof, uint64_t wall_us,
                                                          necpnet_identity* out_identity)
{
    nn_token token;
    memset(&token, 0, sizeof token);
    necpnet_result result =
        handshake_server_result_of(handshake_server_judge_token(server, sealed, UINT32_MAX, wall_us, &token));
    uint8_t right[16];
    nn_siphash128(token.psk, sealed, NN_TOKEN_SEALED_BYTES, right);
    if (!result && !nn_equal_constant_time(right, proof, sizeof right)) result = NECPNET_ERR_TOKEN_INVALID;
    if (!result) result = server->spending.spend(server->spending.user, token.id, token.expires_us, wall_us);
    if (result == NECPNET_ERR_LIMIT_REACHED) result = NECPNET_ERR_RATE_LIMITED;
    if (!result) {
        memset(out_identity, 0, sizeof *out_identity);
        out_identity->client_id = token.client_id;
        memcpy(out_identity->user_data, token.user_data, sizeof token.user_data);
        memcpy(out_identity->token_id, token.id, NN_TOKEN_ID_BYTES);
    }
    nn_wipe(&token, sizeof token);
    nn_wipe(right, sizeof right);
    return result;
}

/* ---- judging ---- */

/* Our key of X25519 and the secret shared with the client. In plaintext mode and after RESUME there is no secret, and in the
 * key's place stands something that makes this connection's keys unlike those of any other. */
static necpnet_result handshake_server_agree(nn_handshake_server* server, const nn_handshake_pending* pending,
                                             uint8_t public_key[32], uint8_t shared[32])
{
    memset(public_key, 0, NN_X25519_BYTES);
    memset(shared, 0, NN_X25519_BYTES);
    if (pending->is_resume || pending->head.suite == NN_SUITE_NONE) {
        return nn_entropy_fill(&server->entropy, public_key, NN_X25519_BYTES) ? NECPNET_OK : NECPNET_ERR_NO_ENTROPY;
    }
    uint8_t private_key[NN_X25519_BYTES];
    necpnet_result result = nn_x25519_keypair(&server->entropy, private_key, public_key);
    if (!result) result = nn_x25519(&server->entropy, private_key, pending->client_key, shared);
    nn_wipe(private_key, sizeof private_key);
    return result;
}

/* A ticket into ACCEPT's sealed part: its length, then itself. */
static necpnet_result handshake_server_seal_ticket(nn_handshake_server* server, uint32_t suite,
                                                   const uint8_t master[NN_SECRET_BYTES], nn_ticket* ticket,
                                                   uint8_t* to)
{
    uint8_t salt[NN_TICKET_SALT_BYTES];
    to[0] = 0;
    if (!ticket) return NECPNET_OK;
    to[0] = NN_TICKET_BYTES;
    if (!nn_entropy_fill(&server->entropy, salt, sizeof salt)) return NECPNET_ERR_NO_ENTROPY;
    necpnet_result result = nn_key_expand(suite, master, "ticket", ticket->secret, sizeof ticket->secret);
    if (!result) result = nn_ticket_seal(server->ticket_keys, ticket, salt, to + 1);
    nn_wipe(ticket->secret, sizeof ticket->secret);
    return result;
}

/* ACCEPT's header and sealed part; its master secret. */
static necpnet_result handshake_server_write_accept(nn_handshake_server* server, const nn_handshake_pending* pending,
                                                    const uint8_t* public_key, const uint8_t* shared,
                                                    uint32_t server_connection_id, const nn_span* setup_ok,
                                                    nn_ticket* ticket, uint8_t* reply, size_t* out_bytes,
                                                    uint8_t master[NN_SECRET_BYTES])
{
    uint32_t suite = pending->head.suite;
    bool is_agreed = suite != NN_SUITE_NONE && !pending->is_resume;
    size_t ticket_bytes = ticket ? NN_TICKET_BYTES : 0;
    nn_accept accept;
    memset(&accept, 0, sizeof accept);
    accept.head = pending->head;
    memcpy(accept.key, public_key, sizeof accept.key);
    accept.sealed_bytes = 4 + 1 + ticket_bytes + setup_ok->bytes;
    size_t bytes = nn_accept_write(&accept, reply);
    uint8_t* sealed = reply + NN_ACCEPT_HEADER_BYTES;
    nn_store_u32(sealed, server_connection_id);
    nn_copy(sealed + 5 + ticket_bytes, setup_ok->data, setup_ok->bytes);

    uint8_t transcript[NN_SECRET_BYTES];
    const nn_span secrets[2] = {{pending->psk, NN_PSK_BYTES}, {shared, is_agreed ? NN_X25519_BYTES : 0}};
    necpnet_result result = nn_accept_transcript(pending->transcript, pending->setup_tag, reply, suite, transcript);
    if (!result) result = nn_key_extract(suite, transcript, secrets, 2, master);
    if (!result) result = handshake_server_seal_ticket(server, suite, master, ticket, sealed + 4);
    if (!result) {
        result = nn_key_message_seal(suite, master, "accept", 0, reply, NN_ACCEPT_HEADER_BYTES, sealed,
                                     accept.sealed_bytes, sealed + accept.sealed_bytes);
    }
    if (!result) *out_bytes = bytes;
    return result;
}

NN_PRIVATE necpnet_result nn_handshake_server_accept(nn_handshake_server* server, nn_handshake_pending* pending,
                                                     nn_alloc* alloc, uint32_t server_connection_id,
                                                     const void* setup_ok, size_t setup_ok_bytes, nn_ticket* ticket,
                                                     uint8_t* reply, size_t* out_reply_bytes,
                                                     nn_connection_keys* out_keys)
{
    bool is_token = server->security == NECPNET_SECURITY_TOKEN && !pending->is_resume;
    const nn_span setup = {(const uint8_t*)setup_ok, setup_ok_bytes};
    uint8_t public_key[NN_X25519_BYTES];
    uint8_t shared[NN_X25519_BYTES];
    uint8_t master[NN_SECRET_BYTES];
    size_t reply_bytes = 0;
    nn_connection_keys keys;
    necpnet_result result = NECPNET_OK;
    memset(&keys, 0, sizeof keys);
    if (setup_ok_bytes > NN_HANDSHAKE_SETUP_BYTES_MAX) result = NECPNET_ERR_INVALID_ARGUMENT;
    const nn_spending* spending = &server->spending;
    if (!result && is_token && spending->has(spending->user, pending->token_id)) result = NECPNET_ERR_TOKEN_SPENT;
    if (!result && is_token) result = spending->reserve(spending->user, pending->wall_us);
    if (!result && server->security == NECPNET_SECURITY_OPEN && !pending->is_resume) {
        server->open_budget -= nn_min_u64(server->open_budget, UINT64_C(1000000));
    }
    if (!result) result = handshake_server_agree(server, pending, public_key, shared);
    if (!result) {
        result = handshake_server_write_accept(server, pending, public_key, shared, server_connection_id, &setup,
                                               ticket, reply, &reply_bytes, master);
    }
    if (!result) result = nn_key_connection(alloc, pending->head.suite, master, true, &keys);
    if (!result) {
        uint8_t key[NN_ACCEPT_KEY_BYTES];
        nn_store_u32(key, pending->head.client_connection_id);
        memcpy(key + 4, pending->nonce, sizeof pending->nonce);
        result = nn_accepts_put(&server->accepts, key, reply, reply_bytes, server->now_us);
        if (!result && is_token) { /* another worker may have been faster */
            result = spending->spend(spending->user, pending->token_id, pending->token_expires_us, pending->wall_us);
            if (result) nn_accepts_take_back(&server->accepts);
        }
    }
    if (result) {
        nn_aead_destroy(keys.send);
        nn_aead_destroy(keys.receive);
    } else {
        *out_reply_bytes = reply_bytes;
        *out_keys = keys;
    }
    nn_wipe(shared, sizeof shared);
    nn_wipe(master, sizeof master);
    nn_wipe(&keys, sizeof keys);
    nn_wipe(pending, sizeof *pending);
    return result;
}

NN_PRIVATE void nn_handshake_server_refuse(nn_handshake_server* server, nn_handshake_pending* pending,
                                           necpnet_result reason, const char* text, uint8_t* reply,
                                           size_t* out_reply_bytes)
{
    nn_refuse refuse;
    memset(&refuse, 0, sizeof refuse);
    size_t text_bytes = text ? nn_min_size(strlen(text), NECPNET_REASON_BYTES_MAX) : 0;
    refuse.head = pending->head;
    refuse.number = ++server->refusals;
    refuse.sealed_bytes = 4 + text_bytes;
    size_t bytes = nn_refuse_write(&refuse, reply);
    uint8_t* sealed = reply + NN_REFUSE_HEADER_BYTES;
    nn_store_u32(sealed, (uint32_t)reason);
    nn_copy(sealed + 4, text, text_bytes);
    uint32_t suite = pending->is_resume ? server->ticket_keys->suite : pending->head.suite;
    necpnet_result result =
        nn_key_message_seal(suite, pending->setup_secret, "refuse", refuse.number, reply, NN_REFUSE_HEADER_BYTES,
                            sealed, refuse.sealed_bytes, sealed + refuse.sealed_bytes);
    if (result) nn_wipe(reply, bytes);
    *out_reply_bytes = result ? 0 : bytes;
    nn_wipe(pending, sizeof *pending);
}
