/* partners - services behind this one, asked by libcurl. */
#include "partners.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

#if SERVER_WITH_CURL
#include <curl/curl.h>
#endif

static const char* const partner_names[PARTNER_COUNT] = {"crafting", "player", "guild", "analytics", "notification"};

typedef struct partner_job {
    struct partner_job* next;
    partner who;
    char* url;
    char* body; /* NULL: GET */
    size_t body_bytes;
    necpnet_loop* loop; /* NULL: nobody waits, or done is called here */
    void (*done)(const partner_answer* answer, void* user);
    void* user;
    text answer;
    int status;
    partner_result result;
} partner_job;

/* What is known of one of them; behind the lock. */
typedef struct partner_state {
    const char* url; /* "" if none */
    uint32_t failures;
    uint64_t open_until_us; /* 0: closed */
    bool trying;            /* one is under way to see whether it answers again */
    partner_figures figures;
} partner_state;

struct partners {
    const config* settings;
    bus* events;
    pthread_mutex_t lock;
    pthread_t thread;
    bool has_thread;
    bool stopping;
    partner_job* first;
    partner_job** end;
    uint32_t count; /* queued and under way */
    partner_state states[PARTNER_COUNT];
#if SERVER_WITH_CURL
    CURLM* multi;
    struct curl_slist* headers;
    uint32_t under_way;
#endif
};

const char* partners_name(partner who)
{
    return partner_names[who];
}

bool partners_has(const partners* all, partner who)
{
    return all && all->states[who].url[0] != 0;
}

static bool partner_is_bus(const partner_state* state)
{
    return strcmp(state->url, "bus:") == 0;
}

static void partner_free(partner_job* job)
{
    text_end(&job->answer);
    free(job->url);
    free(job->body);
    free(job);
}

/* Whether one may be asked now. Behind the lock. */
static partner_result partner_admit(partners* all, partner_state* state, uint64_t now_us)
{
    if (all->stopping || !all->has_thread) return PARTNER_NONE;
    if (all->count >= PARTNERS_QUEUE_MAX) {
        state->figures.refused++;
        return PARTNER_BUSY;
    }
    if (state->open_until_us && (now_us < state->open_until_us || state->trying)) {
        state->figures.refused++;
        return PARTNER_OPEN;
    }
    state->trying = state->open_until_us != 0;
    return PARTNER_OK;
}

#if SERVER_WITH_CURL

/* On the loop. */
static void partner_deliver(void* user)
{
    partner_job* job = user;
    partner_answer answer = {.result = job->result,
                             .status = job->status,
                             .body = job->answer.to ? job->answer.to : "",
                             .bytes = job->answer.bytes};
    job->done(&answer, job->user);
    partner_free(job);
}

/* Success closes the breaker, failures in a row open it. Behind the lock. */
static void partner_judge(partner_state* state, partner who, bool failed, uint64_t now_us)
{
    state->trying = false;
    if (!failed) {
        if (state->open_until_us) LOG(NECPNET_LOG_INFO, "partner_back", partner_names[who], LOG_END);
        state->failures = 0;
        state->open_until_us = 0;
        return;
    }
    state->figures.failed++;
    if (++state->failures < PARTNERS_FAILURES_MAX) return;
    if (!state->open_until_us) {
        LOG(NECPNET_LOG_WARNING, "partner_away", partner_names[who], LOG_NUMBER("failures", state->failures), LOG_END);
    }
    state->open_until_us = now_us + PARTNERS_BREAK_US;
}

static size_t partner_take(char* data, size_t one, size_t count, void* user)
{
    partner_job* job = user;
    size_t bytes = one * count;
    if (job->answer.bytes + bytes > PARTNERS_ANSWER_BYTES_MAX) return 0; /* ends the transfer */
    text_put_bytes(&job->answer, data, bytes);
    return job->answer.failed ? 0 : bytes;
}

