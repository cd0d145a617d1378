/* Golden vectors of the handshake: the bytes of this version must not change unnoticed.
 *
 * tests/vectors/handshake.txt holds them; tests/e2e/handshake_vectors.test.py reads the same file with nothing but
 * src/PROTOCOL.md. After a deliberate change of the protocol: NECPNET_WRITE_VECTORS=1 test_handshake_vectors. */
#include "nn_bytes.h"
#include "nn_handshake_client.h"
#include "nn_handshake_server.h"
#include "nn_random.h"
#include "test.h"

#define WALL_US UINT64_C(1790000000000000)
#define VECTORS "tests/vectors/handshake.txt"

typedef struct vectors {
    char text[32768];
    size_t length;
} vectors;

static void say(vectors* v, const char* name, const void* data, size_t bytes)
{
    v->length += (size_t)snprintf(v->text + v->length, sizeof v->text - v->length, "%s ", name);
    for (size_t i = 0; i < bytes; i++) {
        v->length +=
            (size_t)snprintf(v->text + v->length, sizeof v->text - v->length, "%02x", ((const uint8_t*)data)[i]);
    }
    v->length += (size_t)snprintf(v->text + v->length, sizeof v->text - v->length, "\n");
    TEST_LESS(v->length, sizeof v->text);
}

static bool fill(void* to, size_t bytes, void* user)
{
    for (size_t i = 0; i < bytes; i++) ((uint8_t*)to)[i] = (uint8_t)nn_random_u64((nn_random*)user);
    return true;
}

/* Trailing zeroes of padded messages are left out; the reader puts them back. */
static void say_padded(vectors* v, const char* name, const uint8_t* data)
{
    size_t bytes = NN_HANDSHAKE_BYTES;
    while (bytes && data[bytes - 1] == 0) bytes--;
    say(v, name, data, bytes);
}

static void run(vectors* v, necpnet_security security)
{
    struct necpnet_allocator allocator = test_allocator();
    nn_alloc alloc;
    nn_alloc_init(&alloc, &allocator);
    /* Each side has a source of its own: a crypto library may draw more from it, after what is seen here. */
    nn_random random[3];
    necpnet_entropy entropy[3];
    for (int i = 0; i < 3; i++) {
        nn_random_seed(&random[i], 1000 + (uint64_t)i);
        entropy[i].fill = fill;
        entropy[i].user = &random[i];
    }
    necpnet_token_key key = {0x01020304, {0}};
    for (size_t i = 0; i < sizeof key.bytes; i++) key.bytes[i] = (uint8_t)(0xa0 + i);
    static nn_token_bundle bundle;
    nn_handshake_server_config server_config;
    nn_handshake_client_config client_config;
    memset(&server_config, 0, sizeof server_config);
    memset(&client_config, 0, sizeof client_config);
    server_config.entropy = &entropy[0];
    server_config.security = security;
    server_config.token_keys = &key;
    server_config.token_key_count = 1;
    server_config.server_id = 42;
    server_config.suites = 1u << NN_SUITE_CHACHA20_POLY1305;
    client_config.alloc = &alloc;
    client_config.entropy = &entropy[1];
    client_config.security = security;
    client_config.bundle = &bundle;
    client_config.setup = "the SETUP frame";
    client_config.setup_bytes = 15;
    client_config.suites = 1u << NN_SUITE_CHACHA20_POLY1305;
    client_config.client_connection_id = 0xc1c2c3c4;
    client_config.timeout_us = 5000000;
    say(v, "security", &(uint8_t){(uint8_t)security}, 1);
    if (security == NECPNET_SECURITY_TOKEN) {
        static const char* const urls[] = {"udp://127.0.0.1:7777"};
        char text[NECPNET_TOKEN_TEXT_BYTES_MAX];
        necpnet_token_config token;
        TEST_OK(necpnet_token_config_default(&token));
        token.client_id = 77;
        token.server_id = 42;
        token.issued_us = WALL_US;
        token.urls = urls;
        token.url_count = 1;
        token.entropy = entropy[2];
        memset(token.user_data, 0x5a, sizeof token.user_data);
        TEST_OK(necpnet_token_create(&token, &key, text, sizeof text));
        TEST_OK(nn_token_bundle_parse(text, &bundle));
        say(v, "token_key", key.bytes, sizeof key.bytes);
        say(v, "bundle_text", text, strlen(text));
        say(v, "psk", bundle.psk, sizeof bundle.psk);
    }
    nn_handshake_server* server = NULL;
    nn_handshake_client client;
    necpnet_address from;
    TEST_OK(necpnet_address_parse("192.0.2.1:4433", &from));
    TEST_OK(nn_handshake_server_create(&alloc, &server_config, 5000000, &server));
    TEST_OK(nn_handshake_client_init(&client, &client_config, 0));
    uint8_t datagram[NN_HANDSHAKE_BYTES], reply[NN_HANDSHAKE_BYTES];
    size_t bytes = 0;
    nn_handshake_outcome out;
    nn_handshake_client_write(&client, 0, datagram, &bytes);
    say_padded(v, "hello", datagram);
    nn_handshake_server_read(server, &from, datagram, bytes, 6000000, WALL_US + 1, reply, &out);
    TEST_EQUAL(out.kind, NN_HANDSHAKE_REPLY);
    say(v, "retry", reply, out.reply_bytes);
    nn_handshake_client_read(&client, reply, out.reply_bytes, 0);
    nn_handshake_client_write(&client, 0, datagram, &bytes);
    say_padded(v, "auth", datagram);
    say(v, "client_private", client.private_key, sizeof client.private_key);
    nn_handshake_server_read(server, &from, datagram, bytes, 6000001, WALL_US + 1, reply, &out);
    TEST_EQUAL(out.kind, NN_HANDSHAKE_ADMIT);
    nn_handshake_server_refuse(server, &out.pending, NECPNET_ERR_SERVER_FULL, "no room", reply, &bytes);
    say(v, "refuse", reply, bytes);
    nn_handshake_server_read(server, &from, datagram, NN_HANDSHAKE_BYTES, 6000001, WALL_US + 1, reply, &out);
    TEST_EQUAL(out.kind, NN_HANDSHAKE_ADMIT);
    nn_connection_keys keys;
    TEST_OK(nn_handshake_server_accept(server, &out.pending, &alloc, 0x51525354, "the SETUP_OK frame", 18, NULL, reply,
                                       &bytes, &keys));
    say(v, "accept", reply, bytes);
    TEST_EQUAL(nn_handshake_client_read(&client, reply, bytes, 0), NN_HANDSHAKE_DONE);
    say(v, "client_secret", client.keys.send_secret, NN_SECRET_BYTES);
    say(v, "server_secret", client.keys.receive_secret, NN_SECRET_BYTES);
    uint8_t packet[7 + 11 + 16] = {0x80, 0x54, 0x53, 0x52, 0x51, 0x07, 0x00};
    memcpy(packet + 7, "some frames", 11);
    nn_aead_seal(client.keys.send, 7, packet, 7, packet + 7, 11, packet + 18);
    say(v, "client_packet_7", packet, sizeof packet);
    TEST_OK(nn_key_next_phase(keys.suite, keys.send_secret));
    say(v, "server_secret_next_phase", keys.send_secret, NN_SECRET_BYTES);
    nn_aead_destroy(keys.send);
    nn_aead_destroy(keys.receive);
    nn_handshake_client_reset(&client);
    nn_handshake_server_destroy(server);
}

