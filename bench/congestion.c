/* bench/congestion - reliable messages through a bottleneck: throughput, standing queue, and fairness beside a second flow
 * of ours and beside TCP Reno.
 *
 * What is measured, for each bottleneck (rate, round trip, buffer, random loss each way):
 *   alone          share of the rate that is used after 10 s; the queue that stands (the least of each round trip, at
 *                  least 100 ms and two packets' time; 95 % of the slots are no worse) beside what Reno alone makes of it
 *   second flow    shares of two flows of ours, the second 10 s later, in 60 s after another 20
 *   beside Reno    what Reno keeps of what it has alone, and bytes a second that we get, in 60 s
 *
 * How: real endpoints on a virtual clock (tests/bottleneck.h), so every run of one build gives the same figures. TCP Reno
 * is a model written from RFC 5681, 6582 and 6298, for no real TCP runs on a virtual clock. Shallow buffers hold half a
 * round trip, at least 10 packets of 1500 bytes; deep ones a second, at least 20.
 *
 *     congestion [--quick]      fewer bottlenecks
 *
 * Output: a table for people, then one JSON line a figure; tools/plot_congestion.py makes docs/congestion.svg of them.
 */
#include "../tests/bottleneck.h"

#define BENCH_SECONDS UINT64_C(1000000)

typedef struct bench_cell {
    uint64_t rate_bps;
    uint32_t rtt_ms;
    bool deep;
    uint32_t loss_ppm;
    double used, reno_used; /* per cent */
    double standing_ms, reno_standing_ms;
    double start_ms;                 /* worst queue of the first 10 s */
    double first, second;            /* per cent, two of ours */
    double reno_beside, ours_beside; /* per cent of the rate */
    double ours_bytes_per_s;
} bench_cell;

static bottleneck bench_world;

static uint32_t bench_queue_bytes(const bench_cell* cell)
{
    uint64_t bytes = cell->deep ? cell->rate_bps / 8 : cell->rate_bps / 8 * cell->rtt_ms / 2000;
    uint64_t least = (cell->deep ? 20u : 10u) * RENO_WIRE;
    return (uint32_t)(bytes > least ? bytes : least);
}

static void bench_begin(const bench_cell* cell, uint64_t seed)
{
    bottleneck_begin(&bench_world, cell->rate_bps, cell->rtt_ms * 1000, bench_queue_bytes(cell), cell->loss_ppm, seed);
}

static void bench_measure(uint64_t warm_s, uint64_t seconds)
{
    bottleneck_run(&bench_world, warm_s * BENCH_SECONDS);
    bottleneck_measure(&bench_world);
    bottleneck_run(&bench_world, seconds * BENCH_SECONDS);
}

static double bench_share(int flow, uint64_t seconds)
{
    return (double)bench_world.flows[flow].arrived_bytes * 100 / (double)seconds / (double)bench_world.rate;
}

static void bench_run_alone(bench_cell* cell)
{
    bench_begin(cell, 1);
    bottleneck_add(&bench_world, BOTTLENECK_OURS, 0);
    bench_measure(0, 10);
    cell->start_ms = (double)bench_world.queue_worst_us / 1e3;
    bench_measure(0, 40);
    cell->used = bench_share(0, 40);
    cell->standing_ms = bottleneck_standing_us(&bench_world, 95) / 1e3;
    bottleneck_end(&bench_world);
    bench_begin(cell, 3);
    bottleneck_add(&bench_world, BOTTLENECK_RENO, 0);
    bench_measure(10, 60);
    cell->reno_used = bench_share(0, 60);
    cell->reno_standing_ms = bottleneck_standing_us(&bench_world, 95) / 1e3;
    bottleneck_end(&bench_world);
}

static void bench_run_together(bench_cell* cell)
{
    bench_begin(cell, 2);
    bottleneck_add(&bench_world, BOTTLENECK_OURS, 0);
    bottleneck_add(&bench_world, BOTTLENECK_OURS, 10 * BENCH_SECONDS);
    bench_measure(30, 60);
    cell->first = bench_share(0, 60);
    cell->second = bench_share(1, 60);
    bottleneck_end(&bench_world);
    bench_begin(cell, 3);
    bottleneck_add(&bench_world, BOTTLENECK_RENO, 0);
    bottleneck_add(&bench_world, BOTTLENECK_OURS, 2 * BENCH_SECONDS);
    bench_measure(10, 60);
    cell->reno_beside = bench_share(0, 60);
    cell->ours_beside = bench_share(1, 60);
    cell->ours_bytes_per_s = (double)bench_world.flows[1].arrived_bytes / 60;
    bottleneck_end(&bench_world);
}

