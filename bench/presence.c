/* bench/presence - 10,000 players online with 100 friends each (and the table half and ten times as large): bytes a player,
 * processor and messages a second, while a share of them changes each second. All of it is the machine alone, without network;
 * what poll gives is written as a message and counted, because that is what a server would send.
 *
 * The peer is the plain way: each change is one message to each friend at once. Its messages and bytes are counted from the
 * same history; what sending them costs is not in the processor time of either.
 *
 *     presence [--seconds N]
 *
 * Output: a table for people, then one JSON line a figure; ratio above 1 where ours is better.
 */
#include "necpnet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FRIENDS 100u
#define TICKS_PER_S 60u

typedef struct figures {
    double bytes_a_player;
    double begin_us_a_player; /* connect and 100 friends */
    double cpu_percent;
    double messages_per_s;
    double items_per_s;
    double bytes_per_s;
    double plain_messages_per_s;
    double plain_bytes_per_s;
} figures;

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t limit)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((random_state >> 33) % limit);
}

static double cpu_us(void)
{
    return (double)clock() * 1e6 / CLOCKS_PER_SEC;
}

static void check(const char* what, necpnet_result result)
{
    if (!result) return;
    fprintf(stderr, "presence: %s: %s\n", what, necpnet_result_text(result));
    exit(1);
}

/* Circles: player i is a friend of the 50 before and after in a shuffled ring, so that each has exactly 100. */
static void make_friends(necpnet_presence* presence, const uint32_t* ring, uint32_t players)
{
    for (uint32_t i = 0; i < players; i++) {
        for (uint32_t k = 1; k <= FRIENDS / 2; k++) {
            check("add_friend", necpnet_presence_add_friend(presence, ring[i] + 1, ring[(i + k) % players] + 1));
        }
    }
}

static void run_second(necpnet_presence* presence, uint32_t players, uint32_t changes, uint64_t* now_us, figures* sums)
{
    static uint8_t data[1u << 16];
    size_t bytes = 0;
    double before, spent = 0;
    uint32_t done = 0;
    for (uint32_t tick = 0; tick < TICKS_PER_S; tick++) {
        necpnet_presence_change change;
        before = cpu_us();
        *now_us += 1000000u / TICKS_PER_S;
        check("update", necpnet_presence_update(presence, *now_us));
        for (; done < changes * (tick + 1) / TICKS_PER_S; done++) {
            necpnet_player player = 1 + random_below(players);
            check("set_place", necpnet_presence_set_place(presence, player, 1 + random_below(1000), NULL));
        }
        while (necpnet_presence_poll(presence, &change)) {
            check("write", necpnet_presence_write(change.items, change.count, data, sizeof data, &bytes));
            sums->messages_per_s++;
            sums->items_per_s += (double)change.count;
            sums->bytes_per_s += (double)bytes;
        }
        spent += cpu_us() - before;
    }
    for (uint32_t i = 0; i < changes; i++) {
        necpnet_presence_info info;
        check("get", necpnet_presence_get(presence, 0, 1 + random_below(players), &info));
        for (uint32_t k = 0; k < FRIENDS; k++)
            check("write", necpnet_presence_write(&info, 1, data, sizeof data, &bytes));
        sums->plain_messages_per_s += FRIENDS;
        sums->plain_bytes_per_s += (double)bytes * FRIENDS;
    }
    sums->cpu_percent += spent / 1e4;
}

static figures measure(uint32_t players, uint32_t changes, int seconds)
{
    figures sums;
    necpnet_presence_config config;
    necpnet_presence_statistics statistics;
    necpnet_presence* presence = NULL;
    necpnet_presence_change change;
    uint64_t now_us = 1000000;
    uint32_t* ring = malloc(players * sizeof *ring);
    if (!ring) exit(1);
    memset(&sums, 0, sizeof sums);
    for (uint32_t i = 0; i < players; i++) {
        uint32_t j = random_below(i + 1);
        ring[i] = ring[j];
        ring[j] = i;
    }
    check("default", necpnet_presence_config_default(&config));
    config.players_max = players;
    check("create", necpnet_presence_create(&config, &presence));
    double before = cpu_us();
    for (uint32_t i = 1; i <= players; i++)
        check("connect", necpnet_presence_connect(presence, i, NECPNET_PRESENCE_ONLINE));
    make_friends(presence, ring, players);
    sums.begin_us_a_player = (cpu_us() - before) / players;
    while (necpnet_presence_poll(presence, &change)) continue;
    check("statistics", necpnet_presence_get_statistics(presence, &statistics));
    sums.bytes_a_player = (double)statistics.memory_bytes / players;
    figures warm = sums;
    run_second(presence, players, changes, &now_us, &warm);
    for (int i = 0; i < seconds; i++) run_second(presence, players, changes, &now_us, &sums);
    sums.cpu_percent /= seconds;
    sums.messages_per_s /= seconds;
    sums.items_per_s /= seconds;
    sums.bytes_per_s /= seconds;
    sums.plain_messages_per_s /= seconds;
    sums.plain_bytes_per_s /= seconds;
    necpnet_presence_destroy(presence);
    free(ring);
    return sums;
}

static void print_json(const char* name, const char* metric, const char* unit, double ours, const char* peer,
                       double theirs)
{
    printf("{\"bench\":\"presence\",\"case\":\"%s\",\"metric\":\"%s\",\"unit\":\"%s\",\"ours\":%.3f", name, metric,
           unit, ours);
    if (peer) printf(",\"peer\":\"%s\",\"theirs\":%.3f,\"ratio\":%.2f", peer, theirs, theirs / ours);
    printf("}\n");
}

int main(int argument_count, char** arguments)
{
    static const uint32_t players[] = {5000, 10000, 10000, 10000, 100000};
    static const uint32_t changes[] = {500, 100, 1000, 10000, 10000};
    enum { CASES = 5 };
    figures results[CASES];
    int seconds = 5;
    if (argument_count == 3 && strcmp(arguments[1], "--seconds") == 0) seconds = atoi(arguments[2]);
    if (seconds < 1) seconds = 1;
    printf("%8s %9s %10s %10s %8s %11s %11s %11s %11s\n", "players", "changes/s", "B/player", "join us", "cpu %",
           "messages/s", "items/s", "kB/s", "plain msg/s");
    for (int i = 0; i < CASES; i++) {
        results[i] = measure(players[i], changes[i], seconds);
        printf("%8u %9u %10.0f %10.1f %8.2f %11.0f %11.0f %11.0f %11.0f\n", players[i], changes[i],
               results[i].bytes_a_player, results[i].begin_us_a_player, results[i].cpu_percent,
               results[i].messages_per_s, results[i].items_per_s, results[i].bytes_per_s / 1000,
               results[i].plain_messages_per_s);
    }
    for (int i = 0; i < CASES; i++) {
        char name[64];
        snprintf(name, sizeof name, "%u players, 100 friends, %u changes/s", players[i], changes[i]);
        print_json(name, "memory a player", "bytes", results[i].bytes_a_player, NULL, 0);
        print_json(name, "processor", "percent of a core", results[i].cpu_percent, NULL, 0);
        print_json(name, "messages", "1/s", results[i].messages_per_s, "each change to each friend",
                   results[i].plain_messages_per_s);
        print_json(name, "payload", "bytes/s", results[i].bytes_per_s, "each change to each friend",
                   results[i].plain_bytes_per_s);
    }
    return 0;
}
