/* test_tls - TLS as a machine: two of them, wired back to back through buffers, with certificates from
 * tests/certificates (make.sh there makes them anew). */
#include "test.h"

#include "nn_tls.h"

#if NECPNET_WITH_MBEDTLS

#define WIRE_BYTES_MAX (256 * 1024)

struct wire {
    uint8_t data[WIRE_BYTES_MAX];
    size_t bytes;
    bool broken;
};

static struct end {
    struct wire out; /* what it sent and the other has not read */
    nn_tls* tls;
    uint8_t got[WIRE_BYTES_MAX];
    size_t got_bytes;
    necpnet_result result;
} client, server;

static nn_alloc alloc;
static struct necpnet_allocator allocator;

static bool fill_entropy(void* to, size_t bytes, void* user)
{
    struct test_random* random = (struct test_random*)user;
    test_random_bytes(random, to, bytes);
    return true;
}

static struct test_random entropy_state;
static const necpnet_entropy entropy = {fill_entropy, &entropy_state};
static const necpnet_logger silent;

static necpnet_result wire_send(void* user, const uint8_t* data, size_t bytes)
{
    struct wire* wire = (struct wire*)user;
    if (wire->broken) return NECPNET_ERR_OUT_OF_MEMORY;
    TEST_CHECK(wire->bytes + bytes <= sizeof wire->data);
    memcpy(wire->data + wire->bytes, data, bytes);
    wire->bytes += bytes;
    return NECPNET_OK;
}

/* A file with a NUL behind it. */
static size_t load(const char* name, uint8_t* to, size_t bytes_max)
{
    char path[128];
    snprintf(path, sizeof path, "tests/certificates/%s", name);
    FILE* file = fopen(path, "rb");
    TEST_HINT("%s: run from the root of the repository", path);
    TEST_CHECK(file != NULL);
    size_t bytes = fread(to, 1, bytes_max - 1, file);
    fclose(file);
    to[bytes] = 0;
    TEST_HINT(" ");
    return bytes;
}

static necpnet_result make_server(const char* certificate, const char* key, nn_tls_context** out)
{
    uint8_t a[8192], b[8192];
    size_t a_bytes = load(certificate, a, sizeof a);
    size_t b_bytes = load(key, b, sizeof b);
    return nn_tls_context_create_server(&alloc, &silent, &entropy, a, a_bytes, b, b_bytes, out);
}

static nn_tls_context* make_client(const char* roots, bool insecure)
{
    uint8_t a[8192];
    nn_tls_context* context = NULL;
    size_t bytes = load(roots, a, sizeof a);
    TEST_OK(nn_tls_context_create_client(&alloc, &silent, &entropy, a, bytes, insecure, &context));
    return context;
}

static void begin(void)
{
    memset(&client, 0, sizeof client);
    memset(&server, 0, sizeof server);
    allocator = test_allocator();
    nn_alloc_init(&alloc, &allocator);
    entropy_state = test_random_begin(17);
}

/* Let one end read what the other has sent, in pieces. */
static void pump_one(struct end* to, struct end* from, size_t piece)
{
    static uint8_t input[WIRE_BYTES_MAX];
    size_t bytes = from->out.bytes;
    memcpy(input, from->out.data, bytes);
    from->out.bytes = 0;
    for (size_t at = 0; at <= bytes && to->result == NECPNET_OK; at += piece) {
        size_t part = bytes - at < piece ? bytes - at : piece;
        size_t got = 1;
        nn_tls_feed(to->tls, input + at, part);
        while (got && to->result == NECPNET_OK) {
            to->result = nn_tls_read(to->tls, to->got + to->got_bytes, sizeof to->got - to->got_bytes, &got);
            to->got_bytes += got;
        }
    }
}

static void pump(size_t piece)
{
    for (int i = 0; i < 12; i++) {
        pump_one(&client, &server, piece);
        pump_one(&server, &client, piece);
    }
}

