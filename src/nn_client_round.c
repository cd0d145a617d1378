/* nn_client_round - one round of attempts to connect: resolve, try the addresses in turn, the first that answers wins. */
#include "nn_client.h"

/* How much a failure tells: what the server itself said goes before what the network said, before silence. */
static int client_rank(necpnet_result reason)
{
    switch (reason) {
    case NECPNET_OK: return -1;
    case NECPNET_ERR_NO_ANSWER: return 0;
    case NECPNET_ERR_UNSUPPORTED: return 1;
    case NECPNET_ERR_HOST_UNKNOWN:
    case NECPNET_ERR_NETWORK_UNREACHABLE: return 2;
    case NECPNET_ERR_CONNECTION_REFUSED:
    case NECPNET_ERR_CONNECTION_RESET: return 3;
    default: return 4;
    }
}

static void client_note(necpnet_client* client, necpnet_result reason, const char* text)
{
    if (client_rank(reason) <= client_rank(client->round_reason)) return;
    client->round_reason = reason;
    size_t length = nn_min_size(strlen(text), NECPNET_REASON_BYTES_MAX);
    nn_copy(client->round_text, text, length);
    client->round_text[length] = '\0';
}

NN_PRIVATE void nn_client_end_attempt(necpnet_client* client, nn_attempt* attempt)
{
    if (NECPNET_WITH_UDP && attempt->handshake) {
        nn_handshake_client_reset(attempt->handshake);
        nn_alloc_give(&client->endpoint.alloc, attempt->handshake, sizeof *attempt->handshake);
        attempt->handshake = NULL;
    }
    if (attempt->web) {
        necpnet_web_set_user_data(attempt->web, NULL);
        nn_web_cut(attempt->web, NECPNET_ERR_CLOSED);
        attempt->web = NULL;
    }
}

NN_PRIVATE void nn_client_fail_attempt(necpnet_client* client, nn_attempt* attempt, necpnet_result reason,
                                       const char* text)
{
    nn_client_end_attempt(client, attempt);
    attempt->state = NN_ATTEMPT_FAILED;
    client_note(client, reason, text);
}

NN_PRIVATE void nn_client_end_attempts(necpnet_client* client)
{
    for (int i = 0; i < client->attempt_count; i++) {
        nn_client_end_attempt(client, &client->attempts[i]);
        client->attempts[i].state = NN_ATTEMPT_FREE;
    }
    client->attempt_count = 0;
    client->winner = -1;
    client->resolving = 0;
}

/* -- beginning -- */

static void client_add_attempt(necpnet_client* client, int url, const necpnet_address* address)
{
    if (client->attempt_count == NN_ATTEMPTS_MAX) return;
    for (int i = 0; i < client->attempt_count; i++) {
        bool same = client->attempts[i].url == url && necpnet_address_equal(&client->attempts[i].address, address);
        if (same) return;
    }
    nn_attempt* attempt = &client->attempts[client->attempt_count];
    memset(attempt, 0, sizeof *attempt);
    attempt->state = NN_ATTEMPT_WAITING;
    attempt->url = url;
    if (address) attempt->address = *address;
    uint64_t stagger_us = (uint64_t)client->config.connect_stagger_ms * 1000;
    attempt->start_us = client->round_began_us + stagger_us * (uint64_t)client->attempt_count;
    client->attempt_count++;
}

/* The families in turn (RFC 8305 4), beginning with the resolver's first choice. */
NN_PRIVATE void nn_client_round_resolved(necpnet_client* client, uint64_t request, const necpnet_address* addresses,
                                         int count, necpnet_result reason)
{
    int url = (int)(request & 0xff);
    if (request >> 8 != client->round || !(client->resolving >> url & 1)) return;
    client->resolving &= ~(UINT64_C(1) << url);
    if (count == 0) {
        client_note(client, reason, client->urls[url].host);
        return;
    }
    uint8_t family = addresses[0].family;
    int same = 0, other = 0;
    for (int taken = 0; taken < count; taken++) {
        bool want_same = taken % 2 == 0;
        while (same < count && addresses[same].family != family) same++;
        while (other < count && addresses[other].family == family) other++;
        if (same == count) want_same = false;
        if (other == count) want_same = true;
        client_add_attempt(client, url, &addresses[want_same ? same++ : other++]);
    }
}

