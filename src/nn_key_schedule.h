/* nn_key_schedule - the keys of a connection, from the transcript, the pre-shared key and the X25519 secret.
 *
 *   T1 = hash(AUTH without cookie, before its sealed part)         setup = extract(salt T1, psk)
 *   T2 = hash(T1, AUTH's SETUP tag, ACCEPT before its sealed part) master = extract(salt T2, psk, X25519 secret)
 *   a message key  = expand(setup or master, label)                "setup", "refuse" / "accept"
 *   a packet key   = expand(traffic secret, "packet")              traffic secret = expand(master, "client" / "server")
 *   the next phase = expand(traffic secret, "phase")
 *   the ticket in ACCEPT has the secret expand(master, "ticket")
 *
 * After RESUME: T1 = hash(RESUME before its sealed part), setup = extract(T1, ticket's secret), and the master comes of
 * the ticket's secret alone: both nonces are in T2.
 *
 * hash, extract and expand are SHA-256 and HKDF (RFC 5869), or for suite NONE SipHash-2-4-128 (no secrecy; tests).
 */
#ifndef NN_KEY_SCHEDULE_H
#define NN_KEY_SCHEDULE_H

#include "nn_aead.h"
#include "nn_crypto.h"
#include "nn_token.h"

#define NN_SECRET_BYTES 32u

/* nn_key_hash - of the spans in order. */
NN_PRIVATE necpnet_result nn_key_hash(uint32_t suite, const nn_span* spans, size_t span_count,
                                      uint8_t out[NN_SECRET_BYTES]);

/* nn_key_extract - one secret from several. */
NN_PRIVATE necpnet_result nn_key_extract(uint32_t suite, const uint8_t salt[NN_SECRET_BYTES], const nn_span* secrets,
                                         size_t secret_count, uint8_t out[NN_SECRET_BYTES]);

/* nn_key_expand - a secret by label. */
NN_PRIVATE necpnet_result nn_key_expand(uint32_t suite, const uint8_t secret[NN_SECRET_BYTES], const char* label,
                                        void* out, size_t out_bytes);

/* One message in a handshake: its key is used once, with number (0 but for REFUSE). */
NN_PRIVATE necpnet_result nn_key_message_seal(uint32_t suite, const uint8_t secret[NN_SECRET_BYTES], const char* label,
                                              uint64_t number, const uint8_t* header, size_t header_bytes,
                                              uint8_t* data, size_t bytes, uint8_t tag[NN_AEAD_TAG_BYTES]);
NN_PRIVATE bool nn_key_message_open(uint32_t suite, const uint8_t secret[NN_SECRET_BYTES], const char* label,
                                    uint64_t number, const uint8_t* header, size_t header_bytes, uint8_t* data,
                                    size_t bytes, const uint8_t tag[NN_AEAD_TAG_BYTES]);

/* What a connection gets: one key a direction, and the traffic secrets that later phases come from. */
typedef struct nn_connection_keys {
    nn_aead* send; /* taken by whoever gets the struct */
    nn_aead* receive;
    uint32_t suite;
    uint8_t send_secret[NN_SECRET_BYTES];
    uint8_t receive_secret[NN_SECRET_BYTES];
} nn_connection_keys;

/* nn_key_connection - OK | ERR_OUT_OF_MEMORY | ERR_UNSUPPORTED | ERR_INTERNAL; on failure nothing is held. */
NN_PRIVATE necpnet_result nn_key_connection(nn_alloc* alloc, uint32_t suite, const uint8_t master[NN_SECRET_BYTES],
                                            bool is_server, nn_connection_keys* out_keys);

/* nn_key_packet - the AEAD of a traffic secret. */
NN_PRIVATE necpnet_result nn_key_packet(nn_alloc* alloc, uint32_t suite, const uint8_t traffic[NN_SECRET_BYTES],
                                        nn_aead** out_aead);

/* nn_key_next_phase - replace a traffic secret by the one of the next key phase. */
NN_PRIVATE necpnet_result nn_key_next_phase(uint32_t suite, uint8_t traffic[NN_SECRET_BYTES]);

/* nn_key_of_passphrase - the pre-shared key of open mode. Takes tens of milliseconds: once an endpoint. NULL or "":
 * zeroes. */
NN_PRIVATE necpnet_result nn_key_of_passphrase(const char* passphrase, uint8_t out_psk[NN_PSK_BYTES]);

#endif
