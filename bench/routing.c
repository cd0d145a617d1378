/* bench/routing - the table of slots beside a plain ring of 100 points a node, for 3 to 1,000 nodes: how evenly keys are spread,
 * what a look-up costs, what share of the keys moves when a node joins (1 / nodes must, with any way), how long it takes to
 * make, and its memory. The ring is the usual one: a sorted array of points, a key belongs to the next point (Karger et al.
 * 1997); both hash a key alike.
 *
 *     routing
 *
 * Output: a table for people, then one JSON line a figure; ratio above 1 where ours is better.
 */
#include "routing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POINTS 100u
#define KEYS 1000000u
#define ROUNDS 5
#define NAME_BYTES 24

typedef struct point {
    uint64_t at;
    uint32_t node;
} point;

typedef struct ring {
    point* points;
    uint32_t count;
} ring;

typedef struct figures {
    double worst_share_percent; /* the busiest node's keys over the mean, less 1 */
    double slots_off;           /* share of all slots by which a node is off, in percent; the ring: of the circle */
    double lookup_ns;
    double moved_percent; /* by one node more */
    double make_ms;
    double memory_kb;
} figures;

static volatile uint32_t sink;

static double now_ns(void)
{
    struct timespec at;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
    return (double)at.tv_sec * 1e9 + (double)at.tv_nsec;
}

static uint64_t key_at(uint32_t i)
{
    return routing_key(&i, sizeof i);
}

static int compare_points(const void* a, const void* b)
{
    uint64_t left = ((const point*)a)->at, right = ((const point*)b)->at;
    return (left > right) - (left < right);
}

static void ring_make(ring* at, const char* const* names, uint32_t nodes)
{
    at->count = nodes * POINTS;
    at->points = malloc(at->count * sizeof(point));
    if (!at->points) exit(1);
    for (uint32_t i = 0; i < at->count; i++) {
        char name[NAME_BYTES + 16];
        int bytes = snprintf(name, sizeof name, "%s#%u", names[i / POINTS], i % POINTS);
        at->points[i].at = routing_key(name, (size_t)bytes);
        at->points[i].node = i / POINTS;
    }
    qsort(at->points, at->count, sizeof(point), compare_points);
}

static uint32_t ring_find(const ring* at, uint64_t key)
{
    uint32_t low = 0, high = at->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (at->points[middle].at < key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return at->points[low == at->count ? 0 : low].node;
}

static double worst_of(const uint32_t* counts, uint32_t nodes)
{
    uint32_t worst = 0;
    for (uint32_t i = 0; i < nodes; i++) worst = counts[i] > worst ? counts[i] : worst;
    return ((double)worst * nodes / KEYS - 1) * 100;
}

static void measure(const char* const* names, uint32_t nodes, figures* ours, figures* theirs)
{
    routing* table = NULL;
    routing* grown = NULL;
    ring circle, larger;
    uint32_t slots = nodes <= 64 ? ROUTING_SLOTS_SMALL : ROUTING_SLOTS_LARGE;
    uint32_t* counts = calloc(nodes + 1, sizeof *counts);
    uint32_t* ring_counts = calloc(nodes + 1, sizeof *ring_counts);
    uint32_t* owned = calloc(nodes + 1, sizeof *owned);
    uint64_t* keys = malloc(KEYS * sizeof *keys);
    if (!counts || !ring_counts || !owned || !keys) exit(1);
    memset(ours, 0, sizeof *ours);
    memset(theirs, 0, sizeof *theirs);
    for (uint32_t i = 0; i < KEYS; i++) keys[i] = key_at(i);
    if (routing_create(slots, &table) || routing_create(slots, &grown)) exit(1);
    double before = now_ns();
    if (routing_set(table, names, nodes)) exit(1);
    ours->make_ms = (now_ns() - before) / 1e6;
    before = now_ns();
    ring_make(&circle, names, nodes);
    theirs->make_ms = (now_ns() - before) / 1e6;
    if (routing_set(grown, names, nodes + 1)) exit(1);
    ring_make(&larger, names, nodes + 1);
    ours->memory_kb = slots * 2 / 1024.0;
    theirs->memory_kb = circle.count * (double)sizeof(point) / 1024.0;
    uint32_t moved = 0, ring_moved = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        uint32_t node = routing_find(table, keys[i]), other = ring_find(&circle, keys[i]);
        counts[node]++;
        ring_counts[other]++;
        moved += routing_find(grown, keys[i]) != node;
        ring_moved += ring_find(&larger, keys[i]) != other;
    }
    ours->worst_share_percent = worst_of(counts, nodes);
    theirs->worst_share_percent = worst_of(ring_counts, nodes);
    ours->moved_percent = moved * 100.0 / KEYS;
    theirs->moved_percent = ring_moved * 100.0 / KEYS;
    for (uint32_t i = 0; i < slots; i++) owned[routing_slot(table, i)]++;
    for (uint32_t i = 0; i < nodes; i++) {
        double off = ((double)owned[i] - (double)slots / nodes) * 100 / slots;
        if (off < 0) off = -off;
        if (off > ours->slots_off) ours->slots_off = off;
        off = ((double)ring_counts[i] - (double)KEYS / nodes) * 100 / KEYS;
        if (off < 0) off = -off;
        if (off > theirs->slots_off) theirs->slots_off = off;
    }
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t sum = 0;
        before = now_ns();
        for (uint32_t i = 0; i < KEYS; i++) sum += routing_find(table, keys[i]);
        double one = (now_ns() - before) / KEYS;
        before = now_ns();
        for (uint32_t i = 0; i < KEYS; i++) sum += ring_find(&circle, keys[i]);
        double other = (now_ns() - before) / KEYS;
        if (round == 0 || one < ours->lookup_ns) ours->lookup_ns = one;
        if (round == 0 || other < theirs->lookup_ns) theirs->lookup_ns = other;
        sink = sum;
    }
    free(circle.points);
    free(larger.points);
    free(counts);
    free(ring_counts);
    free(owned);
    free(keys);
    routing_destroy(table);
    routing_destroy(grown);
}

