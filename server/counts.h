/* SPDX-License-Identifier: Apache-2.0 */
/* counts.h: what a loop counts. One thread writes, any thread reads. */
#ifndef EK_SERVER_COUNTS_H
#define EK_SERVER_COUNTS_H

#include <ekmotp/verifier.h>
#include <stdint.h>

/* The deadlines that a connection can miss. */
typedef enum ek_deadline {
    EK_DEADLINE_HANDSHAKE = 0,
    EK_DEADLINE_HEADER,
    EK_DEADLINE_BODY,
    EK_DEADLINE_SEND,
    EK_DEADLINE_IDLE,
    EK_DEADLINE_TOKEN,
    EK_DEADLINE_COUNT
} ek_deadline;

#define EK_STATUS_MAX 600

typedef struct ek_counts {
    uint64_t opened, closed;         /* connections */
    uint64_t over_all, over_address; /* connections refused by a limit */
    uint64_t handshakes, handshakes_failed;
    uint64_t missed[EK_DEADLINE_COUNT];
    uint64_t answers[EK_STATUS_MAX]; /* by status */
    uint64_t verdicts[EKMOTP_REASON_COUNT];
    uint64_t derives_begun, derives; /* channel secrets made by worker threads: asked for, and done */
    uint64_t sweeps;                 /* signs of life */
} ek_counts;

/* Adds one; no other thread adds to this counter. */
static inline void ek_count(uint64_t *counter)
{
    __atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

static inline uint64_t ek_count_read(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

#endif
