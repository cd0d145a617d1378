/* guilds - a player's guilds and rights, waited for. */
#include "guilds.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "json.h"

/* Shared by who waits and by who answers; the last one of the two frees it. */
typedef struct guilds_wait {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    int holders;
    bool done;
    guilds_result result;
    cJSON* json;
} guilds_wait;

bool guilds_grant(const cJSON* guilds, const char* guild, const char* right)
{
    const cJSON* one;
    const cJSON* named;
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(guilds, "guilds"))
    {
        const cJSON* id = cJSON_GetObjectItemCaseSensitive(one, "id");
        if (!cJSON_IsString(id) || strcmp(id->valuestring, guild) != 0) continue;
        if (!right) return true;
        cJSON_ArrayForEach(named, cJSON_GetObjectItemCaseSensitive(one, "rights"))
        {
            if (cJSON_IsString(named) && strcmp(named->valuestring, right) == 0) return true;
        }
    }
    return false;
}

bool guilds_path(const char* subject, const char* what, char* path, size_t path_bytes)
{
    text out;
    text_begin(&out, path, path_bytes);
    text_put(&out, "/players/");
    for (const char* from = subject; *from; from++) { /* RFC 3986 2.3 */
        bool plain = (*from >= 'a' && *from <= 'z') || (*from >= 'A' && *from <= 'Z') ||
                     (*from >= '0' && *from <= '9') || strchr("-._~", *from) != NULL;
        text_format(&out, plain ? "%c" : "%%%02X", plain ? *from : (unsigned char)*from);
    }
    text_format(&out, "/%s", what);
    return !out.failed;
}

static void guilds_let_go(guilds_wait* wait)
{
    pthread_mutex_lock(&wait->lock);
    bool last = --wait->holders == 0;
    pthread_mutex_unlock(&wait->lock);
    if (!last) return;
    cJSON_Delete(wait->json);
    pthread_cond_destroy(&wait->answered);
    pthread_mutex_destroy(&wait->lock);
    free(wait);
}

/* On the partners' thread. */
static void guilds_on_answer(const partner_answer* answer, void* user)
{
    guilds_wait* wait = user;
    cJSON* json = answer->result == PARTNER_OK ? json_parse(answer->body, answer->bytes, NULL, 0) : NULL;
    if (!cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(json, "guilds"))) {
        cJSON_Delete(json);
        json = NULL;
    }
    pthread_mutex_lock(&wait->lock);
    wait->json = json;
    wait->result = json ? GUILDS_FOUND : GUILDS_AWAY;
    wait->done = true;
    pthread_cond_signal(&wait->answered);
    pthread_mutex_unlock(&wait->lock);
    guilds_let_go(wait);
}

static guilds_wait* guilds_begin(void)
{
    pthread_condattr_t clock;
    guilds_wait* wait = calloc(1, sizeof(*wait));
    if (!wait) return NULL;
    wait->holders = 2;
    wait->result = GUILDS_AWAY;
    pthread_mutex_init(&wait->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&wait->answered, &clock);
    pthread_condattr_destroy(&clock);
    return wait;
}

guilds_result guilds_fetch(const services* known, const char* subject, cJSON** out_guilds)
{
    char path[1024];
    struct timespec until;
    *out_guilds = NULL;
    if (!partners_has(known->partners, PARTNER_GUILD)) return GUILDS_NONE;
    guilds_wait* wait = guilds_path(subject, "guilds", path, sizeof(path)) ? guilds_begin() : NULL;
    if (!wait) return GUILDS_AWAY;
    partner_result asked = partners_ask(known->partners, PARTNER_GUILD, path, NULL, guilds_on_answer, wait);
    if (asked != PARTNER_OK) {
        guilds_let_go(wait);
        guilds_let_go(wait);
        return asked == PARTNER_NONE ? GUILDS_NONE : GUILDS_AWAY;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(known->settings->partner_timeout_ms / 1000 + 1);
    pthread_mutex_lock(&wait->lock);
    int waited = 0;
    while (!wait->done && waited == 0) waited = pthread_cond_timedwait(&wait->answered, &wait->lock, &until);
    guilds_result result = wait->result;
    *out_guilds = wait->json;
    wait->json = NULL;
    pthread_mutex_unlock(&wait->lock);
    guilds_let_go(wait);
    return result;
}