static void client_begin_url(necpnet_client* client, int index)
{
    const nn_url* url = &client->urls[index];
    const necpnet_transport* transport = client->endpoint.transport;
    bool is_udp = url->scheme == NN_URL_UDP;
    uint32_t needs = is_udp ? NECPNET_TRANSPORT_DATAGRAMS : NECPNET_TRANSPORT_STREAMS;
    if (!(transport->flags & needs) || (is_udp && !NECPNET_WITH_UDP)) {
        client_note(client, NECPNET_ERR_UNSUPPORTED,
                    is_udp ? "no UDP on this platform: use ws:// or wss://"
                           : "no WebSocket on this transport: use udp://");
        return;
    }
    if (client->is_resuming && client->was_encrypted && url->scheme == NN_URL_WS) {
        client->is_skipped = true;
        return;
    }
    bool wants_token = client->config.security == NECPNET_SECURITY_TOKEN && !client->is_resuming;
    if (is_udp && wants_token && !client->has_token) {
        client_note(client, NECPNET_ERR_TOKEN_MISSING,
                    "UDP needs a connect token; a credential serves WebSocket alone");
        return;
    }
    if (transport->flags & NECPNET_TRANSPORT_MESSAGES) {
        necpnet_address none;
        memset(&none, 0, sizeof none);
        none.port = url->port;
        client_add_attempt(client, index, &none);
        return;
    }
    client->resolving |= UINT64_C(1) << index;
    uint64_t request = (uint64_t)client->round << 8 | (uint64_t)index;
    necpnet_result result = transport->resolve(transport->user, request, url->host, url->port);
    if (result == NECPNET_OK) return;
    client->resolving &= ~(UINT64_C(1) << index);
    client_note(client, result, url->host);
}

static void client_clear_round(necpnet_client* client)
{
    nn_client_end_attempts(client);
    client->round = (client->round + 1) & 0xffffff;
    client->round_began_us = client->endpoint.now_us;
    client->round_reason = NECPNET_OK;
    client->round_text[0] = '\0';
    client->round_has_retry = false;
    client->is_skipped = false;
}

NN_PRIVATE void nn_client_begin_round(necpnet_client* client)
{
    client_clear_round(client);
    client->is_resuming = client->is_suspended && client->has_ticket;
    client->state = NECPNET_CLIENT_CONNECTING;
    for (int i = 0; i < client->url_count; i++) client_begin_url(client, i);
}

NN_PRIVATE void nn_client_begin_probe(necpnet_client* client, bool udp)
{
    client_clear_round(client);
    client->is_resuming = client->is_probing = true;
    for (int i = 0; i < client->url_count; i++) {
        if ((client->urls[i].scheme == NN_URL_UDP) == udp) client_begin_url(client, i);
    }
}

NN_PRIVATE void nn_client_ask_token(necpnet_client* client)
{
    bool resumes = client->is_suspended && client->has_ticket;
    bool wants_token = client->config.security == NECPNET_SECURITY_TOKEN && !resumes;
    if (wants_token && !client->has_token && !client->has_credential) {
        client->state = NECPNET_CLIENT_WAITING_FOR_TOKEN;
        nn_client_push(client, NECPNET_EVENT_TOKEN_NEEDED, "");
        return;
    }
    nn_client_begin_round(client);
}

/* -- running -- */

NN_PRIVATE bool nn_client_retry(necpnet_client* client, necpnet_result reason, bool has_retry, uint32_t retry_ms,
                                uint32_t* out_delay_ms)
{
    const necpnet_client_config* config = &client->config;
    bool hopeless = reason == NECPNET_ERR_VERSION_DIFFERS || reason == NECPNET_ERR_CHANNELS_DIFFER ||
                    reason == NECPNET_ERR_SCHEMA_DIFFERS || reason == NECPNET_ERR_CERTIFICATE ||
                    reason == NECPNET_ERR_UNSUPPORTED;
    if (!config->reconnect || hopeless || client->failures >= config->reconnect_attempts_max) return false;
    uint64_t ceiling_ms = config->reconnect_delay_min_ms;
    for (uint32_t i = 0; i < client->failures && ceiling_ms < config->reconnect_delay_max_ms; i++) ceiling_ms *= 2;
    ceiling_ms = nn_min_u64(ceiling_ms, config->reconnect_delay_max_ms);
    uint64_t delay_ms = has_retry ? retry_ms : nn_random_below(&client->endpoint.random, ceiling_ms + 1);
    client->failures++;
    client->retry_at_us = client->endpoint.now_us + delay_ms * 1000;
    client->state = NECPNET_CLIENT_RECONNECTING;
    *out_delay_ms = (uint32_t)delay_ms;
    return true;
}

