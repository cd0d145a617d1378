/* rules - who may do what to whose object. */
#include "rules.h"

#include <string.h>

#include "services.h"
#include "voice/switchboard.h"

rule_verdict rules_judge_role(const rule* asked, const identity* who)
{
    if (asked->roles & (ROLE_ANYONE | who->role)) return RULE_ALLOWED;
    return who->role == ROLE_ANYONE ? RULE_NO_IDENTITY : RULE_FORBIDDEN;
}

rule_verdict rules_judge_object(const struct services* known, const rule* asked, const identity* who,
                                const char* object)
{
    if (!asked->owner || who->role != ROLE_PLAYER) return RULE_ALLOWED;
    switch (asked->owner(known, who, object)) {
    case RULE_OBJECT_OWN: return RULE_ALLOWED;
    case RULE_OBJECT_FOREIGN: return RULE_FORBIDDEN;
    case RULE_OBJECT_MISSING: return RULE_MISSING;
    default: return RULE_UNAVAILABLE;
    }
}

rule_object rules_owner_player(const struct services* known, const identity* who, const char* object)
{
    (void)known;
    return strcmp(who->subject, object) == 0 ? RULE_OBJECT_OWN : RULE_OBJECT_FOREIGN;
}

rule_object rules_owner_channel(const struct services* known, const identity* who, const char* object)
{
    switch_call call = {.role = who->role, .client_id = who->client_id, .subject = who->subject, .worker = -1};
    switch (switchboard_see(known->switchboard, &call, object)) {
    case SWITCH_MISSING: return RULE_OBJECT_MISSING;
    case SWITCH_FORBIDDEN: return RULE_OBJECT_FOREIGN;
    default: return RULE_OBJECT_OWN;
    }
}