static bool partner_begin(partners* all, partner_job* job)
{
    CURL* request = curl_easy_init();
    if (!request) return false;
    bool right = curl_easy_setopt(request, CURLOPT_URL, job->url) == CURLE_OK &&
                 curl_easy_setopt(request, CURLOPT_PRIVATE, job) == CURLE_OK &&
                 curl_easy_setopt(request, CURLOPT_HTTPHEADER, all->headers) == CURLE_OK &&
                 curl_easy_setopt(request, CURLOPT_WRITEFUNCTION, partner_take) == CURLE_OK &&
                 curl_easy_setopt(request, CURLOPT_WRITEDATA, job) == CURLE_OK &&
                 curl_easy_setopt(request, CURLOPT_TIMEOUT_MS, (long)all->settings->partner_timeout_ms) == CURLE_OK &&
                 curl_easy_setopt(request, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
                 curl_easy_setopt(request, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    if (right && job->body) {
        right = curl_easy_setopt(request, CURLOPT_POSTFIELDSIZE, (long)job->body_bytes) == CURLE_OK &&
                curl_easy_setopt(request, CURLOPT_POSTFIELDS, job->body) == CURLE_OK;
    }
    if (right) right = curl_multi_add_handle(all->multi, request) == CURLM_OK;
    if (!right) curl_easy_cleanup(request);
    return right;
}

static void partner_finish(partners* all, partner_job* job, bool answered)
{
    bool failed = !answered || job->status >= 500;
    job->result = !answered ? PARTNER_FAILED : job->status >= 200 && job->status < 300 ? PARTNER_OK : PARTNER_REFUSED;
    pthread_mutex_lock(&all->lock);
    all->count--;
    partner_judge(&all->states[job->who], job->who, failed, necpnet_time_us());
    if (answered) all->states[job->who].figures.answered++;
    pthread_mutex_unlock(&all->lock);
    if (job->done && !job->loop) {
        partner_deliver(job);
    } else if (!job->loop || necpnet_loop_post(job->loop, partner_deliver, job) != NECPNET_OK) {
        partner_free(job);
    }
}

static void partner_collect(partners* all)
{
    CURLMsg* message;
    int left;
    while ((message = curl_multi_info_read(all->multi, &left)) != NULL) {
        CURL* request = message->easy_handle;
        char* job = NULL;
        long status = 0;
        bool answered = message->data.result == CURLE_OK;
        (void)curl_easy_getinfo(request, CURLINFO_PRIVATE, &job);
        (void)curl_easy_getinfo(request, CURLINFO_RESPONSE_CODE, &status);
        (void)curl_multi_remove_handle(all->multi, request);
        curl_easy_cleanup(request);
        all->under_way--;
        ((partner_job*)(void*)job)->status = answered ? (int)status : 0;
        partner_finish(all, (partner_job*)(void*)job, answered);
    }
}

static partner_job* partner_next(partners* all, bool* out_stopping)
{
    pthread_mutex_lock(&all->lock);
    partner_job* job = all->first;
    *out_stopping = all->stopping;
    if (job && (all->under_way < PARTNERS_AT_ONCE_MAX || all->stopping)) {
        all->first = job->next;
        if (!all->first) all->end = &all->first;
    } else {
        job = NULL;
    }
    pthread_mutex_unlock(&all->lock);
    return job;
}

static void* partners_run(void* user)
{
    partners* all = user;
    uint64_t give_up_us = 0;
    for (;;) {
        bool stopping = false;
        partner_job* job;
        int running = 0;
        while ((job = partner_next(all, &stopping)) != NULL) {
            if (partner_begin(all, job)) {
                all->under_way++;
            } else {
                partner_finish(all, job, false);
            }
        }
        if (stopping && !give_up_us) give_up_us = necpnet_time_us() + 1000000; /* what was told last has a second */
        if (stopping && (all->under_way == 0 || necpnet_time_us() > give_up_us)) break;
        if (curl_multi_perform(all->multi, &running) != CURLM_OK) break;
        partner_collect(all);
        (void)curl_multi_poll(all->multi, NULL, 0, stopping ? 50 : 1000, NULL);
    }
    return NULL;
}

static necpnet_result partners_start(partners* all)
{
    char header[1200];
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return NECPNET_ERR_OUT_OF_MEMORY;
    all->multi = curl_multi_init();
    all->headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (!all->multi || !all->headers) return NECPNET_ERR_OUT_OF_MEMORY;
    if (all->settings->partner_token[0]) {
        text line;
        text_begin(&line, header, sizeof(header));
        text_format(&line, "Authorization: Bearer %s", all->settings->partner_token);
        struct curl_slist* longer = curl_slist_append(all->headers, header);
        memset(header, 0, sizeof(header));
        if (!longer) return NECPNET_ERR_OUT_OF_MEMORY;
        all->headers = longer;
    }
    all->has_thread = pthread_create(&all->thread, NULL, partners_run, all) == 0;
    return all->has_thread ? NECPNET_OK : NECPNET_ERR_IO;
}

static void partners_wake(partners* all)
{
    (void)curl_multi_wakeup(all->multi);
}

static void partners_end(partners* all)
{
    if (all->multi) (void)curl_multi_cleanup(all->multi);
    curl_slist_free_all(all->headers);
}

#else

static necpnet_result partners_start(partners* all)
{
    (void)all;
    return NECPNET_ERR_UNSUPPORTED;
}

static void partners_wake(partners* all)
{
    (void)all;
}

static void partners_end(partners* all)
{
    (void)all;
}

#endif

necpnet_result partners_create(const config* settings, bus* events, partners** out_all)
{
    const char* urls[PARTNER_COUNT] = {settings->partner_crafting_url, settings->partner_player_url,
                                       settings->partner_guild_url, settings->partner_analytics_url,
                                       settings->partner_notification_url};
    partners* all = calloc(1, sizeof(*all));
    bool wants_http = false;
    if (!all) return NECPNET_ERR_OUT_OF_MEMORY;
    all->settings = settings;
    all->events = events;
    all->end = &all->first;
    pthread_mutex_init(&all->lock, NULL);
    for (int i = 0; i < PARTNER_COUNT; i++) {
        all->states[i].url = urls[i];
        if (urls[i][0] && !partner_is_bus(&all->states[i])) wants_http = true;
    }
    necpnet_result result = wants_http ? partners_start(all) : NECPNET_OK;
    if (result != NECPNET_OK) {
        partners_destroy(all);
        return result;
    }
    *out_all = all;
    return NECPNET_OK;
}

void partners_stop(partners* all)
{
    if (!all || !all->has_thread) return;
    pthread_mutex_lock(&all->lock);
    all->stopping = true;
    pthread_mutex_unlock(&all->lock);
    partners_wake(all);
    pthread_join(all->thread, NULL);
    all->has_thread = false;
}

void partners_destroy(partners* all)
{
    if (!all) return;
    partners_stop(all);
    partners_end(all);
    while (all->first) { /* nobody waits any more: REST's threads have ended before */
        partner_job* job = all->first;
        all->first = job->next;
        partner_free(job);
    }
    pthread_mutex_destroy(&all->lock);
    free(all);
}

/* Takes the job over, also when it refuses. */
static partner_result partner_post(partners* all, partner_job* job)
{
    partner_state* state = &all->states[job->who];
    pthread_mutex_lock(&all->lock);
    partner_result result = partner_admit(all, state, necpnet_time_us());
    if (result == PARTNER_OK) {
        state->figures.asked++;
        all->count++;
        *all->end = job;
        all->end = &job->next;
    }
    pthread_mutex_unlock(&all->lock);
    if (result == PARTNER_OK) {
        partners_wake(all);
    } else {
        partner_free(job);
    }
    return result;
}

static partner_job* partner_make(const partners* all, partner who, const char* path)
{
    partner_job* job = calloc(1, sizeof(*job));
    const char* base = all->settings ? all->states[who].url : "";
    size_t bytes = strlen(base) + strlen(path) + 1;
    if (!job) return NULL;
    job->who = who;
    job->url = malloc(bytes);
    text_begin_growing(&job->answer);
    if (!job->url || job->answer.failed) {
        partner_free(job);
        return NULL;
    }
    memcpy(job->url, base, strlen(base));
    memcpy(job->url + strlen(base), path, strlen(path) + 1);
    return job;
}

partner_result partners_ask(partners* all, partner who, const char* path, necpnet_loop* loop,
                            void (*done)(const partner_answer* answer, void* user), void* user)
{
    if (!partners_has(all, who) || partner_is_bus(&all->states[who])) return PARTNER_NONE;
    partner_job* job = partner_make(all, who, path);
    if (!job) return PARTNER_BUSY;
    job->loop = loop;
    job->done = done;
    job->user = user;
    return partner_post(all, job);
}

partner_result partners_tell(partners* all, partner who, const char* path, const char* json, size_t bytes)
{
    if (!partners_has(all, who)) return PARTNER_NONE;
    if (partner_is_bus(&all->states[who])) {
        char topic[64];
        text name;
        text_begin(&name, topic, sizeof(topic));
        text_format(&name, "partner.%s", partner_names[who]);
        return bus_publish(all->events, topic, json, bytes) == NECPNET_OK ? PARTNER_OK : PARTNER_BUSY;
    }
    partner_job* job = partner_make(all, who, path);
    if (!job) return PARTNER_BUSY;
    job->body = malloc(bytes + 1);
    if (!job->body) {
        partner_free(job);
        return PARTNER_BUSY;
    }
    memcpy(job->body, json, bytes);
    job->body[bytes] = 0;
    job->body_bytes = bytes;
    return partner_post(all, job);
}

void partners_get_figures(partners* all, partner who, partner_figures* out_figures)
{
    pthread_mutex_lock(&all->lock);
    *out_figures = all->states[who].figures;
    out_figures->open = all->states[who].open_until_us != 0;
    pthread_mutex_unlock(&all->lock);
}
