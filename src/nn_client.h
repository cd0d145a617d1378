/* nn_client - the client endpoint's inside: attempts to connect, the session, events.
 *
 * A round of attempts: every url is resolved, each address is tried connect_stagger_ms after the one before. The first that
 * answers (RETRY over UDP, the upgrade over WebSocket) wins: it alone spends the token, the others are dropped. When it
 * fails after all, or all have failed, the round has failed; the next begins after a growing random delay.
 *
 * A session that has a ticket outlives its connection: rounds then go with the ticket (RESUME, or SETUP with it), and begin
 * with no token. Beside a live connection a round may look for a better one: a probe. What answers then takes the session
 * over at once.
 */
#ifndef NN_CLIENT_H
#define NN_CLIENT_H

#include "nn_endpoint.h"
#include "nn_handshake_client.h"
#include "nn_ticket.h"
#include "nn_token.h"
#include "nn_url.h"

#define NN_ATTEMPTS_MAX 32 /* addresses of one round */
#define NN_CLIENT_EVENTS_MAX 32
#define NN_CLIENT_QUERIES_MAX 16
#define NN_CLIENT_QUERY_BIT (UINT64_C(1) << 62) /* in request ids of resolve */
#define NN_QUERY_TIMEOUT_US 2000000
#define NN_QUERY_REPEAT_US 500000
#define NN_CREDENTIAL_BYTES_MAX 8191
#define NN_RETIRED_US 5000000        /* a WebSocket whose session moved is closed by then */
#define NN_CLIENT_RENEWAL_US 1500000 /* after a refusal: the server judges one a second */

typedef enum nn_attempt_state {
    NN_ATTEMPT_FREE = 0,
    NN_ATTEMPT_WAITING = 1, /* until start_us */
    NN_ATTEMPT_RUNNING = 2,
    NN_ATTEMPT_FAILED = 3
} nn_attempt_state;

typedef struct nn_attempt {
    nn_attempt_state state;
    int url; /* index */
    necpnet_address address;
    uint64_t start_us;
    uint64_t until_us;
    uint32_t local_id;
    nn_handshake_client* handshake; /* UDP */
    necpnet_web_connection* web;    /* WebSocket */
    bool said_setup;
} nn_attempt;

typedef struct nn_client_event {
    necpnet_event event; /* text and server_name point into this record when it is polled */
    char text[NECPNET_URL_BYTES_MAX + 1];
    char name[64];
} nn_client_event;

typedef struct nn_client_query {
    bool is_used;
    bool is_resolved;
    necpnet_address address;
    uint64_t nonce;
    uint64_t began_us;
    uint64_t sent_us; /* 0 not yet */
    char url[NECPNET_URL_BYTES_MAX + 1];
} nn_client_query;

