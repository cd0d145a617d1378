/* nn_upgrade - the opening handshake of WebSocket (RFC 6455 4), both sides. */
#ifndef NN_UPGRADE_H
#define NN_UPGRADE_H

#include "nn_http.h"

#define NN_UPGRADE_NONCE_BYTES 16
#define NN_UPGRADE_KEY_BYTES 24    /* base64 of the nonce, without NUL */
#define NN_UPGRADE_ACCEPT_BYTES 28 /* base64 of SHA-1, without NUL */

/* nn_upgrade_accept - the answer to a key. */
NN_PRIVATE void nn_upgrade_accept(const char key[NN_UPGRADE_KEY_BYTES], char accept[NN_UPGRADE_ACCEPT_BYTES + 1]);

/* nn_upgrade_check_request - is it an upgrade to WebSocket?
 *
 * Returns 0: it is, and *out_key views its key. 1: it is a request for something else. Otherwise the status to answer:
 * 400 (it wants WebSocket and breaks RFC 6455 4.2.1), 426 (another version: answer "Sec-WebSocket-Version: 13").
 */
NN_PRIVATE int nn_upgrade_check_request(const nn_http_head* head, const char** out_key);

/* nn_upgrade_join_subprotocols - all that was offered as one list; the headers of that name joined by ", ".
 *
 * Returns false if it does not fit or is no list of tokens without duplicates (RFC 6455 4.1).
 */
NN_PRIVATE bool nn_upgrade_join_subprotocols(const nn_http_head* head, char* to, size_t bytes_max);

/* nn_upgrade_is_offered - whether a list of subprotocols holds this one (with case). */
NN_PRIVATE bool nn_upgrade_is_offered(const char* list, const char* subprotocol, size_t bytes);

/* nn_upgrade_first - the first of a list and its length; NULL if it is empty. */
NN_PRIVATE const char* nn_upgrade_first(const char* list, size_t* out_bytes);

/* nn_upgrade_write_answer - "101 Switching Protocols".
 *
 *   subprotocol, headers  NULL: none.
 *   extensions            "" or NULL: none.
 *
 * Returns its length, 0 if it does not fit.
 */
NN_PRIVATE size_t nn_upgrade_write_answer(char* to, size_t bytes_max, const char key[NN_UPGRADE_KEY_BYTES],
                                          const char* subprotocol, const char* extensions, const char* headers);

/* nn_upgrade_write_request - the client's head. host is as in the Host header, path with its query.
 *
 * Returns its length, 0 if it does not fit.
 */
NN_PRIVATE size_t nn_upgrade_write_request(char* to, size_t bytes_max, const char* host, const char* path,
                                           const char key[NN_UPGRADE_KEY_BYTES], const char* subprotocols,
                                           const char* extensions);

/* nn_upgrade_check_answer - the server's head.
 *
 *   subprotocols  what was offered, NULL if nothing.
 *
 * Extensions are nn_extension's.
 * Returns OK | ERR_UPGRADE_REFUSED (another status) | ERR_PROTOCOL (101, but against RFC 6455 4.1); *out_subprotocol
 * views the agreed one, "" if none.
 */
NN_PRIVATE necpnet_result nn_upgrade_check_answer(const nn_http_head* head, const char key[NN_UPGRADE_KEY_BYTES],
                                                  const char* subprotocols, const char** out_subprotocol);

#endif
