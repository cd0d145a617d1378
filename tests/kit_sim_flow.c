/* kit_sim_flow - messages that name themselves, and what every channel promises about them.
 *
 * A message of 8 bytes or more begins with its number in this run and a check of it; the rest follows from the number, so
 * that a receiver knows every byte. Shorter ones have no room for that: they are sent on ordered channels alone, behind
 * one that has, and told by their place.
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIM_NAMELESS_BYTES 8

static uint64_t sim_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void sim_store(uint8_t* to, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) to[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t sim_load(const uint8_t* from)
{
    return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

static uint32_t sim_check(const sim* world, uint32_t id)
{
    return (uint32_t)sim_mix(world->seed * 31 + id);
}

/* Every third message is easy to compress. */
static void sim_message_fill(const sim* world, uint32_t id, size_t bytes, uint8_t* to)
{
    uint64_t state = world->seed ^ (uint64_t)id << 20;
    for (size_t i = 0; i < bytes; i++) {
        if (i % 8 == 0) state = sim_mix(state + UINT64_C(0x9e3779b97f4a7c15));
        to[i] = (uint8_t)(id % 3 == 0 ? id + i / 97 : state >> 8 * (i % 8));
    }
    if (bytes < SIM_NAMELESS_BYTES) return;
    sim_store(to, id);
    sim_store(to + 4, sim_check(world, id));
}

static const char* sim_message_name(uint32_t id)
{
    static const char* const names[] = {"move", "chat", "\xc3\xa9t\xc3\xa9"};
    return id % 5 == 0 ? names[id / 5 % 3] : NULL;
}

/* sim_message_new - the next message, in world->message. Its number is used up when it is added to a log. */
uint32_t sim_message_new(sim* world, size_t bytes, const char** out_name)
{
    uint32_t id = world->next_id;
    if (id >= world->sizes_capacity) {
        world->sizes_capacity = world->sizes_capacity ? world->sizes_capacity * 2 : 1024;
        world->sizes = (uint32_t*)realloc(world->sizes, world->sizes_capacity * sizeof(uint32_t));
    }
    world->sizes[id] = (uint32_t)bytes;
    sim_message_fill(world, id, bytes, world->message);
    *out_name = sim_message_name(id);
    return id;
}

void sim_log_add(sim* world, sim_log* log, uint32_t id, uint8_t state)
{
    if (log->count == log->capacity) {
        log->capacity = log->capacity ? log->capacity * 2 : 64;
        log->ids = (uint32_t*)realloc(log->ids, log->capacity * sizeof(uint32_t));
        log->states = (uint8_t*)realloc(log->states, log->capacity);
    }
    log->ids[log->count] = id;
    log->states[log->count++] = state;
    if (id == world->next_id) world->next_id++;
}

void sim_log_free(sim_log* log)
{
    free(log->ids);
    free(log->states);
    memset(log, 0, sizeof *log);
}

