/* server_signals - aim: what a browser writes passes, and comes out as it went in; what is malformed is refused by its line and
 * reason, however it is cut. TURN credentials are those that the published scheme gives. */
#include "test.h"

#include "voice/sdp.h"
#include "voice/signals.h"
#include "voice/turn.h"

static const char sdp_of_chromium[] =
    "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 "
    "1\r\na=extmap-allow-mixed\r\n"
    "a=msid-semantic: WMS 61317484-2ed4-49d7-9eb7-1414322a7aae\r\nm=audio 56500 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 "
    "126\r\n"
    "c=IN IP4 203.0.113.5\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=candidate:1467250027 1 udp 2122260223 192.168.0.196 56500 "
    "typ host "
    "generation 0 network-id 1\r\na=candidate:435653019 1 tcp 1518280447 2001:db8::1 9 typ host tcptype active\r\n"
    "a=candidate:2 1 udp 1686052607 203.0.113.5 56500 typ srflx raddr 192.168.0.196 rport 56500 generation 0\r\n"
    "a=candidate:3 1 udp 2113937151 1f4712db-ea17-4bcf-a596-105139dfd8bf.local 54596 typ host\r\n"
    "a=ice-ufrag:4ZcD\r\na=ice-pwd:2/1muCWoOi3uLifh0NuRHlAl\r\na=ice-options:trickle\r\n"
    "a=fingerprint:sha-256 "
    "75:74:5A:A6:A4:E5:52:F4:A7:67:4C:01:C7:EE:91:3F:21:3D:A2:E3:53:7B:6F:30:86:F2:30:AA:65:FB:04:24\r\n"
    "a=setup:actpass\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n"
    "a=fmtp:111 minptime=10;useinbandfec=1\r\na=ssrc:3570614608 cname:4TOk42mSjXCkVIa6\r\n"
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP6 ::\r\nb=AS:30\r\na=mid:1\r\na=sctp-port:5000\r\n";

TEST(test_sdp_of_browsers_passes_with_either_end_of_line)
{
    char why[160] = "", plain[sizeof sdp_of_chromium];
    size_t bytes = 0;
    TEST_CHECK(sdp_check(sdp_of_chromium, why, sizeof why));
    TEST_CHECK(why[0] == 0);
    for (const char* at = sdp_of_chromium; *at; at++) {
        if (*at != '\r') plain[bytes++] = *at;
    }
    plain[bytes] = 0;
    TEST_CHECK(sdp_check(plain, why, sizeof why));
    TEST_CHECK(sdp_check(
        "v=0\r\no=jdoe 1 1 IN IP6 2001:db8::2\r\ns=x y\r\ni=about\r\nu=http://example.com\r\ne=a@b\r\ne=c@d\r\n"
        "c=IN IP4 224.2.1.1/127\r\nb=CT:128\r\nt=0 0\r\nr=7d 1h 0\r\nt=1 2\r\na=recvonly\r\nm=audio 49170/2 "
        "RTP/AVP 0\r\ni=two\r\n",
        why, sizeof why));
}

TEST(test_sdp_that_is_cut_or_spoilt_anywhere_never_passes_for_another_reason_than_it_should)
{
    char why[160], copy[sizeof sdp_of_chromium];
    size_t bytes = sizeof sdp_of_chromium - 1;
    for (size_t cut = 0; cut < bytes; cut++) { /* only whole lines behind t= are a description */
        memcpy(copy, sdp_of_chromium, cut);
        copy[cut] = 0;
        bool whole = cut > 0 && copy[cut - 1] == '\n' && strstr(copy, "t=0 0") != NULL;
        TEST_EQUAL(sdp_check(copy, why, sizeof why), whole);
    }
    for (size_t at = 0; at < bytes; at++) { /* a control character is refused wherever it stands */
        memcpy(copy, sdp_of_chromium, sizeof copy);
        copy[at] = 1;
        TEST_CHECK(!sdp_check(copy, why, sizeof why));
        TEST_CHECK(strlen(why) > 10);
    }
}

