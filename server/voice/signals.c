/* signals - one message of WebRTC signalling. */
#include "signals.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sdp.h"

const char* signals_type_name(signal_type type)
{
    static const char* const names[SIGNAL_TYPES] = {"offer", "answer", "candidate"};
    return names[type];
}

static bool signals_refuse(field_fault* fault, const char* name, const char* reason, const char* message)
{
    *fault = (field_fault){.place = "body", .reason = reason};
    snprintf(fault->field, sizeof(fault->field), "%s", name);
    snprintf(fault->message, sizeof(fault->message), "%s: %s", name, message);
    return false;
}

static bool signals_take_description(const signal_message* message, field_fault* fault)
{
    char why[160];
    const char* name = signals_type_name(message->type);
    const cJSON* type = cJSON_GetObjectItemCaseSensitive(message->payload, "type");
    const cJSON* sdp = cJSON_GetObjectItemCaseSensitive(message->payload, "sdp");
    const cJSON* item;
    cJSON_ArrayForEach(item, message->payload)
    {
        if (item != type && item != sdp)
            return signals_refuse(fault, name, "unknown", "a description has type and sdp alone");
    }
    if (!cJSON_IsString(sdp)) return signals_refuse(fault, name, "missing", "sdp is wanted, a text");
    bool fits =
        cJSON_IsString(type) && (strcmp(type->valuestring, name) == 0 ||
                                 (message->type == SIGNAL_ANSWER && strcmp(type->valuestring, "pranswer") == 0));
    if (!fits) return signals_refuse(fault, name, "range", "its type is not that of the message");
    if (sdp_check(sdp->valuestring, why, sizeof(why))) return true;
    return signals_refuse(fault, name, strlen(sdp->valuestring) > SDP_BYTES_MAX ? "length" : "syntax", why);
}

static bool signals_take_candidate(const signal_message* message, field_fault* fault)
{
    char why[160];
    const cJSON* item;
    const cJSON* candidate = cJSON_GetObjectItemCaseSensitive(message->payload, "candidate");
    bool has_place = false;
    if (!cJSON_IsString(candidate))
        return signals_refuse(fault, "candidate", "missing", "candidate is wanted inside, a text");
    cJSON_ArrayForEach(item, message->payload)
    {
        bool is_mid = strcmp(item->string, "sdpMid") == 0, is_line = strcmp(item->string, "sdpMLineIndex") == 0;
        bool is_fragment = strcmp(item->string, "usernameFragment") == 0;
        if (item == candidate) continue;
        if (!is_mid && !is_line && !is_fragment)
            return signals_refuse(fault, "candidate", "unknown",
                                  "it has candidate, sdpMid, sdpMLineIndex and usernameFragment alone");
        if (cJSON_IsNull(item)) continue;
        if (is_mid && !(cJSON_IsString(item) && strlen(item->valuestring) <= 64 &&
                        text_is_printable(item->valuestring, strlen(item->valuestring))))
            return signals_refuse(fault, "candidate", "type", "sdpMid is a text of at most 64 bytes");
        if (is_line && !(cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble <= 65535 &&
                         item->valuedouble == (double)(int)item->valuedouble))
            return signals_refuse(fault, "candidate", "range", "sdpMLineIndex is 0 .. 65535");
        if (is_fragment && !(cJSON_IsString(item) && sdp_is_ufrag(item->valuestring)))
            return signals_refuse(fault, "candidate", "syntax", "usernameFragment is 4 to 256 ice-chars");
        has_place = has_place || !is_fragment;
    }
    if (!sdp_check_candidate(candidate->valuestring, why, sizeof(why)))
        return signals_refuse(fault, "candidate",
                              strlen(candidate->valuestring) > SDP_CANDIDATE_BYTES_MAX ? "length" : "syntax", why);
    if (candidate->valuestring[0] && !has_place)
        return signals_refuse(fault, "candidate", "missing", "sdpMid or sdpMLineIndex is wanted");
    return true;
}

bool signals_take(signal_message* message, const cJSON* offer, const cJSON* answer, const cJSON* candidate,
                  field_fault* fault)
{
    const cJSON* parts[SIGNAL_TYPES] = {offer, answer, candidate};
    for (int i = 0; i < SIGNAL_TYPES; i++) {
        if (parts[i] && i != (int)message->type)
            return signals_refuse(fault, signals_type_name((signal_type)i), "unknown",
                                  "it does not belong to a message of this type");
    }
    message->payload = parts[message->type];
    if (!message->payload) return signals_refuse(fault, signals_type_name(message->type), "missing", "it is missing");
    return message->type == SIGNAL_CANDIDATE ? signals_take_candidate(message, fault)
                                             : signals_take_description(message, fault);
}

static void signals_put_text(text* out, const char* name, const char* value)
{
    text_format(out, ",\"%s\":", name);
    text_json(out, value);
}

void signals_put(text* out, const signal_message* message)
{
    const cJSON* item;
    const char* name = signals_type_name(message->type);
    text_format(out, "{\"type\":\"%s\"", name);
    signals_put_text(out, "session_id", message->session_id);
    signals_put_text(out, "from_user_id", message->from);
    signals_put_text(out, "to_user_id", message->to);
    signals_put_text(out, "channel_id", message->channel);
    text_format(out, ",\"%s\":{", name);
    cJSON_ArrayForEach(item, message->payload)
    {
        text_put(out, item == message->payload->child ? "" : ",");
        text_json(out, item->string);
        text_put(out, ":");
        if (cJSON_IsNumber(item)) {
            text_format(out, "%d", item->valueint);
        } else {
            text_json(out, cJSON_IsString(item) ? item->valuestring : NULL);
        }
    }
    text_put(out, "}}");
}