/* A round with the ticket has failed. Whether the session, or the ticket, is done with and the next round begins at once. */
static bool client_end_resume(necpnet_client* client, necpnet_result reason)
{
    nn_close close = nn_close_of(NECPNET_ERR_SESSION_LOST, 0, client->round_text);
    switch (reason) {
    case NECPNET_ERR_REPLACED:
        close.reason = reason;
        nn_client_end_attempts(client);
        nn_client_end_session(client, &close);
        client->state = NECPNET_CLIENT_IDLE;
        return true;
    case NECPNET_ERR_SESSION_LOST: break;
    case NECPNET_ERR_TOKEN_SPENT:
    case NECPNET_ERR_TOKEN_EXPIRED:
    case NECPNET_ERR_TOKEN_INVALID:
        /* the ticket is no good; who is known by a token may still be recognised */
        nn_client_forget_ticket(client);
        if (client->config.security == NECPNET_SECURITY_TOKEN) {
            nn_client_end_attempts(client);
            nn_client_ask_token(client);
            return true;
        }
        break;
    default:
        if (!client->is_skipped) return false;
        break; /* nobody answers where it may go on, but there are other ways to the server */
    }
    nn_client_end_attempts(client);
    nn_client_end_session(client, &close)->event.will_reconnect = true;
    nn_client_ask_token(client);
    return true;
}

static void client_end_round(necpnet_client* client)
{
    necpnet_result reason = client->round_reason ? client->round_reason : NECPNET_ERR_NO_ANSWER;
    if (client->is_probing) {
        nn_client_end_attempts(client);
        nn_client_probed(client);
        return;
    }
    if (client->is_resuming && client_end_resume(client, reason)) return;
    if (reason == NECPNET_ERR_NO_ANSWER && client->has_token && client->token_wall_offset_us &&
        client->endpoint.now_us + client->token_wall_offset_us >= client->token.info.expires_us) {
        reason = NECPNET_ERR_TOKEN_EXPIRED;
    }
    bool said = client->round_reason == reason && client->round_text[0];
    nn_client_event* event =
        nn_client_push(client, NECPNET_EVENT_CONNECT_FAILED, said ? client->round_text : necpnet_result_text(reason));
    client->has_token = client->has_credential = false;
    nn_client_end_attempts(client);
    uint32_t delay_ms = 0;
    bool back = nn_client_retry(client, reason, client->round_has_retry, client->round_retry_ms, &delay_ms);
    event->event.reason = reason;
    event->event.will_reconnect = back;
    event->event.retry_in_ms = delay_ms;
    if (back) return;
    client->state = NECPNET_CLIENT_IDLE;
    nn_close close = nn_close_of(reason, 0, event->text);
    if (client->is_suspended) nn_client_end_session(client, &close);
}

NN_PRIVATE void nn_client_run_round(necpnet_client* client, uint64_t now_us)
{
    if (client->state != NECPNET_CLIENT_CONNECTING && !client->is_probing) return;
    bool running = false;
    for (int i = 0; i < client->attempt_count; i++) {
        nn_attempt* attempt = &client->attempts[i];
        bool due = now_us >= attempt->start_us || !running;
        if (attempt->state == NN_ATTEMPT_WAITING && client->winner < 0 && due) nn_client_start_attempt(client, attempt);
        if (attempt->state == NN_ATTEMPT_RUNNING && !attempt->handshake && now_us >= attempt->until_us) {
            nn_client_fail_attempt(client, attempt, NECPNET_ERR_NO_ANSWER, necpnet_result_text(NECPNET_ERR_NO_ANSWER));
        }
        if (NECPNET_WITH_UDP && attempt->state == NN_ATTEMPT_RUNNING && attempt->handshake) {
            nn_client_run_attempt(client, attempt, now_us);
        }
        if (attempt->state == NN_ATTEMPT_RUNNING) running = true;
    }
    bool waiting = false;
    for (int i = 0; i < client->attempt_count; i++)
        waiting = waiting || client->attempts[i].state == NN_ATTEMPT_WAITING;
    bool won_and_lost = client->winner >= 0 && !running;
    if (won_and_lost || (!running && !waiting && client->resolving == 0)) client_end_round(client);
}

NN_PRIVATE uint64_t nn_client_round_deadline_us(const necpnet_client* client)
{
    if (client->state != NECPNET_CLIENT_CONNECTING && !client->is_probing) return NN_NEVER;
    uint64_t at_us = NN_NEVER;
    bool running = false, waiting = false;
    for (int i = 0; i < client->attempt_count; i++) {
        const nn_attempt* attempt = &client->attempts[i];
        if (attempt->state == NN_ATTEMPT_WAITING && client->winner < 0) {
            waiting = true;
            at_us = nn_min_u64(at_us, attempt->start_us);
        }
        if (attempt->state != NN_ATTEMPT_RUNNING) continue;
        running = true;
        at_us = nn_min_u64(at_us, attempt->until_us);
        if (NECPNET_WITH_UDP && attempt->handshake)
            at_us = nn_min_u64(at_us, nn_handshake_client_deadline_us(attempt->handshake));
    }
    /* nothing is under way: the next address, or the end of the round, is due */
    bool is_due = !running && (waiting || client->winner >= 0 || client->resolving == 0);
    return is_due ? client->endpoint.now_us : at_us;
}
