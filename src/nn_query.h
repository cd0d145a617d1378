/* nn_query - ask a server for its name and players without connecting: QUERY and ANSWER datagrams. */
#ifndef NN_QUERY_H
#define NN_QUERY_H

#include "nn_bytes.h"

#define NN_DATAGRAM_QUERY 0x10u /* first bytes, below NN_PACKET_FORM */
#define NN_DATAGRAM_ANSWER 0x11u
#define NN_QUERY_NAME_BYTES_MAX 63u
#define NN_QUERY_BYTES 128u /* padded: an answer is never longer */
#define NN_ANSWER_BYTES_MAX (1u + 1u + 8u + 4u + 4u + 1u + NN_QUERY_NAME_BYTES_MAX)

typedef struct nn_answer {
    uint64_t nonce; /* of the QUERY */
    uint32_t players;
    uint32_t players_max;
    char name[NN_QUERY_NAME_BYTES_MAX + 1];
} nn_answer;

/* nn_query_write - at least NN_QUERY_BYTES of room. Returns bytes, 0 if they do not fit. */
NN_PRIVATE size_t nn_query_write(uint8_t* data, size_t bytes_max, uint64_t nonce);

/* nn_query_read - a whole datagram.
 *
 *   why  on false: MALFORMED, NOT_PADDED or VERSION.
 */
NN_PRIVATE bool nn_query_read(const uint8_t* data, size_t bytes, uint64_t* out_nonce, necpnet_drop* why);

/* nn_answer_write - at least NN_ANSWER_BYTES_MAX of room; a longer name is cut. Returns bytes, 0 if they do not fit. */
NN_PRIVATE size_t nn_answer_write(uint8_t* data, size_t bytes_max, const nn_answer* answer);

/* nn_answer_read - a whole datagram. Control characters of the name become '?'. */
NN_PRIVATE bool nn_answer_read(const uint8_t* data, size_t bytes, nn_answer* out);

#endif