/* A handshake; the contexts go when the connections do. */
static void shake(const char* certificate, const char* roots, bool insecure, const char* host, size_t piece)
{
    nn_tls_context* server_context = NULL;
    begin();
    TEST_OK(make_server(certificate, strcmp(certificate, "other.pem") ? "server.key" : "other.key", &server_context));
    nn_tls_context* client_context = make_client(roots, insecure);
    TEST_OK(nn_tls_create(server_context, NULL, wire_send, &server.out, &server.tls));
    TEST_OK(nn_tls_create(client_context, host, wire_send, &client.out, &client.tls));
    pump(piece);
    bool open = client.result == NECPNET_OK && server.result == NECPNET_OK;
    if (open) {
        static uint8_t data[100000];
        for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 31 >> 3);
        TEST_CHECK(nn_tls_is_open(client.tls) && nn_tls_is_open(server.tls));
        TEST_OK(nn_tls_write(client.tls, data, 60000));
        TEST_OK(nn_tls_write(server.tls, data, sizeof data));
        pump(piece);
        TEST_EQUAL(server.got_bytes, 60000);
        TEST_EQUAL(client.got_bytes, sizeof data);
        TEST_EQUAL_BYTES(server.got, data, 60000);
        TEST_EQUAL_BYTES(client.got, data, sizeof data);
        nn_tls_close(client.tls);
        pump(piece);
        TEST_EQUAL(server.result, NECPNET_ERR_CLOSED);
        client.result = NECPNET_OK;
    }
    nn_tls_destroy(client.tls);
    nn_tls_destroy(server.tls);
    nn_tls_context_destroy(client_context);
    nn_tls_context_destroy(server_context);
}

TEST(test_tls_carries_bytes_both_ways_and_ends_in_order)
{
    shake("server.pem", "ca.pem", false, "localhost", WIRE_BYTES_MAX);
    TEST_EQUAL(client.result, NECPNET_OK);
    TEST_EQUAL(server.result, NECPNET_ERR_CLOSED);
}

TEST(test_tls_takes_bytes_in_pieces_of_any_size)
{
    static const size_t pieces[] = {1, 5, 1000, 16389};
    for (size_t i = 0; i < NN_COUNT(pieces); i++) {
        shake("server.pem", "ca.pem", false, "localhost", pieces[i]);
        TEST_EQUAL(server.result, NECPNET_ERR_CLOSED);
    }
}

TEST(test_tls_refuses_a_certificate_for_another_host)
{
    shake("server.pem", "ca.pem", false, "example.com", WIRE_BYTES_MAX);
    TEST_EQUAL(client.result, NECPNET_ERR_CERTIFICATE);
    TEST_EQUAL(server.result, NECPNET_ERR_TLS); /* told by an alert */
}

TEST(test_tls_knows_addresses_in_a_certificate)
{
    shake("server.pem", "ca.pem", false, "127.0.0.1", WIRE_BYTES_MAX);
    TEST_EQUAL(client.result, NECPNET_OK);
    shake("server.pem", "ca.pem", false, "::1", WIRE_BYTES_MAX);
    TEST_EQUAL(client.result, NECPNET_OK);
    shake("server.pem", "ca.pem", false, "127.0.0.2", WIRE_BYTES_MAX);
    TEST_EQUAL(client.result, NECPNET_ERR_CERTIFICATE);
    shake("server.pem", "ca.pem", false, "::2", WIRE_BYTES_MAX);
    TEST_EQUAL(client.result, NECPNET_ERR_CERTIFICATE);
}

TEST(test_tls_refuses_an_authority_that_nobody_trusts)
{
    shake("other.pem", "ca.pem", false, "localhost", WIRE_BYTES_MAX);
    TEST_EQUAL(client.result, NECPNET_ERR_CERTIFICATE);
    shake("other.pem", "ca.pem", false, "127.0.0.1", WIRE_BYTES_MAX);
    TEST_EQUAL(client.result, NECPNET_ERR_CERTIFICATE);
}

