/* SPDX-License-Identifier: Apache-2.0 */
#include "server/derive.h"

#include "server/loop.h"

#include <pthread.h>
#include <stdlib.h>

#define WAITING_MAX 1024 /* a token that is this far behind does not catch up before its clients give up */

struct ek_derive {
    pthread_mutex_t lock;
    pthread_cond_t work;
    ek_derive_job *first, **last;
    unsigned waiting;
    int stopping;
    unsigned threads;
    pthread_t ids[];
};

static ek_derive_job *next_job(ek_derive *d)
{
    ek_derive_job *job = NULL;

    pthread_mutex_lock(&d->lock);
    while (!d->first && !d->stopping)
        pthread_cond_wait(&d->work, &d->lock);
    if (d->first && !d->stopping) {
        job = d->first;
        d->first = job->next;
        if (!d->first)
            d->last = &d->first;
        d->waiting--;
        job->next = NULL;
    }
    pthread_mutex_unlock(&d->lock);
    return job;
}

static void *work(void *arg)
{
    ek_derive *d = arg;
    ek_derive_job *job;

    while ((job = next_job(d)) != NULL) {
        ekmotp_verifier_derive(job->state);
        ek_loop_post_job(job->loop, job);
    }
    return NULL;
}

int ek_derive_new(unsigned threads, ek_derive **out, ekmotp_error *err)
{
    ek_derive *d = calloc(1, sizeof(*d) + threads * sizeof(d->ids[0]));

    if (!d)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory");
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->work, NULL);
    d->last = &d->first;
    for (; d->threads < threads; d->threads++) {
        if (pthread_create(&d->ids[d->threads], NULL, work, d) != 0) {
            ek_derive_free(&d);
            return ekmotp_error_set(err, EKMOTP_E_IO, "cannot start a thread for token operations");
        }
    }
    *out = d;
    return 0;
}

void ek_derive_free(ek_derive **derive)
{
    ek_derive *d = derive ? *derive : NULL;

    if (!d)
        return;
    pthread_mutex_lock(&d->lock);
    d->stopping = 1;
    pthread_cond_broadcast(&d->work);
    pthread_mutex_unlock(&d->lock);
    for (unsigned i = 0; i < d->threads; i++)
        pthread_join(d->ids[i], NULL);
    while (d->first) {
        ek_derive_job *job = d->first;

        d->first = job->next;
        ek_loop_post_job(job->loop, job);
    }
    pthread_cond_destroy(&d->work);
    pthread_mutex_destroy(&d->lock);
    free(d);
    *derive = NULL;
}

int ek_derive_submit(ek_derive *derive, ek_derive_job *job)
{
    int rc = 0;

    pthread_mutex_lock(&derive->lock);
    if (derive->waiting >= WAITING_MAX || derive->stopping) {
        rc = EKMOTP_E_LIMIT;
    } else {
        job->next = NULL;
        *derive->last = job;
        derive->last = &job->next;
        derive->waiting++;
        pthread_cond_signal(&derive->work);
    }
    pthread_mutex_unlock(&derive->lock);
    return rc;
}
