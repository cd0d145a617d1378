/* guilds.h - a player's guilds and his rights there, from the guild service (partners.h), for threads that may wait.
 *
 *     GET  guild  /players/{sub}/guilds  {"guilds": [{"id": "..", "rights": ["chat", "voice", "voice_manage", ..]}, ..]}
 */
#ifndef SERVER_GUILDS_H
#define SERVER_GUILDS_H

#include "services.h"

typedef enum guilds_result {
    GUILDS_FOUND,
    GUILDS_NONE, /* no such service is configured */
    GUILDS_AWAY  /* it did not answer, or not what it should */
} guilds_result;

/* guilds_fetch - waits at most partner_timeout_ms. Never on a loop's thread.
 *
 *   out_guilds  cJSON_Delete it; NULL unless found. */
guilds_result guilds_fetch(const services* known, const char* subject, cJSON** out_guilds);

/* guilds_grant - whether the service's answer names a guild, and there a right; right NULL: membership alone. guilds NULL: no. */
bool guilds_grant(const cJSON* guilds, const char* guild, const char* right);

/* guilds_path - "/players/ann/guilds", percent-encoded. False: too long. */
bool guilds_path(const char* subject, const char* what, char* path, size_t path_bytes);

#endif
