/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quota.h: how much of the log is for those who were not let in: whoever reaches the port could fill the disk
 * with it. What is beyond is counted, and told once a second in one line per reason. Thread-safe.
 */
#ifndef EK_SERVER_QUOTA_H
#define EK_SERVER_QUOTA_H

#include <ekmotp/verifier.h>
#include <stdint.h>

/* What such a line is about: the reason of a verdict (ekmotp_reason), or one of these. */
enum {
    EK_QUOTA_BAD_REQUEST = EKMOTP_REASON_COUNT,
    EK_QUOTA_HANDSHAKE,
    EK_QUOTA_CONNECTION,
    EK_QUOTA_DEADLINE,
    EK_QUOTA_COUNT
};

typedef struct ek_quota ek_quota;

/* NULL: out of memory. Lines per second, ten times as many at once; 0: any number. now as of ek_loop_now().
 */
ek_quota *ek_quota_new(unsigned per_second, uint64_t now);
void ek_quota_free(ek_quota **quota);

/* 1 if a line about this may be written; else it is counted. */
int ek_quota_take(ek_quota *quota, unsigned about, uint64_t now);
/* Writes what was counted since the last time, if that is a second ago. */
void ek_quota_tell(ek_quota *quota, uint64_t now);

#endif
