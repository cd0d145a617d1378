/* crafting_change - changes: planned under the lock of their player, written, then seen. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crafting_inside.h"
#include "tokens.h"

#define CRAFTING_STEPS_MAX (CRAFTING_SLOTS_MAX + 2) /* sessions that one change touches */
#define CRAFTING_SWEEP_US 10000000u

/* What is to be changed, before it is. */
typedef struct crafting_step {
    crafting_session* session;
    crafting_course course;
    uint64_t ended_us;
    crafting_happening what;
} crafting_step;

typedef struct crafting_plan {
    crafting_player* player;
    crafting_session* added;      /* is in no list yet */
    crafting_material* materials; /* of the first step, new; NULL: as they were */
    uint32_t changed;             /* which of them */
    int count;
    crafting_step steps[CRAFTING_STEPS_MAX];
} crafting_plan;

/* ------------------------------------------------------------------------------------------------------ courses -- */

uint64_t crafting_now(const crafting* at)
{
    return at->config.now_us ? at->config.now_us(at->config.user) : necpnet_time_us() + at->offset_us;
}

uint64_t crafting_work_at(const crafting_course* course, uint64_t now_us)
{
    if (course->status != CRAFTING_ACTIVE || now_us <= course->at_us) return course->work_us;
    uint64_t passed_us = now_us - course->at_us;
    uint64_t left_us = course->duration_us - course->work_us;
    if (passed_us > UINT64_MAX / CRAFTING_SPEED_MAX) return course->duration_us;
    uint64_t done_us = passed_us * course->speed / 1000u;
    return done_us >= left_us ? course->duration_us : course->work_us + done_us;
}

uint32_t crafting_progress_ppm(const crafting_course* course, uint64_t now_us)
{
    return (uint32_t)(crafting_work_at(course, now_us) * CRAFTING_WHOLE_PPM / course->duration_us);
}

/* How long until it is complete, from now; UNKNOWN: it stands still. */
uint64_t crafting_course_left_us(const crafting_course* course, uint64_t now_us)
{
    if (course->status == CRAFTING_PAUSED || course->speed == 0) return CRAFTING_UNKNOWN;
    uint64_t left_us = course->duration_us - crafting_work_at(course, now_us);
    return (left_us * 1000u + course->speed - 1) / course->speed;
}

/* The same course, from now on. */
static crafting_course course_from(const crafting_course* course, uint64_t now_us)
{
    crafting_course moved = *course;
    moved.work_us = crafting_work_at(course, now_us);
    moved.at_us = now_us;
    moved.version++;
    return moved;
}

bool crafting_course_has_ended(const crafting_course* course)
{
    return course->status >= CRAFTING_COMPLETED;
}

/* -------------------------------------------------------------------------------------------------------- plans -- */

/* The course that a session will have. */
static const crafting_course* plan_course(const crafting_plan* plan, const crafting_session* session)
{
    for (int i = 0; i < plan->count; i++) {
        if (plan->steps[i].session == session) return &plan->steps[i].course;
    }
    return &session->course;
}

static void plan_add(crafting_plan* plan, crafting_session* session, const crafting_course* course,
                     crafting_happening what)
{
    crafting_step* step = &plan->steps[plan->count++];
    step->session = session;
    step->course = *course;
    step->what = what;
    step->ended_us = crafting_course_has_ended(course) ? course->at_us : 0;
}

/* Those that wait begin where there are slots, at this moment. The session that is added stands last. */
static void plan_promote(const crafting* at, crafting_plan* plan, uint64_t now_us)
{
    uint32_t taken = 0;
    crafting_session* session = plan->player ? plan->player->first : NULL;
    for (const crafting_session* one = session; one; one = one->later) {
        crafting_status status = plan_course(plan, one)->status;
        taken += status == CRAFTING_ACTIVE || status == CRAFTING_PAUSED;
    }
    for (; session && taken < at->config.slots; session = session->later) {
        if (plan_course(plan, session)->status != CRAFTING_QUEUED) continue;
        crafting_course course = course_from(&session->course, now_us);
        course.status = CRAFTING_ACTIVE;
        plan_add(plan, session, &course, CRAFTING_HAS_STARTED);
        taken++;
    }
    if (plan->added && taken < at->config.slots) {
        plan->steps[0].course.status = CRAFTING_ACTIVE;
        plan->steps[0].what = CRAFTING_HAS_STARTED;
    }
}

