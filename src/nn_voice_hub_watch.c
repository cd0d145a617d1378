/* nn_voice_hub_watch - limits of a sender, and what is no ordinary speech.
 *
 * Limits are token buckets of half a second. Spam is told of three kinds. FLOOD: over the limits by a tenth of a
 * second's packets within a second. NOISE: three seconds of sound, loud (-28 dB and more in the mean) and so even that
 * levels differ from their mean by less than 2.4 dB; speech has syllables and breath: tests/test_voice_hub.c measures
 * it. KEYING: eight
 * beginnings more than three a second. CONTINUOUS is told besides and is no spam: somebody left a key pressed, or
 * plays music.
 */
#include "nn_voice_hub.h"

#define WATCH_BURST_US 500000u
#define WATCH_TELL_US 10000000u   /* the same is not told more often */
#define WATCH_SOUND_LEVEL 3u      /* quieter is a pause */
#define WATCH_GAP_US 120000u      /* without sound: the next is a new beginning */
#define WATCH_PAUSE_US 400000u    /* without sound: the talk is over */
#define WATCH_STARTS_PER_S 3u     /* beginnings that are forgotten again .. */
#define WATCH_STARTS_MAX 8000000u /* .. in millionths: so many more are too many */
#define WATCH_STEADY_US 3000000u
#define WATCH_LOUD (9 * 4096)      /* mean level */
#define WATCH_EVEN (4096 * 6 / 10) /* mean deviation of levels */

static void watch_tell(nn_voice_member* member, necpnet_voice_hub_event_type type, bool is_spam, uint64_t now_us)
{
    nn_voice_watch* watch = &member->watch;
    uint64_t* told_us = &watch->flagged_us[type - NECPNET_VOICE_HUB_FLOOD];
    if (*told_us && now_us < *told_us + WATCH_TELL_US) return;
    *told_us = now_us;
    (void)nn_voice_hub_tell(member->source.hub, type, &member->source);
    if (!is_spam) return;
    watch->events++;
    if (member->source.hub->config.spam_silence_ms) {
        watch->silenced_until_us = now_us + (uint64_t)member->source.hub->config.spam_silence_ms * 1000;
    }
}

/* What comes back to a bucket; full is half a second's worth. */
static uint64_t watch_refill(uint64_t credit, uint64_t per_s, uint64_t passed_us)
{
    return nn_min_u64(credit + passed_us * per_s, per_s * WATCH_BURST_US);
}

NN_PRIVATE bool nn_voice_watch_allows(nn_voice_member* member, size_t bytes, uint64_t now_us)
{
    const necpnet_voice_hub_config* config = &member->source.hub->config;
    nn_voice_watch* watch = &member->watch;
    uint64_t passed_us = watch->credit_us ? nn_min_u64(now_us - watch->credit_us, WATCH_BURST_US) : WATCH_BURST_US;
    watch->packets_credit = watch_refill(watch->packets_credit, config->packets_per_s_max, passed_us);
    watch->bytes_credit = watch_refill(watch->bytes_credit, config->bytes_per_s_max, passed_us);
    watch->credit_us = now_us;
    uint64_t bytes_cost = (uint64_t)bytes * 1000000u;
    if (watch->packets_credit >= 1000000u && watch->bytes_credit >= bytes_cost) {
        watch->packets_credit -= 1000000u;
        watch->bytes_credit -= bytes_cost;
        return true;
    }
    if (now_us - watch->second_us >= 1000000) {
        watch->second_us = now_us;
        watch->limited = 0;
    }
    if (++watch->limited > config->packets_per_s_max / 10) {
        watch_tell(member, NECPNET_VOICE_HUB_FLOOD, true, now_us);
    }
    return false;
}

/* How loud, and how even. */
static void watch_level(nn_voice_member* member, uint8_t level, uint64_t now_us)
{
    nn_voice_watch* watch = &member->watch;
    int32_t now = (int32_t)level * 4096;
    watch->mean += (now - watch->mean) / 32;
    int32_t off = now > watch->mean ? now - watch->mean : watch->mean - now;
    watch->deviation += (off - watch->deviation) / 32;
    bool is_steady = watch->mean >= WATCH_LOUD && watch->deviation < WATCH_EVEN;
    if (!is_steady) {
        watch->steady_us = 0;
    } else if (watch->steady_us == 0) {
        watch->steady_us = now_us;
    } else if (now_us - watch->steady_us >= WATCH_STEADY_US) {
        watch_tell(member, NECPNET_VOICE_HUB_NOISE, true, now_us);
    }
}

static void watch_start(nn_voice_member* member, uint64_t now_us)
{
    nn_voice_watch* watch = &member->watch;
    uint64_t gone = nn_min_u64((now_us - watch->starts_us) * WATCH_STARTS_PER_S, watch->starts);
    watch->starts = watch->starts - gone + 1000000u;
    watch->starts_us = now_us;
    if (watch->starts > WATCH_STARTS_MAX) watch_tell(member, NECPNET_VOICE_HUB_KEYING, true, now_us);
}

NN_PRIVATE void nn_voice_watch_packet(nn_voice_member* member, uint8_t level, size_t bytes, uint64_t now_us)
{
    nn_voice_watch* watch = &member->watch;
    bool has_sound = bytes > 0 && level >= WATCH_SOUND_LEVEL;
    bool is_anew = now_us - watch->voiced_us >= WATCH_PAUSE_US;
    if (bytes == 0 || (has_sound && is_anew)) { /* a pause is a change */
        watch->steady_us = 0;
        watch->mean = (int32_t)level * 4096;
        watch->deviation = WATCH_EVEN * 5 / 2;
    }
    if (bytes) watch_level(member, level, now_us);
    if (!has_sound) return;
    if (now_us - watch->voiced_us >= WATCH_GAP_US) watch_start(member, now_us);
    if (watch->talk_us == 0 || is_anew) watch->talk_us = now_us;
    watch->voiced_us = now_us;
    if (now_us - watch->talk_us >= (uint64_t)member->source.hub->config.talk_ms_max * 1000) {
        watch_tell(member, NECPNET_VOICE_HUB_CONTINUOUS, false, now_us);
        watch->talk_us = now_us;
    }
}

NN_PRIVATE void nn_voice_watch_refused(nn_voice_member* member, necpnet_voice_hub_event_type type, uint32_t group,
                                       uint64_t now_us)
{
    nn_voice_watch* watch = &member->watch;
    if (watch->refused_us && now_us - watch->refused_us < 1000000) return;
    watch->refused_us = now_us;
    nn_voice_hub_tell(member->source.hub, type, &member->source)->group = group;
}
