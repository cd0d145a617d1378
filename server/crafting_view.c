/* crafting_view - sessions as they are now, and when each of a queue will begin and end. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "crafting_inside.h"

/* ------------------------------------------------------------------------------------------------------- views -- */

/* When a player's sessions begin and end: slots are taken in the order of the queue. */
static void crafting_foresee(const crafting* at, const crafting_session* wanted, uint64_t now_us, crafting_view* view)
{
    uint64_t free_us[CRAFTING_SLOTS_MAX] = {0};
    uint32_t slots = 0;
    const crafting_session* session = wanted->player ? wanted->player->first : NULL;
    for (const crafting_session* one = session; one && slots < at->config.slots; one = one->later) {
        if (one->course.status == CRAFTING_ACTIVE || one->course.status == CRAFTING_PAUSED)
            free_us[slots++] = crafting_course_left_us(&one->course, now_us);
    }
    view->ends_in_us =
        crafting_course_has_ended(&wanted->course) ? 0 : crafting_course_left_us(&wanted->course, now_us);
    for (; session; session = session->later) {
        uint32_t soonest = 0;
        if (session->course.status != CRAFTING_QUEUED) continue;
        for (uint32_t i = 1; i < at->config.slots; i++) {
            if (free_us[i] < free_us[soonest]) soonest = i;
        }
        uint64_t begins_us = free_us[soonest], lasts_us = crafting_course_left_us(&session->course, now_us);
        uint64_t ends_us =
            begins_us == CRAFTING_UNKNOWN || lasts_us == CRAFTING_UNKNOWN ? CRAFTING_UNKNOWN : begins_us + lasts_us;
        free_us[soonest] = ends_us;
        view->queue_length++;
        if (session != wanted) continue;
        view->queue_position = view->queue_length;
        view->starts_in_us = begins_us;
        view->ends_in_us = ends_us;
    }
}

void crafting_fill_view(const crafting* at, const crafting_session* session, crafting_view* out)
{
    memset(out, 0, sizeof(*out));
    snprintf(out->id, sizeof(out->id), "%s", session->id);
    snprintf(out->recipe, sizeof(out->recipe), "%s", session->recipe);
    snprintf(out->player, sizeof(out->player), "%s", session->player ? session->player->name : "");
    out->course = session->course;
    out->order = session->order;
    out->created_us = session->created_us;
    out->ended_us = session->ended_us;
    out->material_version = session->material_version;
    out->material_count = session->material_count;
    if (session->material_count > 0)
        memcpy(out->materials, session->materials, session->material_count * sizeof(out->materials[0]));
    crafting_foresee(at, session, crafting_now(at), out);
}

bool crafting_find(crafting* at, const char* id, crafting_view* out_view)
{
    pthread_mutex_lock(&at->lock);
    const crafting_session* session = crafting_get(at, id);
    if (session) crafting_fill_view(at, session, out_view);
    pthread_mutex_unlock(&at->lock);
    return session != NULL;
}

uint32_t crafting_list(crafting* at, const char* player, int status, uint64_t after, crafting_view* views,
                       uint32_t views_max, bool* out_more)
{
    uint32_t count = 0;
    *out_more = false;
    pthread_mutex_lock(&at->lock);
    const crafting_player* whose = player ? crafting_get_player(at, player) : NULL;
    const crafting_session* session = whose ? whose->first : player ? NULL : at->first;
    for (; session && !*out_more; session = player ? session->later : session->next) {
        if (session->order <= after || (status >= 0 && (int)session->course.status != status)) continue;
        *out_more = count == views_max;
        if (count < views_max) crafting_fill_view(at, session, &views[count++]);
    }
    pthread_mutex_unlock(&at->lock);
    return count;
}

crafting_whose crafting_owner(crafting* at, const char* id, const char* player, uint64_t client_id)
{
    crafting_whose result = CRAFTING_MISSING;
    pthread_mutex_lock(&at->lock);
    const crafting_session* session = crafting_get(at, id);
    if (session) {
        bool own = strcmp(session->player->name, player) == 0 || (client_id && session->player->client_id == client_id);
        result = own ? CRAFTING_OWN : CRAFTING_FOREIGN;
    }
    pthread_mutex_unlock(&at->lock);
    return result;
}
