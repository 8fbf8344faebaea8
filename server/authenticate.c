/* SPDX-License-Identifier: Apache-2.0 */
#include "server/authenticate.h"

#include <ekmotp/openssl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void refuse(ekmotp_verdict *verdict, ekmotp_reason reason)
{
    memset(verdict, 0, sizeof(*verdict));
    verdict->status = EKMOTP_VERDICT_REFUSED;
    verdict->reason = reason;
}

ekmotp_verdict_status ek_authenticate(ek_connection *c, const ek_head *head, ekmotp_verdict *verdict)
{
    const ek_shared *shared = c->loop->shared;
    ekmotp_credentials credentials = {0};
    struct timespec now;

    if (!c->channel && ekmotp_openssl_channel_new(c->ssl, &c->channel, NULL) != 0) {
        refuse(verdict, EKMOTP_REASON_INTERNAL);
        return EKMOTP_VERDICT_REFUSED;
    }
    for (size_t i = 0; i < head->field_count; i++)
        ekmotp_credentials_add(&credentials, head->fields[i].name.at, head->fields[i].name.len,
                               head->fields[i].value.at, head->fields[i].value.len);
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return ekmotp_verifier_verify(shared->verifier, c->state, c->channel, &credentials, &c->loop->lookup,
                                  now.tv_sec, shared->derive ? EKMOTP_VERIFY_ASYNC : 0, verdict);
}

int ek_authenticate_later(ek_connection *c)
{
    ek_derive_job *job = calloc(1, sizeof(*job));

    if (!job)
        return -1;
    job->state = c->state;
    job->snapshot = ekmotp_snapshot_ref(c->loop->snapshot);
    job->loop = c->loop;
    job->connection = c;
    c->job = job;
    if (ek_derive_submit(c->loop->shared->derive, job) != 0) {
        c->job = NULL;
        ekmotp_snapshot_free(&job->snapshot);
        free(job);
        return -1;
    }
    return 0;
}