static void print_json(uint32_t nodes, const char* metric, const char* unit, double ours, double theirs)
{
    printf("{\"bench\":\"routing\",\"case\":\"%u "
           "nodes\",\"metric\":\"%s\",\"unit\":\"%s\",\"ours\":%.5f,\"peer\":\"ring of 100 "
           "points a node\",\"theirs\":%.5f,\"ratio\":%.2f}\n",
           nodes, metric, unit, ours, theirs, ours > 0 ? theirs / ours : 0);
}

int main(void)
{
    static const uint32_t nodes[] = {3, 10, 30, 64, 100, 300, 1000};
    enum { CASES = sizeof(nodes) / sizeof(nodes[0]) };
    static char texts[1001][NAME_BYTES];
    static const char* names[1001];
    figures ours[CASES], theirs[CASES];
    for (int i = 0; i <= 1000; i++) {
        snprintf(texts[i], NAME_BYTES, "node-%04d.eu-west", i);
        names[i] = texts[i];
    }
    printf("%6s | %23s | %23s | %19s | %19s | %17s | %15s\n", "", "node off, % of all slots", "busiest node, % over",
           "look-up ns", "moved by a join, %", "make ms", "memory KB");
    printf("%6s | %11s %11s | %11s %11s | %9s %9s | %9s %9s | %8s %8s | %7s %7s | least\n", "nodes", "table", "ring",
           "table", "ring", "table", "ring", "table", "ring", "table", "ring", "table", "ring");
    for (int i = 0; i < CASES; i++) {
        measure(names, nodes[i], &ours[i], &theirs[i]);
        printf("%6u | %11.5f %11.3f | %11.2f %11.1f | %9.1f %9.1f | %9.3f %9.3f | %8.1f %8.1f | %7.0f %7.0f | %.3f\n",
               nodes[i], ours[i].slots_off, theirs[i].slots_off, ours[i].worst_share_percent,
               theirs[i].worst_share_percent, ours[i].lookup_ns, theirs[i].lookup_ns, ours[i].moved_percent,
               theirs[i].moved_percent, ours[i].make_ms, theirs[i].make_ms, ours[i].memory_kb, theirs[i].memory_kb,
               100.0 / (nodes[i] + 1));
    }
    for (int i = 0; i < CASES; i++) {
        print_json(nodes[i], "a node's slots off the mean", "percent of all", ours[i].slots_off, theirs[i].slots_off);
        print_json(nodes[i], "busiest node over the mean", "percent", ours[i].worst_share_percent,
                   theirs[i].worst_share_percent);
        print_json(nodes[i], "look-up", "ns", ours[i].lookup_ns, theirs[i].lookup_ns);
        print_json(nodes[i], "keys moved when a node joins", "percent", ours[i].moved_percent, theirs[i].moved_percent);
    }
    return 0;
}