uint32_t sim_log_find(const sim_log* log, uint32_t id)
{
    uint32_t low = 0, high = log->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (log->ids[middle] < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < log->count && log->ids[low] == id ? low : UINT32_MAX;
}

uint32_t sim_message_id(sim* world, const necpnet_event* event)
{
    const uint8_t* data = (const uint8_t*)event->data;
    if (event->bytes < SIM_NAMELESS_BYTES) return UINT32_MAX;
    uint32_t id = sim_load(data);
    if (id >= world->next_id || sim_load(data + 4) != sim_check(world, id)) {
        sim_fail(world, "a message of %llu bytes on channel %d is none that anybody sent",
                 (unsigned long long)event->bytes, event->channel);
        return UINT32_MAX;
    }
    return id;
}

/* The contents are as they were sent. */
static bool sim_is_intact(sim* world, uint32_t id, const necpnet_event* event)
{
    const uint8_t* data = (const uint8_t*)event->data;
    const char* name = sim_message_name(id);
    size_t bytes = world->sizes[id];
    if (event->bytes != bytes) {
        sim_fail(world, "message %u of %llu bytes arrives with %llu", id, (unsigned long long)bytes,
                 (unsigned long long)event->bytes);
        return false;
    }
    sim_message_fill(world, id, bytes, world->message);
    if (bytes && memcmp(data, world->message, bytes) != 0) {
        size_t at = 0;
        while (data[at] == world->message[at]) at++;
        sim_fail(world, "byte %llu of %llu of message %u is another than was sent", (unsigned long long)at,
                 (unsigned long long)bytes, id);
        return false;
    }
    if (!name != !event->name || (name && strcmp(name, event->name) != 0)) {
        sim_fail(world, "message %u has the name %s for %s", id, event->name ? event->name : "(none)",
                 name ? name : "(none)");
        return false;
    }
    return true;
}

static void sim_count_delivered(sim* world, const necpnet_event* event)
{
    const necpnet_channel_config* row = &world->settings.channels[event->channel];
    static const sim_kind modes[] = {SIM_GOT_UNRELIABLE, SIM_GOT_UNRELIABLE_SEQUENCED, SIM_GOT_RELIABLE_SEQUENCED,
                                     SIM_GOT_UNORDERED, SIM_GOT_ORDERED};
    sim_count(world, modes[row->mode]);
    if (event->name) sim_count(world, SIM_GOT_NAMED);
    if (event->bytes > 2000) sim_count(world, SIM_GOT_FRAGMENTED);
    if (event->bytes == row->message_bytes_max) sim_count(world, SIM_GOT_LARGEST);
    if (event->bytes < SIM_NAMELESS_BYTES) sim_count(world, SIM_GOT_TINY);
}

/* Ordered: nothing that surely was sent before it is still missing. Where memory fails, what waited in one session may be
 * lost on its way to the next, and is counted. */
static bool sim_is_next(const sim* world, const sim_log* log, const sim_cursor* cursor, uint32_t at,
                        uint32_t* out_missing)
{
    if (!cursor->known) return true;
    for (uint32_t i = cursor->next; i < at; i++) {
        if (world->settings.failing_ppm && i < log->first_reliable) continue;
        *out_missing = log->ids[i];
        if (!(log->states[i] & SIM_OPTIONAL)) return false;
    }
    *out_missing = log->ids[at];
    return at >= cursor->next;
}

static uint32_t sim_place(sim* world, const sim_log* log, const sim_cursor* cursor, const necpnet_event* event)
{
    if (event->bytes >= SIM_NAMELESS_BYTES) {
        uint32_t id = sim_message_id(world, event);
        return id == UINT32_MAX ? UINT32_MAX : sim_log_find(log, id);
    }
    uint32_t at = cursor->next;
    while (cursor->known && at < log->count && log->states[at] & SIM_OPTIONAL) at++;
    return cursor->known && at < log->count ? at : UINT32_MAX;
}

/* Nameless messages that came first in a session stood right before the one at `at`. */
static void sim_place_early(sim* world, sim_log* log, sim_cursor* cursor, uint32_t at)
{
    uint32_t count = cursor->early_count;
    cursor->early_count = 0;
    if (count > SIM_EARLY_MAX) return; /* some were forgotten */
    for (uint32_t i = 0; i < count; i++) {
        const struct sim_early* early = &cursor->early[i];
        uint32_t place = at - count + i;
        bool fits = count <= at && !(log->states[place] & SIM_DELIVERED);
        if (fits) {
            sim_message_fill(world, log->ids[place], early->bytes, world->message);
            fits = world->sizes[log->ids[place]] == early->bytes && !memcmp(early->data, world->message, early->bytes);
        }
        if (!fits) {
            sim_fail(world, "a session begins with %u short messages that are not those before message %u", count,
                     log->ids[at]);
            return;
        }
        log->states[place] |= SIM_DELIVERED;
        log->delivered++;
    }
}

static void sim_keep_early(sim_cursor* cursor, const necpnet_event* event)
{
    if (cursor->early_count < SIM_EARLY_MAX) {
        struct sim_early* early = &cursor->early[cursor->early_count];
        early->bytes = (uint8_t)event->bytes;
        if (event->bytes) memcpy(early->data, event->data, event->bytes);
    }
    cursor->early_count++;
}

void sim_delivered(sim* world, sim_process* receiver, sim_log* log, sim_cursor* cursor, const necpnet_event* event)
{
    bool is_ordered = world->settings.channels[event->channel].mode == NECPNET_RELIABLE_ORDERED;
    if (event->bytes < SIM_NAMELESS_BYTES && !cursor->known && is_ordered) {
        sim_keep_early(cursor, event);
        sim_note(world, receiver, "gets early message", event->bytes, (uint64_t)event->channel);
        return;
    }
    necpnet_channel_mode mode = world->settings.channels[event->channel].mode;
    uint32_t at = sim_place(world, log, cursor, event);
    uint32_t missing = 0;
    if (at == UINT32_MAX) {
        sim_fail(world, "%s gets a message of %llu bytes on channel %d that was not sent there", receiver->name,
                 (unsigned long long)event->bytes, event->channel);
        return;
    }
    if (!cursor->known) sim_place_early(world, log, cursor, at);
    uint32_t id = log->ids[at];
    sim_note(world, receiver, "gets message", id, (uint64_t)event->channel);
    if (!sim_is_intact(world, id, event)) return;
    if (log->states[at] & SIM_DELIVERED) {
        sim_fail(world, "%s gets message %u on channel %d twice (mode %d)", receiver->name, id, event->channel, mode);
    } else if (mode == NECPNET_RELIABLE_ORDERED && !sim_is_next(world, log, cursor, at, &missing)) {
        sim_fail(world, "%s gets message %u on ordered channel %d, but %u was due", receiver->name, id, event->channel,
                 missing);
    } else if ((mode == NECPNET_UNRELIABLE_SEQUENCED || mode == NECPNET_RELIABLE_SEQUENCED) && cursor->known &&
               at < cursor->next) {
        sim_fail(world, "%s gets message %u on sequenced channel %d after %u", receiver->name, id, event->channel,
                 log->ids[cursor->next - 1]);
    }
    log->states[at] |= SIM_DELIVERED;
    log->delivered++;
    cursor->known = true;
    cursor->next = at + 1;
    sim_count_delivered(world, event);
}

void sim_receipted(sim* world, sim_process* sender, sim_log* log, const necpnet_event* event)
{
    uint32_t at = sim_log_find(log, (uint32_t)event->receipt);
    sim_note(world, sender, "gets receipt", event->receipt, (uint64_t)event->channel);
    if (at == UINT32_MAX || !(log->states[at] & SIM_RECEIPT)) {
        sim_fail(world, "%s gets a receipt %llu that it did not ask for", sender->name,
                 (unsigned long long)event->receipt);
    } else if (log->states[at] & SIM_RECEIPTED) {
        sim_fail(world, "%s gets the receipt of message %u twice", sender->name, log->ids[at]);
    } else {
        log->states[at] |= SIM_RECEIPTED;
        sim_count(world, SIM_GOT_RECEIPT);
    }
}

bool sim_log_is_whole(const sim* world, int channel, const sim_log* log, uint32_t from, uint32_t* out_missing)
{
    necpnet_channel_mode mode = world->settings.channels[channel].mode;
    if (mode < NECPNET_RELIABLE_SEQUENCED) return true;
    for (uint32_t i = log->count; i > from; i--) {
        uint8_t state = log->states[i - 1];
        *out_missing = log->ids[i - 1];
        bool may_be_replaced =
            mode == NECPNET_RELIABLE_SEQUENCED && i < log->count; /* then its receipt need not come */
        if (state & SIM_DELIVERED && (state & (SIM_RECEIPT | SIM_RECEIPTED)) == SIM_RECEIPT && !may_be_replaced)
            return false;
        if (state & (SIM_DELIVERED | SIM_OPTIONAL)) {
            if (mode == NECPNET_RELIABLE_SEQUENCED && state & SIM_DELIVERED) return true;
            continue;
        }
        return false;
    }
    return true;
}
