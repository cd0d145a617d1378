/* test_extension - Sec-WebSocket-Extensions: the grammar of RFC 6455 9.1 and permessage-deflate's parameters (RFC 7692
 * 7.1), as a server that chooses and as a client that checks the choice. */
#include "test.h"

#include "nn_extension.h"

static const nn_extension_wish no_context = {false, false, 12, 12};
static const nn_extension_wish context = {true, true, 12, 11};
static const nn_extension_wish context_15 = {true, true, 15, 15};

static char answer_text[NN_EXTENSION_TEXT_BYTES_MAX];
static nn_extension_deflate agreed;

static void head_of(nn_http_head* head, const char* first, const char* second)
{
    memset(head, 0, sizeof *head);
    const char* values[2] = {first, second};
    for (int i = 0; i < 2 && values[i]; i++) {
        head->headers[head->header_count].name = i ? "SEC-WEBSOCKET-EXTENSIONS" : "Sec-WebSocket-Extensions";
        head->headers[head->header_count++].value = values[i];
    }
}

static bool serve(const nn_extension_wish* wish, const char* offer)
{
    nn_http_head head;
    head_of(&head, offer, NULL);
    TEST_HINT("offer: %s", offer);
    return nn_extension_answer(&head, wish, &agreed, answer_text);
}

static void expect_answer(const nn_extension_wish* wish, const char* offer, const char* answer)
{
    TEST_CHECK(serve(wish, offer));
    TEST_EQUAL_STRING(answer_text, answer);
    TEST_EQUAL(agreed.agreed, *answer != 0);
}

static bool check(const nn_extension_wish* wish, const char* answer)
{
    nn_http_head head;
    head_of(&head, answer, NULL);
    TEST_HINT("answer: %s", answer ? answer : "(none)");
    return nn_extension_check_answer(&head, wish, &agreed);
}

#define D "permessage-deflate"
#define NONE "; server_no_context_takeover; client_no_context_takeover"

/* ---- the server ----------------------------------------------------------------------------------------------------- */

TEST(test_extension_a_server_without_context_takes_every_valid_offer)
{
    expect_answer(&no_context, D, D NONE);
    TEST_CHECK(!agreed.send_context && !agreed.receive_context);
    TEST_EQUAL(agreed.send_bits, 15);
    TEST_EQUAL(agreed.receive_bits, 15);
    expect_answer(&no_context, D "; client_max_window_bits", D NONE);
    expect_answer(&no_context, D "; client_max_window_bits=10", D NONE "; client_max_window_bits=10");
    TEST_EQUAL(agreed.receive_bits, 10);
    expect_answer(&no_context, D "; server_max_window_bits=9", D NONE "; server_max_window_bits=9");
    TEST_EQUAL(agreed.send_bits, 9);
    expect_answer(&no_context, D "; server_max_window_bits=15", D NONE "; server_max_window_bits=15");
    expect_answer(&no_context, D "; server_no_context_takeover; client_no_context_takeover", D NONE);
    expect_answer(&no_context, "x-other, " D "; client_max_window_bits", D NONE);
    expect_answer(NULL, D, "");
    expect_answer(&no_context, "", "");
    expect_answer(&no_context, "x-webkit-deflate-frame", "");
}

TEST(test_extension_a_server_keeps_context_within_its_memory)
{
    expect_answer(&context, D "; client_max_window_bits", D "; server_max_window_bits=12; client_max_window_bits=11");
    TEST_CHECK(agreed.send_context && agreed.receive_context);
    TEST_EQUAL(agreed.send_bits, 12);
    TEST_EQUAL(agreed.receive_bits, 11);
    expect_answer(&context, D, D "; client_no_context_takeover; server_max_window_bits=12");
    TEST_CHECK(agreed.send_context && !agreed.receive_context);
    expect_answer(&context, D "; client_max_window_bits=9; server_max_window_bits=10",
                  D "; server_max_window_bits=10; client_max_window_bits=9");
    expect_answer(&context, D "; server_no_context_takeover; client_max_window_bits",
                  D "; server_no_context_takeover; client_max_window_bits=11");
    expect_answer(&context, D "; client_no_context_takeover",
                  D "; client_no_context_takeover; server_max_window_bits=12");
    expect_answer(&context_15, D, D);
    TEST_CHECK(agreed.send_context && agreed.receive_context);
    expect_answer(&context_15, D "; server_max_window_bits=8", D "; server_max_window_bits=8");
    TEST_EQUAL(agreed.send_bits, 8); /* which zlib cannot write: nothing is compressed */
}

TEST(test_extension_a_server_passes_over_invalid_offers)
{
    static const char* const bad[] = {
        D "; unknown",
        D "; server_max_window_bits",
        D "; server_max_window_bits=7",
        D "; server_max_window_bits=16",
        D "; server_max_window_bits=09",
        D "; server_max_window_bits=012",
        D "; server_max_window_bits=100",
        D "; server_max_window_bits=a",
        D "; server_max_window_bits=10; server_max_window_bits=10",
        D "; client_max_window_bits=7",
        D "; client_max_window_bits=16",
        D "; client_max_window_bits; client_max_window_bits=10",
        D "; client_max_window_bits=\"16\"",
        D "; server_no_context_takeover=1",
        D "; server_no_context_takeover; server_no_context_takeover",
        D "; client_no_context_takeover=true",
        D "; client_no_context_takeover; client_no_context_takeover",
        D "2",
        "Permessage-Deflate2",
    };
    for (size_t i = 0; i < NN_COUNT(bad); i++) {
        char two[200];
        expect_answer(&no_context, bad[i], "");
        snprintf(two, sizeof two, "%s, %s", bad[i], D "; server_max_window_bits = \"1\\0\" ");
        expect_answer(&no_context, two, D NONE "; server_max_window_bits=10");
    }
}