/* The writes of a plan; bodies are to be ended. False: no memory. */
static bool plan_put_writes(const crafting* at, const crafting_plan* plan, const char* player,
                            text bodies[CRAFTING_STEPS_MAX], store_write writes[CRAFTING_STEPS_MAX])
{
    bool whole = true;
    for (int i = 0; i < plan->count; i++) {
        const crafting_step* step = &plan->steps[i];
        const crafting_material* materials = i == 0 && plan->materials ? plan->materials : step->session->materials;
        text_begin_growing(&bodies[i]);
        crafting_put_record(&bodies[i], step->session, player, &step->course, materials, step->ended_us);
        whole = whole && !bodies[i].failed;
        writes[i] = (store_write){.expected = step->session == plan->added ? STORE_ABSENT : STORE_ANY,
                                  .record = {.collection = CRAFTING_COLLECTION,
                                             .id = step->session->id,
                                             .subjects = {player},
                                             .body = bodies[i].to,
                                             .body_bytes = bodies[i].bytes,
                                             .expires_us = step->ended_us ? step->ended_us + at->config.keep_us : 0}};
    }
    return whole;
}

/* Waits until the store has it. post: on a loop, which is told nothing. */
static crafting_result plan_write(const crafting* at, const crafting_plan* plan, const char* player, bool post)
{
    text bodies[CRAFTING_STEPS_MAX];
    store_write writes[CRAFTING_STEPS_MAX];
    desk_result result = DESK_DOWN;
    if (!at->config.records || plan->count == 0) return CRAFTING_OK;
    bool whole = plan_put_writes(at, plan, player, bodies, writes);
    if (whole && post) {
        result = store_post_all(at->config.records, writes, (uint32_t)plan->count, NULL, NULL, NULL);
    } else if (whole) {
        result = store_write_all(at->config.records, writes, (uint32_t)plan->count, NULL);
    }
    for (int i = 0; i < plan->count; i++) text_end(&bodies[i]);
    return result == DESK_OK ? CRAFTING_OK : result == DESK_CONFLICT ? CRAFTING_EXISTS : CRAFTING_STORE_AWAY;
}

/* Under the lock: what was planned is so now. */
static void plan_obey(crafting* at, crafting_plan* plan)
{
    bool moved = false;
    for (int i = 0; i < plan->count; i++) {
        const crafting_step* step = &plan->steps[i];
        crafting_session* session = step->session;
        bool was_open = !crafting_course_has_ended(&session->course);
        at->figures.sessions[session->course.status]--;
        at->figures.sessions[step->course.status]++;
        at->figures.completed += step->what == CRAFTING_HAS_COMPLETED;
        at->figures.changes++;
        moved = moved || session->course.status != step->course.status || session == plan->added;
        session->course = step->course;
        session->ended_us = step->ended_us;
        plan->player->open -= was_open && crafting_course_has_ended(&session->course);
        crafting_due_update(at, session);
        if (i == 0 && plan->materials) {
            crafting_material* old = session->materials;
            session->materials = plan->materials;
            session->material_version++;
            plan->materials = old;
        }
        crafting_tell(at, step->what, session->id, plan->player->name, i == 0 ? plan->changed : 0);
    }
    if (moved) crafting_tell(at, CRAFTING_HAS_A_QUEUE, "", plan->player->name, 0);
}

/* ------------------------------------------------------------------------------------------------------ changes -- */

static pthread_mutex_t* crafting_stripe(crafting* at, uint32_t hash)
{
    return &at->stripes[hash % CRAFTING_STRIPES];
}