struct necpnet_client {
    nn_endpoint endpoint;
    nn_writes writes; /* of the view's entities */
    nn_inputs inputs; /* numbered, until the server has them */
    nn_connection_sleep sleep;
    necpnet_client_config config; /* of its pointers view alone is read after create */
    uint8_t psk[NN_PSK_BYTES];    /* OPEN */
    necpnet_client_state state;
    /* where to */
    nn_url* urls;
    int url_count;
    int url_capacity;
    bool urls_from_token;
    /* who we are */
    nn_token_bundle token;
    bool has_token;
    uint64_t token_wall_offset_us;
    char* credential;
    size_t credential_bytes; /* of the block */
    bool has_credential;
    /* the round */
    nn_attempt attempts[NN_ATTEMPTS_MAX];
    int attempt_count;
    int winner; /* -1 none yet */
    uint32_t round;
    uint64_t resolving; /* bit a url whose addresses are awaited */
    uint64_t round_began_us;
    necpnet_result round_reason;
    char round_text[NECPNET_REASON_BYTES_MAX + 1];
    uint32_t round_retry_ms;
    bool round_has_retry;
    uint32_t failures; /* rounds in a row */
    uint64_t retry_at_us;
    /* the session */
    nn_session sessions[2];
    int session; /* index of the present one; the other may still hold messages to be polled */
    nn_connection connection;
    bool is_suspended; /* the connection is lost, the session waits */
    bool is_resuming;  /* the round goes with the ticket */
    bool is_probing;   /* the round runs beside the connection */
    bool is_skipped;   /* the round left out ws:// addresses, over which this session may not go on */
    bool was_encrypted;
    bool is_throttled;   /* a message was refused for offline_bytes_max */
    uint64_t session_id; /* as the server's SETUP names it */
    uint8_t ticket[NN_TICKET_BYTES];
    uint8_t ticket_secret[NN_SECRET_BYTES];
    bool has_ticket;
    uint32_t ticket_doubts; /* of handshakes with it that had no answer */
    uint64_t probe_at_us;   /* the next; NN_NEVER */
    uint64_t probe_delay_us;
    necpnet_web_connection* retired; /* what the session moved from; closed when the other side speaks on the new one */
    uint64_t retired_until_us;
    uint64_t lost_count; /* reliable messages of the last session that may not have arrived */
    bool was_connected;
    bool stop_requested;    /* disconnect while connected */
    bool wants_renewal;     /* the server asked for a new credential in-band */
    uint64_t renewal_at_us; /* the application is asked again, after a refusal; NN_NEVER */
    necpnet_result renewal_reason;
    uint32_t bandwidth_limit;
    /* events */
    nn_client_event events[NN_CLIENT_EVENTS_MAX];
    uint32_t event_first;
    uint32_t event_count;
    nn_client_query queries[NN_CLIENT_QUERIES_MAX];
    nn_state_sink state_sink;
    nn_voice_port voice_port;
    nn_clock_sync clock; /* of the session */
    void* user_data;
};

/* nn_client_schema - the view's; NULL without. */
NN_PRIVATE const necpnet_schema* nn_client_schema(const necpnet_client* client);
NN_PRIVATE nn_session* nn_client_session(necpnet_client* client);

/* nn_client_push - queue an event; text (cut) and name are copied. The oldest is dropped when nobody polls. */
NN_PRIVATE nn_client_event* nn_client_push(necpnet_client* client, necpnet_event_type type, const char* text);

/* the session's life (nn_client_session) */

/* nn_client_begin_session - a new one, in place of one that waits: that is told to be over. */
NN_PRIVATE void nn_client_begin_session(necpnet_client* client);

/* nn_client_end_session - the session that waits is over: DISCONNECTED. What was not sent goes to the next. */
NN_PRIVATE nn_client_event* nn_client_end_session(necpnet_client* client, const nn_close* close);

/* nn_client_lose - the connection is CLOSED: wait with the session, or end it. */
NN_PRIVATE void nn_client_lose(necpnet_client* client);
NN_PRIVATE void nn_client_init_settings(necpnet_client* client);
NN_PRIVATE void nn_client_init_connection(necpnet_client* client);

/* nn_client_joined - a connection is up: what the server's SETUP and ACCEPT say of the session. */
NN_PRIVATE void nn_client_joined(necpnet_client* client, const nn_setup* setup, bool encrypted, bool resumed);

/* nn_client_take_ticket - unless it is older than the present one. */
NN_PRIVATE void nn_client_take_ticket(necpnet_client* client, const uint8_t* ticket, size_t bytes,
                                      const uint8_t* secret);
NN_PRIVATE void nn_client_forget_ticket(necpnet_client* client);

/* nn_client_retire - the session has left this WebSocket. */
NN_PRIVATE void nn_client_retire(necpnet_client* client);
NN_PRIVATE void nn_client_run_session(necpnet_client* client, uint64_t now_us);
NN_PRIVATE uint64_t nn_client_session_deadline_us(const necpnet_client* client);

/* nn_client_probed - a probe ended without success. */
NN_PRIVATE void nn_client_probed(necpnet_client* client);

/* rounds */
NN_PRIVATE void nn_client_begin_round(necpnet_client* client);