/* A ticket, the RESUME that shows it, and both answers; the second holds the next ticket. */
static void run_resume(vectors* v, necpnet_security security)
{
    nn_alloc alloc;
    necpnet_allocator allocator = test_allocator();
    nn_alloc_init(&alloc, &allocator);
    static nn_random streams[2];
    for (unsigned i = 0; i < 2; i++) nn_random_seed(&streams[i], 11 + i);
    const necpnet_entropy entropy[2] = {{fill, &streams[0]}, {fill, &streams[1]}};
    static const uint8_t salt[NN_TICKET_SALT_BYTES] = {9, 8, 7, 6, 5, 4, 3, 2, 1};
    nn_ticket_keys ticket_keys;
    nn_ticket ticket;
    memset(&ticket_keys, 0, sizeof ticket_keys);
    memset(&ticket, 0, sizeof ticket);
    ticket_keys.count = 1;
    ticket_keys.suite = security == NECPNET_SECURITY_NONE ? NN_SUITE_NONE : NN_SUITE_CHACHA20_POLY1305;
    ticket_keys.keys[0].id = 0x0a0b0c0d;
    memset(ticket_keys.keys[0].bytes, 0x77, sizeof ticket_keys.keys[0].bytes);
    ticket.number = 3;
    ticket.session = UINT64_C(0x100000005);
    memset(ticket.session_tag, 0x33, sizeof ticket.session_tag);
    ticket.client_id = 77;
    ticket.server_id = 42;
    ticket.issued_us = WALL_US;
    ticket.expires_us = WALL_US + 3600000000u;
    ticket.identity_expires_us = 12345;
    ticket.epoch = 2;
    ticket.flags = NN_TICKET_ENCRYPTED;
    memset(ticket.secret, 0x44, sizeof ticket.secret);
    memset(ticket.user_data, 0x5a, sizeof ticket.user_data);
    uint8_t sealed[NN_TICKET_BYTES], proof[NN_TICKET_PROOF_BYTES];
    TEST_OK(nn_ticket_seal(&ticket_keys, &ticket, salt, sealed));
    nn_ticket_proof(ticket.secret, sealed, proof);
    say(v, "security", &(uint8_t){(uint8_t)security}, 1);
    say(v, "ticket_key", ticket_keys.keys[0].bytes, NECPNET_TOKEN_KEY_BYTES);
    say(v, "ticket", sealed, sizeof sealed);
    say(v, "ticket_proof", proof, sizeof proof);
    nn_handshake_server_config server_config;
    nn_handshake_client_config client_config;
    memset(&server_config, 0, sizeof server_config);
    memset(&client_config, 0, sizeof client_config);
    server_config.entropy = &entropy[0];
    server_config.security = security;
    server_config.server_id = 42;
    server_config.suites = 1u << NN_SUITE_CHACHA20_POLY1305;
    server_config.ticket_keys = &ticket_keys;
    client_config.alloc = &alloc;
    client_config.entropy = &entropy[1];
    client_config.security = security;
    client_config.ticket = sealed;
    client_config.ticket_bytes = sizeof sealed;
    client_config.ticket_secret = ticket.secret;
    client_config.setup = "the SETUP frame";
    client_config.setup_bytes = 15;
    client_config.suites = 1u << NN_SUITE_CHACHA20_POLY1305;
    client_config.client_connection_id = 0xc1c2c3c4;
    client_config.timeout_us = 5000000;
    nn_handshake_server* server = NULL;
    nn_handshake_client client;
    nn_handshake_outcome out;
    nn_connection_keys keys;
    necpnet_address from;
    uint8_t datagram[NN_HANDSHAKE_BYTES], reply[NN_HANDSHAKE_BYTES];
    size_t bytes = 0;
    TEST_OK(necpnet_address_parse("192.0.2.1:4433", &from));
    TEST_OK(nn_handshake_server_create(&alloc, &server_config, 5000000, &server));
    TEST_OK(nn_handshake_client_init(&client, &client_config, 0));
    nn_handshake_client_write(&client, 0, datagram, &bytes);
    say_padded(v, "resume", datagram);
    nn_handshake_server_read(server, &from, datagram, bytes, 6000000, WALL_US + 1, reply, &out);
    TEST_EQUAL(out.kind, NN_HANDSHAKE_ADMIT);
    TEST_EQUAL(out.ticket.number, 3);
    nn_handshake_server_refuse(server, &out.pending, NECPNET_ERR_SESSION_LOST, "not here", reply, &bytes);
    say(v, "refuse", reply, bytes);
    nn_handshake_server_read(server, &from, datagram, NN_HANDSHAKE_BYTES, 6000001, WALL_US + 1, reply, &out);
    TEST_EQUAL(out.kind, NN_HANDSHAKE_ADMIT);
    ticket.number = 4;
    TEST_OK(nn_handshake_server_accept(server, &out.pending, &alloc, 0x51525354, "the SETUP_OK frame", 18, &ticket,
                                       reply, &bytes, &keys));
    say(v, "accept", reply, bytes);
    TEST_EQUAL(nn_handshake_client_read(&client, reply, bytes, 0), NN_HANDSHAKE_DONE);
    say(v, "next_ticket_secret", client.ticket_secret, NN_SECRET_BYTES);
    say(v, "client_secret", client.keys.send_secret, NN_SECRET_BYTES);
    say(v, "server_secret", client.keys.receive_secret, NN_SECRET_BYTES);
    nn_aead_destroy(keys.send);
    nn_aead_destroy(keys.receive);
    nn_handshake_client_reset(&client);
    nn_handshake_server_destroy(server);
}

TEST(test_handshake_bytes_are_those_of_the_vectors)
{
    if (!nn_aead_suites()) TEST_SKIP("no crypto library");
    static vectors made;
    made.length = 0;
    run(&made, NECPNET_SECURITY_TOKEN);
    run(&made, NECPNET_SECURITY_OPEN);
    run(&made, NECPNET_SECURITY_NONE);
    run_resume(&made, NECPNET_SECURITY_TOKEN);
    run_resume(&made, NECPNET_SECURITY_NONE);
    if (getenv("NECPNET_WRITE_VECTORS")) {
        FILE* file = fopen(VECTORS, "wb");
        TEST_CHECK(file != NULL);
        TEST_EQUAL(fwrite(made.text, 1, made.length, file), made.length);
        TEST_EQUAL(fclose(file), 0);
    }
    static char stored[sizeof made.text];
    FILE* file = fopen(VECTORS, "rb");
    TEST_CHECK(file != NULL);
    size_t length = fread(stored, 1, sizeof stored, file);
    fclose(file);
    TEST_HINT("a change of the wire breaks every peer that is out there; if it is meant, move the version");
    TEST_EQUAL(length, made.length);
    TEST_EQUAL_BYTES(made.text, stored, length);
}

TEST_MAIN
