/* signals.h - one message of WebRTC signalling between two users of a channel, as the seed writes it:
 *
 *     {"type": "offer", "session_id": "..", "from_user_id": "..", "to_user_id": "..", "channel_id": "..",
 *      "offer": {"type": "offer", "sdp": "v=0.."}}
 *
 * type is offer, answer or candidate, and the description or candidate stands under that name.
 */
#ifndef SERVER_VOICE_SIGNALS_H
#define SERVER_VOICE_SIGNALS_H

#include "fields.h"
#include "text.h"

#define SIGNALS_PAYLOAD_BYTES_MAX 24576 /* of offer, answer or candidate as JSON */
#define SIGNALS_SESSION_BYTES_MAX 128
#define SIGNALS_TYPES "offer|answer|candidate"

typedef enum signal_type { SIGNAL_OFFER = 0, SIGNAL_ANSWER = 1, SIGNAL_CANDIDATE = 2, SIGNAL_TYPES = 3 } signal_type;

/* All views. */
typedef struct signal_message {
    signal_type type;
    const char* session_id;
    const char* from;
    const char* to;
    const char* channel;
    const cJSON* payload;
} signal_message;

/* signals_take - payload of the parts that came (NULL: not there), checked: the one that type names and no other, well-formed.
 * fault says what is wrong. */
bool signals_take(signal_message* message, const cJSON* offer, const cJSON* answer, const cJSON* candidate,
                  field_fault* fault);

/* signals_put - the message as JSON. */
void signals_put(text* out, const signal_message* message);

const char* signals_type_name(signal_type type);

#endif
