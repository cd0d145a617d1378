/* sdp.h - the grammar of what WebRTC peers tell each other: session descriptions (RFC 8866) and ICE candidates (RFC 8839 5.1).
 * Whether it makes sense is the peers' to find out; what passes here is well-formed and bounded.
 */
#ifndef SERVER_VOICE_SDP_H
#define SERVER_VOICE_SDP_H

#include <stdbool.h>
#include <stddef.h>

#define SDP_BYTES_MAX 16384
#define SDP_LINE_BYTES_MAX 2048
#define SDP_MEDIA_MAX 16
#define SDP_CANDIDATE_BYTES_MAX 512

/* sdp_check - a description: lines that end with CRLF or LF, in their order.
 *
 *   why  what is wrong, with the line's number; written on failure. */
bool sdp_check(const char* sdp, char* why, size_t why_bytes);

/* sdp_check_candidate - "candidate:.."; "" is the end of candidates. */
bool sdp_check_candidate(const char* candidate, char* why, size_t why_bytes);

/* sdp_is_ufrag - 4 to 256 characters of ice-char. */
bool sdp_is_ufrag(const char* fragment);

#endif