/* Locks the player of a session, then all: nobody else changes that player's sessions. NULL: there is none, nothing is locked. */
static crafting_session* crafting_lock_session(crafting* at, const char* id, pthread_mutex_t** out_stripe)
{
    pthread_mutex_lock(&at->lock);
    crafting_session* session = crafting_get(at, id);
    uint32_t hash = session ? session->player->hash : 0;
    pthread_mutex_unlock(&at->lock);
    if (!session) return NULL;
    *out_stripe = crafting_stripe(at, hash);
    pthread_mutex_lock(*out_stripe);
    pthread_mutex_lock(&at->lock);
    session = crafting_get(at, id);
    if (session && session->player->hash == hash) return session;
    pthread_mutex_unlock(&at->lock);
    pthread_mutex_unlock(*out_stripe);
    return NULL;
}

/* Locked by crafting_lock_session: writes the plan, then obeys it; unlocks. */
static crafting_result crafting_carry_out(crafting* at, crafting_plan* plan, pthread_mutex_t* stripe,
                                          const crafting_session* session, crafting_view* out_view)
{
    pthread_mutex_unlock(&at->lock);
    crafting_result result = plan_write(at, plan, plan->player->name, false);
    pthread_mutex_lock(&at->lock);
    if (result == CRAFTING_OK) {
        plan_obey(at, plan);
        crafting_fill_view(at, session, out_view);
    }
    pthread_mutex_unlock(&at->lock);
    pthread_mutex_unlock(stripe);
    return result;
}

static crafting_session* crafting_make(crafting* at, const crafting_wish* wish, uint64_t now_us)
{
    uint8_t random[16];
    char id[CRAFTING_ID_BYTES];
    snprintf(id, sizeof(id), "%s", wish->id);
    if (!id[0]) {
        if (!tokens_random(random, sizeof(random))) return NULL;
        for (int i = 0; i < 16; i++) snprintf(id + i * 2, 3, "%02x", random[i]);
    }
    crafting_session* session = crafting_make_session(id, wish->recipe, wish->materials, wish->material_count);
    if (!session) return NULL;
    session->created_us = now_us;
    session->course = (crafting_course){.version = 1,
                                        .status = CRAFTING_QUEUED,
                                        .quantity = wish->quantity,
                                        .speed = wish->speed,
                                        .duration_us = (uint64_t)wish->duration_ms * wish->quantity * 1000u,
                                        .at_us = now_us};
    at->order = now_us > at->order ? now_us : at->order + 1;
    session->order = at->order;
    return session;
}

/* Under both locks: whether one more has a place. */
static crafting_result crafting_admit(crafting* at, const crafting_wish* wish, const crafting_player* player)
{
    if (wish->id[0] && crafting_get(at, wish->id)) return CRAFTING_EXISTS;
    if (at->count < at->config.sessions_max && player->open < CRAFTING_OF_PLAYER_MAX && crafting_due_reserve(at))
        return CRAFTING_OK;
    at->figures.refused++;
    return CRAFTING_LIMIT;
}

/* Locked as by crafting_lock_session; unlocks. Of two players' sessions with one id the store takes the first. */
static crafting_result crafting_add(crafting* at, const crafting_wish* wish, crafting_player* player,
                                    pthread_mutex_t* stripe, crafting_view* out_view)
{
    uint64_t now_us = crafting_now(at);
    crafting_plan plan = {.player = player};
    crafting_session* session = crafting_make(at, wish, now_us);
    crafting_result result = crafting_admit(at, wish, player);
    if (result == CRAFTING_OK && !session) result = CRAFTING_STORE_AWAY;
    if (result == CRAFTING_OK) {
        plan.added = session;
        plan_add(&plan, session, &session->course, CRAFTING_HAS_QUEUED);
        plan_promote(at, &plan, now_us);
        pthread_mutex_unlock(&at->lock);
        result = plan_write(at, &plan, player->name, false);
        pthread_mutex_lock(&at->lock);
        if (result == CRAFTING_OK && crafting_get(at, session->id)) result = CRAFTING_EXISTS; /* without a store */
        if (result == CRAFTING_OK) {
            crafting_link(at, session, player);
            plan_obey(at, &plan);
            at->figures.begun++;
            crafting_fill_view(at, session, out_view);
        }
    }
    if (result != CRAFTING_OK) crafting_free_session(session);
    crafting_drop_player(at, player);
    pthread_mutex_unlock(&at->lock);
    pthread_mutex_unlock(stripe);
    return result;
}

