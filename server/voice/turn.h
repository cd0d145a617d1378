/* turn.h - what a WebRTC client needs to find a way: STUN and TURN servers of the configuration, with credentials that hold for
 * turn_lifetime_s (draft-uberti-behave-turn-rest, coturn's use-auth-secret): the name is when they end and whose they are, the
 * password HMAC-SHA1 of the name under the secret that the TURN server shares.
 */
#ifndef SERVER_VOICE_TURN_H
#define SERVER_VOICE_TURN_H

#include "config.h"

#define TURN_NAME_BYTES 48
#define TURN_PASSWORD_BYTES 32

typedef struct turn_credentials {
    char name[TURN_NAME_BYTES]; /* "1763750000:0123456789abcdef" */
    char password[TURN_PASSWORD_BYTES];
    uint64_t until_s; /* since 1970 */
} turn_credentials;

/* turn_make - credentials of a user until a moment.
 *
 * Returns  OK | ERR_UNSUPPORTED (built without mbedTLS) */
necpnet_result turn_make(const char* secret, uint64_t client_id, uint64_t until_s, turn_credentials* out);

/* turn_put - {"ice_servers":[RTCIceServer, ..],"ttl_s":..,"expires_at":..}; the list fits RTCPeerConnection.
 *
 * Returns  OK | ERR_UNSUPPORTED */
necpnet_result turn_put(const config* settings, uint64_t client_id, uint64_t wall_us, text* out);

#endif