TEST(test_sdp_mistakes_are_named_by_their_line)
{
    static const struct {
        const char* sdp;
        const char* why;
    } cases[] = {
        {"o=- 1 1 IN IP4 0.0.0.0\n", "line 1: v=, o= and s= come first"},
        {"v=0\nv=0\n", "line 2: a line stands in the wrong place"},
        {"v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nm=audio 9 RTP/AVP 0\n", "line 4: v=, o=, s= and t= stand before m="},
        {"v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\na=x\n", "line 4: t= is missing"},
        {"v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0\n", "line 4: t= is two numbers"},
        {"v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\nm=audio 9 RTP/AVP\n", "line 5: m="},
        {"v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\nm=audio 9 RTP/AVP 0 \n", "line 5: m="},
        {"v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\nm=audio 9 RTP/AVP 0\nt=0 0\n", "line 6: a line of this kind"},
        {"v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\na=setup:sideways\n", "line 5: setup"},
        {"v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\na=candidate:1 1 udp 1 1.2.3.4 1 typ odd\n",
         "line 5: the type is host"},
        {"v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\n\n", "line 5: it is no letter"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char why[160] = "";
        TEST_CHECK(!sdp_check(cases[i].sdp, why, sizeof why));
        TEST_CHECK(strncmp(why, cases[i].why, strlen(cases[i].why)) == 0);
    }
}

TEST(test_candidates_have_bounds)
{
    char why[160];
    TEST_CHECK(sdp_check_candidate("", why, sizeof why));
    TEST_CHECK(
        sdp_check_candidate("candidate:0 256 UDP 2147483647 ::1 0 typ relay raddr 0.0.0.0 rport 0", why, sizeof why));
    static const char* const wrong[] = {"candidate:1 0 udp 1 1.2.3.4 1 typ host",
                                        "candidate:1 257 udp 1 1.2.3.4 1 typ host",
                                        "candidate:1 1 udp 2147483648 1.2.3.4 1 typ host",
                                        "candidate:1 1 udp 1 1.2.3.4 65536 typ host",
                                        "candidate:1 1 udp 1 1.2.3 1 typ host",
                                        "candidate:1 1 udp 1 g::1 1 typ host",
                                        "candidate:1 1 udp 1 -x.local 1 typ host",
                                        "candidate:1 1 udp 1 1.2.3.4 1 typ host ",
                                        "candidate:1  1 udp 1 1.2.3.4 1 typ host",
                                        "candidate:1 1 udp 1 1.2.3.4 1 typ host raddr",
                                        "candidate:1 1 udp 1 1.2.3.4 1 typ host rport 70000",
                                        "candidate:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1 udp 1 1.2.3.4 1 typ host"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        TEST_CHECK(!sdp_check_candidate(wrong[i], why, sizeof why));
}

TEST(test_signals_come_out_as_they_went_in)
{
    const char* json = "{\"candidate\":\"candidate:1 1 udp 1 1.2.3.4 1 typ host\",\"sdpMid\":null,\"sdpMLineIndex\":3,"
                       "\"usernameFragment\":\"4ZcD\"}";
    cJSON* part = cJSON_Parse(json);
    signal_message message = {.type = SIGNAL_CANDIDATE, .session_id = "s", .from = "a\"b", .to = "c", .channel = "d"};
    field_fault fault;
    text out;
    TEST_CHECK(signals_take(&message, NULL, NULL, part, &fault));
    text_begin_growing(&out);
    signals_put(&out, &message);
    char wanted[512];
    snprintf(wanted, sizeof wanted,
             "{\"type\":\"candidate\",\"session_id\":\"s\",\"from_user_id\":\"a\\\"b\",\"to_user_id\":\"c\","
             "\"channel_id\":\"d\",\"candidate\":%s}",
             json);
    TEST_CHECK(strcmp(out.to, wanted) == 0);
    text_end(&out);
    TEST_CHECK(!signals_take(&message, part, NULL, part, &fault));
    TEST_CHECK(strcmp(fault.field, "offer") == 0 && strcmp(fault.reason, "unknown") == 0);
    message.type = SIGNAL_OFFER;
    TEST_CHECK(!signals_take(&message, NULL, NULL, NULL, &fault));
    TEST_CHECK(strcmp(fault.reason, "missing") == 0);
    cJSON_Delete(part);
}

#if NECPNET_WITH_MBEDTLS
TEST(test_turn_credentials_are_an_hmac_of_their_name)
{
    turn_credentials made;
    TEST_OK(turn_make("north", 0x0123456789abcdefu, 1433895918u, &made));
    TEST_CHECK(strcmp(made.name, "1433895918:0123456789abcdef") == 0);
    /* printf %s 1433895918:0123456789abcdef | openssl dgst -sha1 -hmac north -binary | base64 */
    TEST_CHECK(strcmp(made.password, "SFxDVzlqaZiQc/W6osf8iou6aGo=") == 0);
}
#endif

TEST_MAIN
