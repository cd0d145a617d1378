/* nn_statistics - smoothed figures. */
#include "nn_statistics.h"

static uint32_t statistics_slot(uint64_t now_us)
{
    return (uint32_t)(now_us / NN_RATE_SLOT_US) + 1;
}

/* Clear the slots that time has passed over. */
static void statistics_advance(nn_rate* rate, uint32_t slot)
{
    if (slot <= rate->slot) return;
    if (slot - rate->slot >= NN_RATE_SLOTS) {
        memset(rate->bytes, 0, sizeof rate->bytes);
    } else {
        for (uint32_t at = rate->slot + 1; at <= slot; at++) rate->bytes[at % NN_RATE_SLOTS] = 0;
    }
    rate->slot = slot;
}

NN_PRIVATE void nn_rate_add(nn_rate* rate, size_t bytes, uint64_t now_us)
{
    uint32_t slot = statistics_slot(now_us);
    if (rate->slot == 0) rate->slot = slot;
    statistics_advance(rate, slot);
    uint32_t* at = &rate->bytes[rate->slot % NN_RATE_SLOTS];
    uint64_t sum = (uint64_t)*at + bytes;
    *at = (uint32_t)nn_min_u64(sum, UINT32_MAX);
}

NN_PRIVATE uint32_t nn_rate_per_s(const nn_rate* rate, uint64_t since_us, uint64_t now_us)
{
    if (rate->slot == 0) return 0;
    uint32_t slot = statistics_slot(now_us) > rate->slot ? statistics_slot(now_us) : rate->slot;
    uint64_t sum = 0;
    for (uint32_t back = 0; back < NN_RATE_SLOTS && back < rate->slot; back++) {
        if (slot - (rate->slot - back) < NN_RATE_SLOTS) sum += rate->bytes[(rate->slot - back) % NN_RATE_SLOTS];
    }
    /* The newest slot is not over yet, and right after the beginning there is less than a second to look at. */
    uint32_t begin = slot > NN_RATE_SLOTS ? slot - (NN_RATE_SLOTS - 1) : 1;
    if (begin < statistics_slot(since_us)) begin = statistics_slot(since_us);
    uint64_t begin_us = (uint64_t)(begin - 1) * NN_RATE_SLOT_US;
    uint64_t span = now_us > begin_us ? now_us - begin_us : 0;
    return (uint32_t)nn_min_u64(sum * 1000000u / nn_max_u64(span, NN_RATE_SLOT_US), UINT32_MAX);
}

NN_PRIVATE void nn_loss_add(nn_loss* loss, bool lost)
{
    uint64_t* word = &loss->bits[loss->at / 64];
    uint64_t bit = UINT64_C(1) << (loss->at % 64);
    if (loss->count == NN_LOSS_PACKETS) {
        if (*word & bit) loss->lost--;
    } else {
        loss->count++;
    }
    if (lost) {
        *word |= bit;
        loss->lost++;
    } else {
        *word &= ~bit;
    }
    loss->at = (uint16_t)((loss->at + 1u) % NN_LOSS_PACKETS);
}

NN_PRIVATE uint32_t nn_loss_ppm(const nn_loss* loss)
{
    return loss->count ? (uint32_t)((uint64_t)loss->lost * 1000000u / loss->count) : 0;
}

NN_PRIVATE void nn_jitter_add(nn_jitter* jitter, uint64_t sent_at_us, uint64_t received_at_us)
{
    uint32_t transit = (uint32_t)(received_at_us - sent_at_us); /* epochs differ */
    if (jitter->scaled_us) {
        uint32_t later = transit - jitter->transit_us;
        uint32_t change = later < UINT32_MAX / 2 ? later : 0u - later;
        uint32_t scaled = jitter->scaled_us - 1;
        jitter->scaled_us += (uint32_t)nn_min_u64(change, UINT32_MAX / 32) - ((scaled + 8) >> 4);
    } else {
        jitter->scaled_us = 1;
    }
    jitter->transit_us = transit;
}

NN_PRIVATE uint32_t nn_jitter_us(const nn_jitter* jitter)
{
    return jitter->scaled_us ? (jitter->scaled_us - 1) >> 4 : 0;
}
