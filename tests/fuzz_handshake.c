/* fuzz_handshake.c - datagrams at a server and at a client in the middle of its handshake, texts of tokens, compressed
 * blocks, every handshake message read and written again, resume tickets. The first byte of an input says which; of a datagram, an input may be shorter than it is: the rest is zeroes.
 *
 * Security none, so that what follows the seal of SETUP is reached by whoever computes SipHash: the fuzzer is given the
 * right AUTH and ACCEPT to change. Nothing may be answered with more than was sent. */
#include "nn_compress.h"
#include "nn_handshake_client.h"
#include "nn_handshake_server.h"
#include "nn_random.h"
#include "nn_ticket.h"
#include "nn_token.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

static bool fuzz_fill(void* to, size_t bytes, void* user)
{
    for (size_t i = 0; i < bytes; i++) ((uint8_t*)to)[i] = (uint8_t)nn_random_u64((nn_random*)user);
    return true;
}

static void fuzz_check(bool condition, const char* what)
{
    if (condition) return;
    fprintf(stderr, "fuzz_handshake: %s\n", what);
    abort();
}

/* A client that waits for ACCEPT, and the server that would send it. */
typedef struct fuzz_pair {
    nn_alloc alloc;
    nn_random random;
    necpnet_entropy entropy;
    nn_handshake_server* server;
    nn_handshake_client client;
    necpnet_address from;
    uint8_t auth[NN_HANDSHAKE_BYTES];
    uint8_t accept[NN_HANDSHAKE_BYTES];
    size_t accept_bytes;
} fuzz_pair;

static void fuzz_datagram(fuzz_pair* pair, const uint8_t* data, size_t bytes)
{
    uint8_t reply[NN_HANDSHAKE_BYTES];
    nn_handshake_outcome out;
    nn_handshake_server_read(pair->server, &pair->from, data, bytes, 2, 3, reply, &out);
    size_t reply_bytes = out.kind == NN_HANDSHAKE_REPLY ? out.reply_bytes : 0;
    if (out.kind == NN_HANDSHAKE_ADMIT) {
        nn_connection_keys keys;
        fuzz_check(out.setup_bytes <= NN_HANDSHAKE_SETUP_BYTES_MAX, "SETUP too large");
        if (nn_handshake_server_accept(pair->server, &out.pending, &pair->alloc, 9, out.setup, out.setup_bytes, NULL,
                                       reply, &reply_bytes, &keys) == NECPNET_OK) {
            nn_aead_destroy(keys.send);
            nn_aead_destroy(keys.receive);
        }
    }
    fuzz_check(reply_bytes <= bytes, "amplification");
    memcpy(pair->accept, reply, reply_bytes);
    pair->accept_bytes = reply_bytes;
}

static void fuzz_begin(fuzz_pair* pair)
{
    memset(pair, 0, sizeof *pair);
    nn_alloc_init(&pair->alloc, NULL);
    nn_random_seed(&pair->random, 1);
    pair->entropy.fill = fuzz_fill;
    pair->entropy.user = &pair->random;
    pair->from.family = NECPNET_ADDRESS_IPV4;
    nn_handshake_server_config server_config;
    nn_handshake_client_config client_config;
    memset(&server_config, 0, sizeof server_config);
    memset(&client_config, 0, sizeof client_config);
    server_config.entropy = client_config.entropy = &pair->entropy;
    server_config.security = client_config.security = NECPNET_SECURITY_NONE;
    client_config.alloc = &pair->alloc;
    client_config.setup = "setup";
    client_config.setup_bytes = 5;
    client_config.timeout_us = 1000000;
    fuzz_check(!nn_handshake_server_create(&pair->alloc, &server_config, 1, &pair->server), "server");
    fuzz_check(!nn_handshake_client_init(&pair->client, &client_config, 1), "client");
    size_t bytes = 0;
    nn_handshake_client_write(&pair->client, 1, pair->auth, &bytes);
    fuzz_datagram(pair, pair->auth, bytes);
    nn_handshake_client_read(&pair->client, pair->accept, pair->accept_bytes, 1);
    nn_handshake_client_write(&pair->client, 1, pair->auth, &bytes);
    fuzz_check(bytes == NN_HANDSHAKE_BYTES && pair->auth[0] == NN_HANDSHAKE_AUTH, "no AUTH");
}

static void fuzz_end(fuzz_pair* pair)
{
    nn_handshake_client_reset(&pair->client);
    nn_handshake_server_destroy(pair->server);
    fuzz_check(pair->alloc.bytes == 0, "leak");
}

/* The input laid over a message by exclusive or: an empty input is the message itself. */
static void fuzz_change(uint8_t* message, size_t bytes, const uint8_t* data, size_t size)
{
    for (size_t i = 0; i < size && i < bytes; i++) message[i] ^= data[i];
}

static void fuzz_text(const uint8_t* data, size_t size)
{
    static nn_token_bundle bundle;
    char* text = (char*)malloc(size + 1);
    if (!text) return;
    memcpy(text, data, size);
    text[size] = '\0';
    if (nn_token_bundle_parse(text, &bundle) == NECPNET_OK) {
        char again[8192];
        fuzz_check(bundle.info.url_count >= 0 && bundle.info.url_count <= NECPNET_URLS_MAX, "url_count");
        fuzz_check(nn_token_bundle_format(&bundle, again, sizeof again) == NECPNET_OK, "format");
        fuzz_check(strcmp(again, text) == 0, "a bundle has one text");
    }
    free(text);
}

