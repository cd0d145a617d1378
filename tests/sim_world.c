/* sim_world - aim: whatever the network and the processes do, channels, inputs, state and memory keep what they promise,
 * and all is well soon after the trouble ends. Method: the simulated world of sim.h, one run a seed.
 *
 *   sim_world --seeds 10000                      that many worlds
 *   SIM_TRACE=1 sim_world --seed 17 --seeds 1    one of them, everything that happens printed (make sim SEED=17)
 *   SIM_HASH=1 sim_world --seeds 5               the hash of each history, for comparing builds
 *   SIM_PROGRESS=1                               a line every hundred worlds
 */
#include "test.h"

#include <signal.h>
#include <unistd.h>

#include "sim.h"

#define SIM_SEEDS 200
#ifndef SIM_HASHES /* always: for a program that is told nothing by its environment (WebAssembly) */
#define SIM_HASHES 0
#endif
#define SIM_SECONDS_MAX 120 /* of one world */

static sim world;
static char crashed_text[128];

/* A crash, an assertion or an endless loop says which world it was. */
static void sim_crashed(int number)
{
    signal(number, SIG_DFL);
    if (write(2, crashed_text, (unsigned)strlen(crashed_text)) < 0) _exit(3);
#ifdef SIGALRM
    if (number == SIGALRM) _exit(3);
#endif
    raise(number);
}

static void sim_watch(uint64_t seed)
{
    snprintf(crashed_text, sizeof crashed_text, "\nthe world of seed %llu broke down; again: make sim SEED=%llu\n",
             (unsigned long long)seed, (unsigned long long)seed);
    signal(SIGSEGV, sim_crashed);
    signal(SIGABRT, sim_crashed);
    signal(SIGFPE, sim_crashed);
#ifdef SIGALRM
    signal(SIGALRM, sim_crashed);
    alarm(SIM_SECONDS_MAX);
#endif
}

TEST(test_every_world_keeps_its_promises)
{
    bool hashes = SIM_HASHES || getenv("SIM_HASH") != NULL;
    bool progress = getenv("SIM_PROGRESS") != NULL;
    bool traced = getenv("SIM_TRACE") != NULL;
    uint64_t count = 0;
    TEST_EACH_SEED (seed, SIM_SEEDS) {
        sim_watch(seed);
        bool right = sim_run(&world, seed, traced);
        count++;
        if (hashes) {
            printf("seed %llu hash %016llx%s\n", (unsigned long long)seed, (unsigned long long)world.hash,
                   world.settings.failing_ppm ? " memory refused" : "");
        }
        if (progress && count % 100 == 0) printf("%llu worlds\n", (unsigned long long)count);
        fflush(stdout);
        if (!right) {
            fprintf(stderr, "replay with a trace: make sim SEED=%llu\n", (unsigned long long)seed);
            TEST_FAIL("seed %llu: %s", (unsigned long long)seed, world.failure);
        }
    }
#ifdef SIGALRM
    alarm(0);
#endif
    if (count < SIM_SEEDS) return;
    for (int i = 0; i < SIM_KIND_COUNT; i++) {
        if (!sim_counts[i])
            TEST_FAIL("%s never happened in %llu worlds", sim_kind_name((sim_kind)i), (unsigned long long)count);
    }
}

TEST_MAIN