TEST(test_tls_refuses_a_certificate_that_has_expired)
{
    shake("expired.pem", "ca.pem", false, "localhost", WIRE_BYTES_MAX);
    TEST_EQUAL(client.result, NECPNET_ERR_CERTIFICATE);
}

TEST(test_tls_verifies_nothing_when_told_so)
{
    shake("expired.pem", "other.pem", true, "example.com", WIRE_BYTES_MAX);
    TEST_EQUAL(client.result, NECPNET_OK);
}

TEST(test_tls_names_certificate_files_that_do_not_do)
{
    nn_tls_context* context = NULL;
    begin();
    TEST_EQUAL(make_server("server.pem", "other.key", &context), NECPNET_ERR_BAD_CERTIFICATE_FILE);
    TEST_EQUAL(make_server("server.key", "server.key", &context), NECPNET_ERR_BAD_CERTIFICATE_FILE);
    TEST_EQUAL(make_server("server.pem", "server.pem", &context), NECPNET_ERR_BAD_CERTIFICATE_FILE);
    TEST_EQUAL(make_server("make.sh", "server.key", &context), NECPNET_ERR_BAD_CERTIFICATE_FILE);
    TEST_EQUAL(nn_tls_context_create_client(&alloc, &silent, &entropy, (const uint8_t*)"no PEM", 6, false, &context),
               NECPNET_ERR_BAD_CERTIFICATE_FILE);
    TEST_CHECK(context == NULL);
}

TEST(test_tls_ends_on_bytes_that_are_not_tls)
{
    nn_tls_context* context = NULL;
    begin();
    TEST_OK(make_server("server.pem", "server.key", &context));
    TEST_OK(nn_tls_create(context, NULL, wire_send, &server.out, &server.tls));
    TEST_CHECK(!nn_tls_is_open(server.tls));
    TEST_EQUAL(nn_tls_write(server.tls, (const uint8_t*)"x", 1), NECPNET_ERR_TLS);
    TEST_OK(wire_send(&client.out, (const uint8_t*)"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27));
    pump_one(&server, &client, WIRE_BYTES_MAX);
    TEST_EQUAL(server.result, NECPNET_ERR_TLS);
    nn_tls_destroy(server.tls);
    nn_tls_context_destroy(context);
}

TEST(test_tls_reports_what_sending_failed_with)
{
    nn_tls_context* context = NULL;
    size_t got = 0;
    begin();
    context = make_client("ca.pem", false);
    TEST_OK(nn_tls_create(context, "localhost", wire_send, &client.out, &client.tls));
    client.out.broken = true;
    TEST_EQUAL(nn_tls_read(client.tls, client.got, 10, &got), NECPNET_ERR_OUT_OF_MEMORY);
    nn_tls_destroy(client.tls);
    nn_tls_context_destroy(context);
}

TEST(test_tls_survives_each_failing_allocation_of_ours)
{
    TEST_EACH_ALLOCATION_FAILS {
        nn_tls_context* context = NULL;
        nn_tls* tls = NULL;
        begin();
        necpnet_result result = make_server("server.pem", "server.key", &context);
        if (result == NECPNET_OK) result = nn_tls_create(context, NULL, wire_send, &server.out, &tls);
        TEST_CHECK(result == NECPNET_OK || (result == NECPNET_ERR_OUT_OF_MEMORY && tls == NULL));
        nn_tls_destroy(tls);
        nn_tls_context_destroy(context);
    }
}

#else

TEST(test_tls_says_that_this_build_has_none)
{
    nn_tls_context* context = NULL;
    nn_alloc alloc;
    nn_alloc_init(&alloc, NULL);
    TEST_EQUAL(nn_tls_context_create_client(&alloc, NULL, NULL, NULL, 0, true, &context), NECPNET_ERR_UNSUPPORTED);
}

#endif

TEST_MAIN
