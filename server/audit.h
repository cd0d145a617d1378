/* audit.h - what happened that concerns safety: one line in the log and one record in the store, kept for audit_days. Addresses are
 * shortened; who did it is named in the store, never in the log. One address fills neither: see LIMIT_AUDIT.
 */
#ifndef SERVER_AUDIT_H
#define SERVER_AUDIT_H

#include "rest.h"

#define AUDIT_COLLECTION "audit"

/* audit_write - an event, while a request is served. Does not wait.
 *
 *   event   "credential_refused"; for machines, never changes.
 *   detail  for people; static or of the request; no secret, no id of a player.
 *   object  the player whom it was done to, or NULL. */
void audit_write(const services* known, const rest_request* request, const char* event, const char* detail,
                 const char* object);

/* audit_shorten - an address as it is logged and stored: without what tells one machine of a network from others. */
const char* audit_shorten(const char* address, char* to, size_t to_bytes);

#endif
