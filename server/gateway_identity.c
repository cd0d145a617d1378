/* gateway_identity - who the client of a WebSocket is: a JWT in Authorization, in access_token of the query, or offered as the
 * subprotocol necpnet.bearer.JWT, because browsers cannot set headers (identity.h). In development anyone of this machine is who it says. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fields.h"
#include "gateway_inside.h"
#include "identity.h"
#include "log.h"
#include "tokens.h"

/* The value of a query's parameter, decoded. NULL: absent, or malformed. */
static char* identity_query(const char* query, const char* name)
{
    size_t name_bytes = strlen(name);
    while (*query) {
        size_t bytes = strcspn(query, "&");
        if (bytes > name_bytes && strncmp(query, name, name_bytes) == 0 && query[name_bytes] == '=') {
            return fields_decode(query + name_bytes + 1, bytes - name_bytes - 1, true);
        }
        query += bytes + (query[bytes] == '&');
    }
    return NULL;
}

/* A page of another site that was let in by a browser on this machine is no operator. */
static bool identity_is_foreign_page(const necpnet_web_request* request)
{
    static const char* const local[] = {"http://localhost",  "https://localhost", "http://127.0.0.1",
                                        "https://127.0.0.1", "http://[::1]",      "https://[::1]"};
    for (int i = 0; i < request->header_count; i++) {
        if (strcasecmp(request->headers[i].name, "Origin") != 0) continue;
        const char* origin = request->headers[i].value;
        for (size_t k = 0; k < sizeof(local) / sizeof(local[0]); k++) {
            size_t bytes = strlen(local[k]);
            if (strncasecmp(origin, local[k], bytes) == 0 && (origin[bytes] == 0 || origin[bytes] == ':')) return false;
        }
        return true;
    }
    return false;
}

/* Development: ?player=NAME&role=ROLE; a guest without. */
static const char* identity_make_up(const necpnet_web_request* request, identity* out, int* out_status)
{
    char* player = identity_query(request->query, "player");
    char* role = identity_query(request->query, "role");
    const char* why = NULL;
    uint64_t random = 0;
    out->role = ROLE_PLAYER;
    if (role && strcmp(role, "service") == 0) out->role = ROLE_SERVICE;
    if (role && strcmp(role, "admin") == 0) out->role = ROLE_ADMIN;
    if (identity_is_foreign_page(request)) out->role = ROLE_PLAYER;
    if (!player) {
        (void)tokens_random(&random, sizeof(random));
        snprintf(out->subject, sizeof(out->subject), "guest-%08" PRIx64, random & 0xffffffffu);
    } else if (strlen(player) > 0 && strlen(player) <= 63 && player[0] != '#' &&
               text_is_printable(player, strlen(player))) {
        snprintf(out->subject, sizeof(out->subject), "%s", player);
    } else {
        *out_status = 400;
        why = "player is a name of at most 63 bytes\n";
    }
    snprintf(out->issuer, sizeof(out->issuer), "necpnet development");
    out->client_id = necpnet_token_client_id(out->issuer, out->subject);
    free(player);
    free(role);
    return why;
}

const char* gateway_identify(const services* known, const necpnet_web_request* request, uint64_t wall_us, identity* out,
                             int* out_status)
{
    const char* why = "a JWT is wanted: Authorization: Bearer, access_token in the query, or the subprotocol "
                      "necpnet.bearer.JWT\n";
    char* jwt = identity_from_upgrade(request);
    memset(out, 0, sizeof(*out));
    out->role = ROLE_ANYONE;
    if (!jwt && known->settings->mode == CONFIG_DEVELOPMENT) {
        why = identity_make_up(request, out, out_status);
        if (!why) players_note(known->names, out->client_id, out->subject);
        return why;
    }
    *out_status = 401;
    if (!jwt) return why;
    necpnet_result result = identity_verify(&known->identities, jwt, wall_us, out, &why);
    free(jwt);
    if (result == NECPNET_OK) return NULL;
    LOG(NECPNET_LOG_WARNING, "jwt_refused", why, LOG_END);
    *out_status = result == NECPNET_ERR_UNSUPPORTED ? 501 : 401;
    return why;
}
