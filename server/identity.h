/* identity.h - who a JWT says that somebody is: HS256, RS256 and ES256 through libjwt, by keys from the configuration (keyring.h). */
#ifndef SERVER_IDENTITY_H
#define SERVER_IDENTITY_H

#include "keyring.h"
#include "text.h"

#define IDENTITY_JWT_BYTES_MAX 8191
#define IDENTITY_LEEWAY_S 30 /* by which the clocks of issuer and server may differ, for nbf and iat alone */
#define IDENTITY_SUBJECT_BYTES_MAX 255

/* Roles, as the claim "role" names them. Without the claim somebody is a player. */
enum {
    ROLE_ANYONE = 1u, /* nobody in particular */
    ROLE_PLAYER = 2u,
    ROLE_SERVICE = 4u,
    ROLE_ADMIN = 8u
};

typedef struct identity {
    unsigned role; /* ROLE_ANYONE: the rest is empty */
    char subject[IDENTITY_SUBJECT_BYTES_MAX + 1];
    char issuer[256];   /* "" if none */
    char name[64];      /* claim "name", shortened; "" if none or not printable */
    char jti[64];       /* "" if none */
    uint64_t client_id; /* as in connect tokens and sessions */
    uint64_t token_key; /* names this JWT for revocation */
    uint64_t issued_us; /* 0: not said */
    uint64_t expires_us;
} identity;

struct revocations;
struct players;

/* What identities are judged by. */
typedef struct identity_office {
    const config* settings;
    keyring* keys;
    struct revocations* revoked; /* NULL: none */
    struct players* names;       /* where subjects are noted; NULL: nowhere */
} identity_office;

/* identity_verify - whether the JWT is signed by a key of the ring with that key's algorithm, holds now and was not revoked.
 *
 *   wall_us   microseconds since 1970.
 *   out_why   always set: the reason, for the one who showed the JWT.
 *
 * Returns  OK | ERR_TOKEN_INVALID | ERR_TOKEN_EXPIRED | ERR_TOKEN_FOREIGN (issuer, audience) | ERR_TOKEN_REVOKED
 *          | ERR_UNSUPPORTED (no key is configured, or built without libjwt). Any thread.
 */
necpnet_result identity_verify(const identity_office* office, const char* jwt, uint64_t wall_us, identity* out,
                               const char** out_why);

/* identity_issue - a JWT of this server's own, signed by HS256 with jwt_secret.
 *
 *   role        one ROLE_ bit.
 *   lifetime_s  from now.
 *   out_jwt     free it.
 *
 * Returns  OK | ERR_UNSUPPORTED (no jwt_secret) | ERR_OUT_OF_MEMORY | ERR_NO_ENTROPY */
necpnet_result identity_issue(const identity_office* office, const identity* who, uint32_t lifetime_s, char** out_jwt,
                              identity* out_new);

/* identity_authorize - the necpnet_authorize of necpnet_server_config; user is an identity_office. */
necpnet_result identity_authorize(const char* credential, const necpnet_address* from, necpnet_identity* out_identity,
                                  void* user);

/* identity_shorten_address - as addresses are stored and logged: IPv4 without its last byte, IPv6 as its first 48 bits, no port. */
void identity_shorten_address(necpnet_address* address);

/* identity_put_address - so shortened, as text without a port. */
void identity_put_address(const necpnet_address* address, char* to, size_t to_bytes);

/* identity_role_name - "player". */
const char* identity_role_name(unsigned role);

/* identity_from_upgrade - the JWT of a WebSocket upgrade, since browsers cannot set headers: Authorization, access_token in the
 * query, or the subprotocol "necpnet.bearer.<JWT>" beside the real one.
 *
 * Returns  a copy (free it), or NULL: there is none, or more than one. */
char* identity_from_upgrade(const necpnet_web_request* request);

/* identity_upgrade_has - whether an upgrade shows a JWT in any of these ways. */
bool identity_upgrade_has(const necpnet_web_request* request);

#endif
