/* Latencies in microseconds: 128 steps an octave, so a value is off by less than 1 %. */
#include <stdint.h>

enum { STEP_BITS = 7, STEPS = 1 << STEP_BITS, BUCKETS = 24 * STEPS };
static const uint64_t longest_us = 60000000;
static uint64_t histogram[BUCKETS], samples, slowest_us;

static void record(uint64_t us)
{
    if (us > longest_us)
        us = longest_us;
    int shift = us < STEPS ? 0 : 63 - __builtin_clzll(us) - STEP_BITS;
    histogram[(uint64_t)shift * STEPS + (us >> shift)]++;
    samples++;
    if (us > slowest_us)
        slowest_us = us;
}

static double percentile_ms(double share)
{
    uint64_t rank = (uint64_t)(share * (double)samples), seen = 0;
    for (int i = 0; i < BUCKETS; i++) {
        seen += histogram[i];
        if (seen > rank) {
            int shift = i < 2 * STEPS ? 0 : i / STEPS - 1;
            return (double)((uint64_t)(i - shift * STEPS) << shift) / 1000;
        }
    }
    return (double)slowest_us / 1000;
}
