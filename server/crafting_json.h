/* crafting_json.h - crafting sessions as JSON, for REST, WebSockets and JSON-RPC alike; names of schemas as in openapi.yaml. */
#ifndef SERVER_CRAFTING_JSON_H
#define SERVER_CRAFTING_JSON_H

#include "crafting.h"

/* crafting_put_session - CraftingSession: who, what, CraftingProgressData, MaterialNotification of each, QueueStatus. */
void crafting_put_session(text* out, const crafting_view* view, uint64_t now_us);

/* crafting_put_progress - CraftingProgressData; part: what time alone changes. */
void crafting_put_progress(text* out, const crafting_course* course, uint64_t now_us, bool part);

/* crafting_put_materials - a list of MaterialNotification: those with a bit in changed. */
void crafting_put_materials(text* out, const crafting_material* materials, uint32_t count, uint32_t changed);

/* crafting_put_queue - QueueStatusData of a player. */
void crafting_put_queue(text* out, crafting* at, const char* player);

/* crafting_put_message_head - {"type":..,"session_id":..,"sequence":..,"timestamp_us":..,"full":.. */
void crafting_put_message_head(text* out, const char* type, const char* key, const char* id, uint64_t sequence,
                               uint64_t now_us, bool full);

#endif
