/* identity.h - who a JWT says that somebody is. */
#ifndef SERVER_IDENTITY_H
#define SERVER_IDENTITY_H

#include "config.h"

#define IDENTITY_JWT_BYTES_MAX 8191
#define IDENTITY_LEEWAY_S 30 /* by which the clocks of issuer and server may differ, for nbf alone */

typedef struct identity {
    char subject[256];
    char issuer[256]; /* "" if none */
    char name[64];    /* claim "name", shortened; "" if none or not printable */
    uint64_t expires_us;
} identity;

/* identity_verify - whether the JWT is signed with settings->jwt_secret by HS256, and holds now.
 *
 *   wall_us   microseconds since 1970.
 *   out_why   always set: the reason, for the one who showed the JWT.
 *
 * Returns  OK | ERR_TOKEN_INVALID | ERR_TOKEN_EXPIRED | ERR_TOKEN_FOREIGN (issuer, audience) | ERR_UNSUPPORTED (no secret is
 *          configured, or built without libjwt). Any thread.
 */
necpnet_result identity_verify(const config* settings, const char* jwt, uint64_t wall_us, identity* out,
                               const char** out_why);

/* identity_authorize - the necpnet_authorize of necpnet_server_config; user is a const config. */
necpnet_result identity_authorize(const char* credential, const necpnet_address* from, necpnet_identity* out_identity,
                                  void* user);

#endif
