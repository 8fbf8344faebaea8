/* SPDX-License-Identifier: Apache-2.0 */
#include "server/quota.h"

#include "server/log.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BURST_SECONDS 10
#define TELL_MS 1000

struct ek_quota {
    unsigned per_second;
    pthread_mutex_t lock;  /* of what follows */
    uint64_t thousandths;  /* of lines that may be written now */
    uint64_t filled, told; /* when */
    uint64_t suppressed[EK_QUOTA_COUNT];
};

ek_quota *ek_quota_new(unsigned per_second, uint64_t now)
{
    ek_quota *q = calloc(1, sizeof(*q));

    if (!q)
        return NULL;
    q->per_second = per_second;
    q->thousandths = (uint64_t)per_second * 1000 * BURST_SECONDS;
    q->filled = q->told = now;
    pthread_mutex_init(&q->lock, NULL);
    return q;
}

void ek_quota_free(ek_quota **quota)
{
    if (!quota || !*quota)
        return;
    pthread_mutex_destroy(&(*quota)->lock);
    free(*quota);
    *quota = NULL;
}

static void fill(ek_quota *q, uint64_t now)
{
    uint64_t most = (uint64_t)q->per_second * 1000 * BURST_SECONDS;

    if (now <= q->filled) /* another thread's clock was read later */
        return;
    q->thousandths += (now - q->filled) * q->per_second;
    q->filled = now;
    if (q->thousandths > most)
        q->thousandths = most;
}

int ek_quota_take(ek_quota *quota, unsigned about, uint64_t now)
{
    int granted;

    if (quota->per_second == 0)
        return 1;
    pthread_mutex_lock(&quota->lock);
    fill(quota, now);
    granted = quota->thousandths >= 1000;
    if (granted)
        quota->thousandths -= 1000;
    else
        quota->suppressed[about]++;
    pthread_mutex_unlock(&quota->lock);
    return granted;
}

static const char *name_of(unsigned about)
{
    static const char *const names[] = {"bad-request", "handshake-failed", "connection-refused", "deadline"};

    return about < EKMOTP_REASON_COUNT ? ekmotp_reason_name((ekmotp_reason)about)
                                       : names[about - EKMOTP_REASON_COUNT];
}

void ek_quota_tell(ek_quota *quota, uint64_t now)
{
    uint64_t suppressed[EK_QUOTA_COUNT] = {0};

    pthread_mutex_lock(&quota->lock);
    if (now >= quota->told + TELL_MS) {
        memcpy(suppressed, quota->suppressed, sizeof(suppressed));
        memset(quota->suppressed, 0, sizeof(quota->suppressed));
        quota->told = now;
    }
    pthread_mutex_unlock(&quota->lock);
    for (unsigned i = 0; i < EK_QUOTA_COUNT; i++) {
        ek_log_line line;

        if (suppressed[i] == 0)
            continue;
        ek_log_begin(&line, EK_LOG_WARNING, "refusals-suppressed");
        ek_log_string(&line, "reason", name_of(i));
        ek_log_number(&line, "suppressed", suppressed[i]);
        ek_log_end(&line);
    }
}
