/* nn_tls - TLS as a machine: bytes in, plaintext out, ciphertext out. Implemented by an adapter (nn_dep_mbedtls_tls);
 * without one every create returns ERR_UNSUPPORTED. */
#ifndef NN_TLS_H
#define NN_TLS_H

#include "nn_alloc.h"
#include "nn_log.h"

#define NN_TLS_PLAINTEXT_BYTES_MAX 16384 /* of one record (RFC 8446 5.1) */

typedef struct nn_tls_context nn_tls_context; /* certificate and key, or trusted roots: one serves many connections */
typedef struct nn_tls nn_tls;                 /* one connection */

/* nn_tls_context_create_server - from PEM texts; each must be followed by a NUL that is not counted.
 *
 * OK | ERR_UNSUPPORTED | ERR_OUT_OF_MEMORY | ERR_BAD_CERTIFICATE_FILE | ERR_NO_ENTROPY */
NN_PRIVATE necpnet_result nn_tls_context_create_server(nn_alloc* alloc, const necpnet_logger* logger,
                                                       const necpnet_entropy* entropy, const uint8_t* certificate,
                                                       size_t certificate_bytes, const uint8_t* key, size_t key_bytes,
                                                       nn_tls_context** out_context);

/* nn_tls_context_create_client - roots as PEM; insecure: verify nothing (roots may be NULL). */
NN_PRIVATE necpnet_result nn_tls_context_create_client(nn_alloc* alloc, const necpnet_logger* logger,
                                                       const necpnet_entropy* entropy, const uint8_t* roots,
                                                       size_t roots_bytes, bool insecure, nn_tls_context** out_context);

/* nn_tls_context_destroy - after all its connections. NULL does nothing. */
NN_PRIVATE void nn_tls_context_destroy(nn_tls_context* context);

/* Where ciphertext goes: takes all or fails. */
typedef necpnet_result (*nn_tls_send)(void* user, const uint8_t* data, size_t bytes);

/* nn_tls_create - one connection.
 *
 *   host  client: the name or numeric address that the certificate must have; server: NULL. Copied. */
NN_PRIVATE necpnet_result nn_tls_create(nn_tls_context* context, const char* host, nn_tls_send send, void* user,
                                        nn_tls** out_tls);

/* nn_tls_destroy - NULL does nothing; sends nothing. */
NN_PRIVATE void nn_tls_destroy(nn_tls* tls);

/* nn_tls_feed - give ciphertext: borrowed until nn_tls_read has returned 0 bytes. Not before the last one is used up. */
NN_PRIVATE void nn_tls_feed(nn_tls* tls, const uint8_t* data, size_t bytes);

/* nn_tls_read - go on with the handshake and take plaintext. Call until *out_bytes is 0. A client begins its handshake
 * with a call before anything was fed.
 *
 * OK | ERR_CLOSED (either side ended TLS in good order) | ERR_TLS | ERR_CERTIFICATE | ERR_OUT_OF_MEMORY
 *    | what send returned */
NN_PRIVATE necpnet_result nn_tls_read(nn_tls* tls, uint8_t* to, size_t bytes_max, size_t* out_bytes);

/* nn_tls_is_open - the handshake is done. */
NN_PRIVATE bool nn_tls_is_open(const nn_tls* tls);

/* nn_tls_write - encrypt and send. Only when open.
 *
 * OK | ERR_TLS | ERR_OUT_OF_MEMORY | what send returned */
NN_PRIVATE necpnet_result nn_tls_write(nn_tls* tls, const uint8_t* data, size_t bytes);

/* nn_tls_close - send close_notify. */
NN_PRIVATE void nn_tls_close(nn_tls* tls);

#endif
