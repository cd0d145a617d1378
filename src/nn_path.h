/* nn_path - an address that a peer's packets began to come from, until it proves to be there (RFC 9000 8.2, 9.3).
 *
 * The path in use stays until the proof. What is sent meanwhile goes both ways, to the address under proof at most
 * NN_PATH_FACTOR times what came from it. The proof is the challenge's 8 bytes, sealed like everything else and come from
 * that very address: who only copies or forges packets has neither.
 */
#ifndef NN_PATH_H
#define NN_PATH_H

#include "nn_base.h"

#define NN_PATH_FACTOR 3u            /* RFC 9000 8.1 */
#define NN_PATH_LIFE_US 3000000u     /* RFC 9000 8.2.4: three probe timeouts of an unknown path */
#define NN_PATH_REPEAT_US_MIN 20000u /* between two challenges */

typedef struct nn_path {
    bool is_open;   /* an address is under proof */
    bool is_behind; /* something did not go there for want of budget */
    necpnet_address address;
    uint64_t challenge;
    uint64_t began_us;
    uint64_t until_us;
    uint64_t due_us; /* the next challenge */
    uint64_t challenged_us;
    uint32_t challenges; /* sent */
    uint64_t received_bytes;
    uint64_t sent_bytes;
} nn_path;

/* nn_path_begin - take the place of whatever was under proof.
 *
 *   challenge  not to be guessed by the peer.
 */
NN_PRIVATE void nn_path_begin(nn_path* path, const necpnet_address* address, uint64_t challenge, uint64_t now_us);
NN_PRIVATE void nn_path_end(nn_path* path);

/* nn_path_received - an authenticated packet came from there. */
NN_PRIVATE void nn_path_received(nn_path* path, size_t bytes);

/* nn_path_send - whether a packet of that size may go there; counts it if so, else remembers that one did not. */
NN_PRIVATE bool nn_path_send(nn_path* path, size_t bytes);

/* nn_path_wants_challenge - whether one of that many bytes is due and allowed; nn_path_challenged - it left. */
NN_PRIVATE bool nn_path_wants_challenge(const nn_path* path, size_t bytes, uint64_t now_us);
NN_PRIVATE void nn_path_challenged(nn_path* path, size_t bytes, uint64_t repeat_us, uint64_t now_us);

/* nn_path_is_answer - whether 8 bytes from an address prove the path. */
NN_PRIVATE bool nn_path_is_answer(const nn_path* path, const necpnet_address* from, uint64_t response);

/* nn_path_deadline_us - when something is due: a challenge of that many bytes, or the end; NN_NEVER. */
NN_PRIVATE uint64_t nn_path_deadline_us(const nn_path* path, size_t bytes);

/* nn_path_same_host - only the port differs: a NAT's new mapping; the way there is the same (RFC 9000 9.4). */
NN_PRIVATE bool nn_path_same_host(const necpnet_address* a, const necpnet_address* b);

#endif