crafting_result crafting_begin(crafting* at, const crafting_wish* wish, crafting_view* out_view)
{
    pthread_mutex_t* stripe = crafting_stripe(at, crafting_hash(wish->player));
    pthread_mutex_lock(stripe);
    pthread_mutex_lock(&at->lock);
    crafting_player* player = crafting_open_player(at, wish->player);
    if (player) return crafting_add(at, wish, player, stripe, out_view);
    pthread_mutex_unlock(&at->lock);
    pthread_mutex_unlock(stripe);
    return CRAFTING_STORE_AWAY;
}

/* Whether it has ended just so already: asking twice is right. */
static bool crafting_is_done(const crafting_change* change, const crafting_course* course)
{
    return crafting_course_has_ended(course) && change->has_status && change->status == course->status &&
           !change->has_progress && !change->has_speed;
}

/* The course that a change makes. False: it cannot. */
static bool crafting_turn_course(const crafting_change* change, uint64_t now_us, crafting_course* course,
                                 crafting_happening* out_what)
{
    if (crafting_course_has_ended(course)) return false;
    crafting_status old = course->status;
    *course = course_from(course, now_us);
    *out_what = old == CRAFTING_QUEUED ? CRAFTING_HAS_QUEUED : CRAFTING_HAS_MOVED;
    if (change->has_speed) course->speed = change->speed;
    if (change->has_progress)
        course->work_us = (uint64_t)((double)course->duration_us * change->progress_ppm / CRAFTING_WHOLE_PPM);
    if (!change->has_status) return true;
    if (old == CRAFTING_QUEUED && change->status == CRAFTING_PAUSED) return false;
    if (old != CRAFTING_QUEUED || change->status != CRAFTING_ACTIVE) course->status = change->status;
    if (change->status == CRAFTING_COMPLETED) course->work_us = course->duration_us;
    if (crafting_course_has_ended(course))
        *out_what = change->status == CRAFTING_COMPLETED ? CRAFTING_HAS_COMPLETED : CRAFTING_HAS_ENDED;
    return true;
}

crafting_result crafting_apply(crafting* at, const char* id, const crafting_change* change, crafting_view* out_view)
{
    pthread_mutex_t* stripe = NULL;
    crafting_happening what = CRAFTING_HAS_MOVED;
    crafting_session* session = crafting_lock_session(at, id, &stripe);
    if (!session) return CRAFTING_NOT_FOUND;
    uint64_t now_us = crafting_now(at);
    crafting_plan plan = {.player = session->player};
    crafting_course course = session->course;
    if (crafting_is_done(change, &course)) {
        crafting_fill_view(at, session, out_view);
        pthread_mutex_unlock(&at->lock);
        pthread_mutex_unlock(stripe);
        return CRAFTING_OK;
    }
    if (!crafting_turn_course(change, now_us, &course, &what)) {
        crafting_fill_view(at, session, out_view);
        pthread_mutex_unlock(&at->lock);
        pthread_mutex_unlock(stripe);
        return CRAFTING_ENDED;
    }
    plan_add(&plan, session, &course, what);
    plan_promote(at, &plan, now_us);
    return crafting_carry_out(at, &plan, stripe, session, out_view);
}

/* The first name that the session does not use; NULL: all amounts are in place. */
static const char* crafting_put_amounts(crafting_plan* plan, const crafting_session* session,
                                        const crafting_material* supplied, uint32_t count)
{
    memcpy(plan->materials, session->materials, session->material_count * sizeof(*plan->materials));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t place = 0;
        while (place < session->material_count && strcmp(plan->materials[place].name, supplied[i].name) != 0) place++;
        if (place == session->material_count) return supplied[i].name;
        if (plan->materials[place].available != supplied[i].available) plan->changed |= UINT32_C(1) << place;
        plan->materials[place].available = supplied[i].available;
    }
    return NULL;
}