/* nn_client_begin_probe - a round beside the connection, over the addresses of UDP, or of WebSocket. */
NN_PRIVATE void nn_client_begin_probe(necpnet_client* client, bool udp);
NN_PRIVATE void nn_client_end_attempts(necpnet_client* client);

/* one attempt of it: begun, run, given up (its answer is not awaited any more), failed */
NN_PRIVATE void nn_client_start_attempt(necpnet_client* client, nn_attempt* attempt);
NN_PRIVATE void nn_client_run_attempt(necpnet_client* client, nn_attempt* attempt, uint64_t now_us);
NN_PRIVATE void nn_client_end_attempt(necpnet_client* client, nn_attempt* attempt);
NN_PRIVATE void nn_client_fail_attempt(necpnet_client* client, nn_attempt* attempt, necpnet_result reason,
                                       const char* text);

/* nn_client_write_token - a token and the proof that we have its key, where no handshake shows it. */
NN_PRIVATE void nn_client_write_token(const nn_token_bundle* token, uint8_t* to);

NN_PRIVATE void nn_client_round_datagram(necpnet_client* client, const necpnet_address* from, uint8_t* data,
                                         size_t bytes);
NN_PRIVATE void nn_client_round_resolved(necpnet_client* client, uint64_t request, const necpnet_address* addresses,
                                         int count, necpnet_result reason);
NN_PRIVATE void nn_client_run_round(necpnet_client* client, uint64_t now_us);
NN_PRIVATE uint64_t nn_client_round_deadline_us(const necpnet_client* client);
NN_PRIVATE void nn_client_session_open(void* user, necpnet_web_connection* connection);
NN_PRIVATE void nn_client_session_message(void* user, necpnet_web_connection* connection, uint8_t* data, size_t bytes);
NN_PRIVATE void nn_client_session_close(void* user, necpnet_web_connection* connection, necpnet_result reason,
                                        const char* text);

/* nn_client_ask_token - EVENT_TOKEN_NEEDED, or begin the round if there is a token or none is needed. */
NN_PRIVATE void nn_client_ask_token(necpnet_client* client);

/* nn_client_retry - after a failed round or a lost connection: wait, or give up. Returns whether it goes on. */
NN_PRIVATE bool nn_client_retry(necpnet_client* client, necpnet_result reason, bool has_retry, uint32_t retry_ms,
                                uint32_t* out_delay_ms);

/* nn_client_take_renewal - RENEW or RENEWED of the server. nn_client_ask_renewal - the application, again, after a refusal.
 * nn_client_renew - send a credential of kind NN_CREDENTIAL_* in-band: OK | ERR_WOULD_BLOCK | ERR_OUT_OF_MEMORY */
NN_PRIVATE bool nn_client_take_renewal(necpnet_client* client, uint8_t kind, const uint8_t* data, size_t bytes);
NN_PRIVATE void nn_client_ask_renewal(necpnet_client* client, uint64_t now_us);
NN_PRIVATE necpnet_result nn_client_renew(necpnet_client* client, uint8_t kind, const void* data, size_t bytes);

/* queries */
NN_PRIVATE bool nn_client_query_datagram(necpnet_client* client, const necpnet_address* from, const uint8_t* data,
                                         size_t bytes);
NN_PRIVATE void nn_client_query_resolved(necpnet_client* client, uint64_t request, const necpnet_address* addresses,
                                         int count, necpnet_result reason);
NN_PRIVATE void nn_client_run_queries(necpnet_client* client, uint64_t now_us);
NN_PRIVATE uint64_t nn_client_query_deadline_us(const necpnet_client* client);

/* nn_client_run_voice - what the voice says on CONTROL. */
NN_PRIVATE void nn_client_run_voice(necpnet_client* client);

/* nn_client_view_out - for what the view has to say. */
NN_PRIVATE nn_view_out nn_client_view_out(necpnet_client* client);

/* nn_client_set_state_sink - STATE frames go there instead of config.view (a runner). */
NN_PRIVATE void nn_client_set_state_sink(necpnet_client* client, const nn_state_sink* sink);

#endif