static void bench_print_cell(const bench_cell* cell)
{
    printf("%7.0f %4u %-7s %4.0f |%6.1f %6.1f |%8.1f %8.1f |%7.0f |%6.1f %6.1f |%6.1f %6.1f %8.0f\n",
           (double)cell->rate_bps / 1e3, cell->rtt_ms, cell->deep ? "deep" : "shallow", cell->loss_ppm / 1e4,
           cell->used, cell->reno_used, cell->standing_ms, cell->reno_standing_ms, cell->start_ms, cell->first,
           cell->second, cell->reno_beside * 100 / cell->reno_used, cell->ours_beside, cell->ours_bytes_per_s);
    fflush(stdout);
}

static void bench_json(const bench_cell* cell, const char* metric, const char* unit, double ours, double theirs,
                       bool less_is_better)
{
    double ratio = less_is_better ? (theirs + 1) / (ours + 1) : ours / (theirs > 0 ? theirs : 1);
    printf("{\"bench\":\"congestion\",\"case\":\"%.0f kbit/s, %u ms, %s, %.0f %%\",\"metric\":\"%s\",\"unit\":\"%s\","
           "\"ours\":%.1f,\"peer\":\"Reno model\",\"theirs\":%.1f,\"ratio\":%.2f}\n",
           (double)cell->rate_bps / 1e3, cell->rtt_ms, cell->deep ? "deep" : "shallow", cell->loss_ppm / 1e4, metric,
           unit, ours, theirs, ratio);
}

static void bench_json_cell(const bench_cell* cell)
{
    bench_json(cell, "used", "% of the link", cell->used, cell->reno_used, false);
    bench_json(cell, "standing queue", "ms", cell->standing_ms, cell->reno_standing_ms, true);
    bench_json(cell, "second of ours", "% of the link; theirs: the first", cell->second, cell->first, false);
    bench_json(cell, "beside Reno", "% of the link", cell->ours_beside, cell->reno_beside, false);
    bench_json(cell, "Reno keeps", "% of what it has alone; theirs: promised",
               cell->reno_beside * 100 / cell->reno_used, 50, false);
}

/* What happens in time on one link: ours from 0 s, a second of ours from 20 to 60 s, Reno from 80 to 120 s. */
static void bench_series(void)
{
    bench_cell cell;
    memset(&cell, 0, sizeof cell);
    cell.rate_bps = 3000000;
    cell.rtt_ms = 50;
    cell.deep = true;
    bench_begin(&cell, 5);
    bottleneck_add(&bench_world, BOTTLENECK_OURS, 0);
    bottleneck_add(&bench_world, BOTTLENECK_OURS, 20 * BENCH_SECONDS)->ends_us = 61 * BENCH_SECONDS;
    bottleneck_add(&bench_world, BOTTLENECK_RENO, 80 * BENCH_SECONDS)->ends_us = 121 * BENCH_SECONDS;
    for (uint64_t half = 0; half < 280; half++) {
        bottleneck_measure(&bench_world);
        bottleneck_run(&bench_world, BENCH_SECONDS / 2);
        printf("{\"bench\":\"congestion\",\"series\":%.1f,\"ours\":%.1f,\"second\":%.1f,\"reno\":%.1f,\"queue_ms\":%."
               "1f}\n",
               (double)half / 2, bench_share(0, 1) * 2, bench_share(1, 1) * 2, bench_share(2, 1) * 2,
               bottleneck_standing_us(&bench_world, 50) / 1e3);
    }
    bottleneck_end(&bench_world);
}

int main(int argc, char** argv)
{
    static const uint64_t rates[] = {64000, 256000, 1000000, 3000000, 10000000};
    static const uint32_t rtts_ms[] = {20, 100, 300};
    static const uint32_t losses_ppm[] = {0, 10000, 50000};
    static bench_cell cells[90];
    bool quick = argc > 1 && !strcmp(argv[1], "--quick");
    if (argc > 1 && !quick) {
        fprintf(stderr, "usage: congestion [--quick]\n");
        return 2;
    }
    size_t count = 0;
    printf(
        "   link: kbit/s, round trip, buffer, %% lost | used %%: ours, Reno | standing queue ms: ours, Reno | worst at "
        "the"
        "\n   start ms | two of ours, %% | beside Reno: it keeps %% of what it has alone, we %%, we bytes a second\n");
    for (unsigned i = 0; i < (quick ? 18 : 90); i++) {
        bench_cell* cell = &cells[count++];
        cell->rate_bps = rates[quick ? 1 + i / 3 % 3 : i / 3 % 5];
        cell->rtt_ms = rtts_ms[i % 3];
        cell->loss_ppm = losses_ppm[quick ? 0 : i / 15 % 3];
        cell->deep = i >= (quick ? 9u : 45u);
        bench_run_alone(cell);
        bench_run_together(cell);
        bench_print_cell(cell);
    }
    for (size_t i = 0; i < count; i++) bench_json_cell(&cells[i]);
    bench_series();
    return 0;
}