TEST(test_extension_a_server_takes_the_first_offer_that_it_can)
{
    expect_answer(&context_15, D "; server_no_context_takeover; server_max_window_bits=10," D ";client_max_window_bits",
                  D "; server_no_context_takeover; server_max_window_bits=10");
    nn_http_head head;
    head_of(&head, "foo; bar=1, " D "; unknown", " , " D ";\tserver_max_window_bits=11 ,");
    TEST_CHECK(nn_extension_answer(&head, &context_15, &agreed, answer_text));
    TEST_EQUAL_STRING(answer_text, D "; server_max_window_bits=11");
}

TEST(test_extension_a_server_refuses_what_is_no_list)
{
    static const char* const bad[] = {
        ";",
        "a;",
        "a;;b",
        "a b",
        "a=b",
        "a; b=",
        "a; b=\"",
        "a; b=\"\"",
        "a; b=\"x",
        "a; b=\"x y\"",
        "a; b=\"\\\"",
        "a; =b",
        "a; b=c d",
        "a; b c",
        "a, (",
        "\"a\"",
        "a; b=\"\\",
        "a; b==c",
        D "; server_max_window_bits=",
    };
    for (size_t i = 0; i < NN_COUNT(bad); i++) {
        TEST_CHECK(!serve(&no_context, bad[i]));
        TEST_CHECK(!serve(NULL, bad[i]));
    }
}

/* ---- the client ----------------------------------------------------------------------------------------------------- */

TEST(test_extension_offers_of_a_client_are_taken_by_a_server)
{
    static const nn_extension_wish* const wishes[] = {&no_context, &context, &context_15};
    char offer[NN_EXTENSION_TEXT_BYTES_MAX];
    nn_extension_write_offer(&no_context, offer);
    TEST_EQUAL_STRING(offer, D "; client_max_window_bits; client_no_context_takeover; server_no_context_takeover");
    nn_extension_write_offer(&context, offer);
    TEST_EQUAL_STRING(offer, D "; client_max_window_bits; server_max_window_bits=11");
    nn_extension_write_offer(&context_15, offer);
    TEST_EQUAL_STRING(offer, D "; client_max_window_bits");
    for (size_t i = 0; i < NN_COUNT(wishes); i++) {
        for (size_t j = 0; j < NN_COUNT(wishes); j++) {
            nn_extension_write_offer(wishes[i], offer);
            TEST_CHECK(serve(wishes[j], offer) && agreed.agreed);
            nn_extension_deflate server = agreed;
            TEST_CHECK(check(wishes[i], answer_text) && agreed.agreed);
            TEST_EQUAL(agreed.send_context, server.receive_context);
            TEST_EQUAL(agreed.receive_context, server.send_context);
            TEST_EQUAL(agreed.receive_bits, server.send_bits);
            TEST_AT_MOST(agreed.send_bits, server.receive_bits);
            TEST_EQUAL(agreed.send_context, wishes[i]->send_context && wishes[j]->receive_context);
            TEST_EQUAL(agreed.receive_context, wishes[i]->receive_context && wishes[j]->send_context);
        }
    }
}

TEST(test_extension_a_client_obeys_the_servers_choice)
{
    TEST_CHECK(check(&context_15, NULL) && !agreed.agreed);
    TEST_CHECK(check(NULL, NULL) && !agreed.agreed);
    TEST_CHECK(check(&context_15, D NONE "; server_max_window_bits=8; client_max_window_bits=9"));
    TEST_CHECK(!agreed.send_context && !agreed.receive_context);
    TEST_EQUAL(agreed.send_bits, 9);
    TEST_EQUAL(agreed.receive_bits, 8);
    TEST_CHECK(check(&context, D "; server_max_window_bits=11"));
    TEST_EQUAL(agreed.send_bits, 12);
    TEST_EQUAL(agreed.receive_bits, 11);
}

TEST(test_extension_a_client_fails_on_a_choice_that_may_not_be)
{
    static const char* const bad[] = {
        "",
        "other",
        D ", " D,
        D ", other",
        D "; unknown",
        D "; unknown=1",
        D "; client_max_window_bits",
        D "; client_max_window_bits=7",
        D "; client_max_window_bits=16",
        D "; client_max_window_bits=10; client_max_window_bits=10",
        D "; server_max_window_bits",
        D "; server_max_window_bits=0",
        D "; server_max_window_bits=010",
        D "; server_no_context_takeover=1",
        D "; server_no_context_takeover; server_no_context_takeover",
        D ";",
        D "; server_max_window_bits=\"",
    };
    for (size_t i = 0; i < NN_COUNT(bad); i++) TEST_CHECK(!check(&context_15, bad[i]));
    TEST_CHECK(!check(NULL, D));                                   /* nothing was offered */
    TEST_CHECK(!check(&no_context, D));                            /* server_no_context_takeover was asked for */
    TEST_CHECK(!check(&context, D));                               /* server_max_window_bits too */
    TEST_CHECK(!check(&context, D "; server_max_window_bits=12")); /* and not so large */
    nn_http_head head;
    head_of(&head, D, D);
    TEST_CHECK(!nn_extension_check_answer(&head, &context_15, &agreed));
}

TEST_MAIN
