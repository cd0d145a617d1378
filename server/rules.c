/* rules - who may do what to whose object. */
#include "rules.h"

#include <string.h>

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