crafting_result crafting_supply(crafting* at, const char* id, const crafting_material* supplied, uint32_t count,
                                const char** out_name, crafting_view* out_view)
{
    pthread_mutex_t* stripe = NULL;
    crafting_session* session = crafting_lock_session(at, id, &stripe);
    crafting_result result = CRAFTING_NOT_FOUND;
    if (!session) return result;
    crafting_plan plan = {.player = session->player};
    plan.materials = malloc((session->material_count + 1) * sizeof(*plan.materials));
    const char* unknown = plan.materials ? crafting_put_amounts(&plan, session, supplied, count) : NULL;
    result = crafting_course_has_ended(&session->course) ? CRAFTING_ENDED
             : !plan.materials                           ? CRAFTING_STORE_AWAY
             : unknown                                   ? CRAFTING_NO_MATERIAL
                                                         : CRAFTING_OK;
    if (unknown && out_name) *out_name = unknown;
    crafting_fill_view(at, session, out_view);
    if (result == CRAFTING_OK && plan.changed) {
        plan_add(&plan, session, &session->course, CRAFTING_HAS_MATERIALS);
        result = crafting_carry_out(at, &plan, stripe, session, out_view);
    } else {
        pthread_mutex_unlock(&at->lock);
        pthread_mutex_unlock(stripe);
    }
    free(plan.materials);
    return result;
}

/* -------------------------------------------------------------------------------------------------------- end -- */

void crafting_forget(crafting* at, const char* name)
{
    pthread_mutex_t* stripe = crafting_stripe(at, crafting_hash(name));
    pthread_mutex_lock(stripe);
    pthread_mutex_lock(&at->lock);
    crafting_player* player = crafting_get_player(at, name);
    while (player && player->first) crafting_remove(at, player->first);
    if (player) crafting_drop_player(at, player);
    pthread_mutex_unlock(&at->lock);
    pthread_mutex_unlock(stripe);
}

/* Those that ended long ago; the store's records expire by themselves. */
static void crafting_sweep(crafting* at, uint64_t now_us)
{
    crafting_session* next;
    if (now_us < at->swept_us + CRAFTING_SWEEP_US) return;
    at->swept_us = now_us;
    for (crafting_session* session = at->first; session; session = next) {
        next = session->next;
        if (session->ended_us == 0 || now_us < session->ended_us + at->config.keep_us) continue;
        crafting_player* player = session->player;
        pthread_mutex_t* stripe = crafting_stripe(at, player->hash);
        if (pthread_mutex_trylock(stripe) != 0) continue;
        crafting_remove(at, session);
        crafting_drop_player(at, player);
        pthread_mutex_unlock(stripe);
    }
}

/* One session is complete, at the moment when it was; those behind it begin then. False: its player is locked. */
static bool crafting_complete(crafting* at, crafting_session* session)
{
    pthread_mutex_t* stripe = crafting_stripe(at, session->player->hash);
    if (pthread_mutex_trylock(stripe) != 0) return false;
    crafting_plan plan = {.player = session->player};
    crafting_course course = course_from(&session->course, session->due_us);
    course.work_us = course.duration_us;
    course.status = CRAFTING_COMPLETED;
    plan_add(&plan, session, &course, CRAFTING_HAS_COMPLETED);
    plan_promote(at, &plan, session->due_us);
    /* Where the store does not take it nothing is lost: the record that is there leads to the same. */
    if (plan_write(at, &plan, plan.player->name, true) != CRAFTING_OK) at->figures.unwritten++;
    plan_obey(at, &plan);
    pthread_mutex_unlock(stripe);
    return true;
}

uint64_t crafting_turn(crafting* at)
{
    pthread_mutex_lock(&at->lock);
    uint64_t now_us = crafting_now(at);
    bool goes_on = true;
    while (goes_on && at->due_count > 0 && at->due[0]->due_us <= now_us) goes_on = crafting_complete(at, at->due[0]);
    crafting_sweep(at, now_us);
    uint64_t next_us = at->due_count > 0 ? at->due[0]->due_us : CRAFTING_UNKNOWN;
    if (!goes_on) next_us = now_us + 1000u; /* somebody changes that player's sessions */
    pthread_mutex_unlock(&at->lock);
    return next_us;
}