/* The readers are strict: what one takes is written again to the byte. */
static void fuzz_round_trip(const uint8_t* data, size_t bytes)
{
    uint8_t again[NN_HANDSHAKE_BYTES] = {0};
    nn_hello hello;
    nn_retry retry;
    nn_auth auth;
    nn_resume resume;
    nn_accept accept;
    nn_refuse refuse;
    size_t written = 0;
    if (nn_hello_read(data, bytes, &hello)) written = nn_hello_write(&hello, again);
    if (nn_retry_read(data, bytes, &retry)) written = nn_retry_write(&retry, again);
    if (nn_auth_read(data, bytes, &auth)) {
        written = nn_auth_write(&auth, again);
        nn_copy(again + NN_AUTH_HEADER_BYTES, auth.setup, auth.setup_bytes + NN_AEAD_TAG_BYTES);
    }
    if (nn_resume_read(data, bytes, &resume)) {
        written = nn_resume_write(&resume, again);
        nn_copy(again + NN_RESUME_HEADER_BYTES, resume.setup, resume.setup_bytes + NN_AEAD_TAG_BYTES);
    }
    if (nn_accept_read(data, bytes, &accept)) {
        written = nn_accept_write(&accept, again);
        nn_copy(again + (accept.sealed - data), accept.sealed, accept.sealed_bytes + NN_AEAD_TAG_BYTES);
        written = bytes;
    }
    if (nn_refuse_read(data, bytes, &refuse)) {
        written = nn_refuse_write(&refuse, again);
        nn_copy(again + (refuse.sealed - data), refuse.sealed, refuse.sealed_bytes + NN_AEAD_TAG_BYTES);
        written = bytes;
    }
    fuzz_check(written == 0 || (written == bytes && !memcmp(again, data, bytes)), "a message is written differently");
}

/* A ticket of any fields opens to the same; one that was changed does not open. */
static void fuzz_ticket(const uint8_t* data, size_t size)
{
    static const uint8_t salt[NN_TICKET_SALT_BYTES] = {9};
    nn_ticket_keys keys;
    nn_ticket ticket;
    nn_ticket again;
    uint8_t sealed[NN_TICKET_BYTES];
    memset(&keys, 0, sizeof keys);
    memset(&ticket, 0, sizeof ticket);
    keys.count = 1;
    keys.keys[0].id = 3;
    memcpy(&ticket, data, nn_min_size(size, sizeof ticket));
    fuzz_check(nn_ticket_seal(&keys, &ticket, salt, sealed) == NECPNET_OK, "seal");
    fuzz_check(nn_ticket_open(&keys, sealed, sizeof sealed, &again), "a ticket does not open");
    fuzz_check(again.session == ticket.session && again.client_id == ticket.client_id &&
                   again.server_id == ticket.server_id && again.expires_us == ticket.expires_us &&
                   again.epoch == ticket.epoch && again.number == ticket.number &&
                   !memcmp(again.secret, ticket.secret, sizeof again.secret) &&
                   !memcmp(again.user_data, ticket.user_data, sizeof again.user_data),
               "a ticket opens to another");
    if (size < sizeof ticket + 2) {
        (void)nn_ticket_open(&keys, data, size, &again);
        (void)nn_ticket_number(data, size);
        return;
    }
    uint8_t change = data[sizeof ticket + 1];
    sealed[data[sizeof ticket] % sizeof sealed] ^= change;
    fuzz_check(nn_ticket_open(&keys, sealed, sizeof sealed, &again) == (change == 0), "a changed ticket opens");
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    static fuzz_pair pair;
    uint8_t datagram[1500] = {0};
    if (size == 0) return 0;
    uint8_t kind = data[0];
    data++;
    size--;
    if (kind == 5) {
        fuzz_text(data, size);
        return 0;
    }
    if (kind == 6) {
        uint8_t* out = (uint8_t*)malloc(600);
        if (out) (void)nn_decompress(data, size, out, 600);
        free(out);
        return 0;
    }
    if (kind == 7 || kind == 8) { /* 7: padded to its right length */
        memcpy(datagram, data, nn_min_size(size, sizeof datagram));
        fuzz_round_trip(datagram, kind == 7 ? NN_HANDSHAKE_BYTES : nn_min_size(size, sizeof datagram));
        return 0;
    }
    if (kind == 9) {
        fuzz_ticket(data, size);
        return 0;
    }
    fuzz_begin(&pair);
    size_t cut = nn_min_size(size, sizeof datagram);
    switch (kind) {
    case 0: fuzz_datagram(&pair, data, size); break;
    case 1:
        memcpy(datagram, data, cut);
        fuzz_datagram(&pair, datagram, NN_HANDSHAKE_BYTES);
        break;
    case 2:
        fuzz_change(pair.auth, sizeof pair.auth, data, size);
        fuzz_datagram(&pair, pair.auth, sizeof pair.auth);
        break;
    case 3: nn_handshake_client_read(&pair.client, data, size, 1); break;
    case 4:
        fuzz_datagram(&pair, pair.auth, sizeof pair.auth);
        fuzz_change(pair.accept, pair.accept_bytes, data, size);
        nn_handshake_client_read(&pair.client, pair.accept, pair.accept_bytes, 1);
        break;
    default: break;
    }
    fuzz_end(&pair);
    return 0;
}
