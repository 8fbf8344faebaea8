/* SPDX-License-Identifier: Apache-2.0 */
/* derive.h: threads that make channel secrets with slow keys, so that no event loop waits for a token. */
#ifndef EK_SERVER_DERIVE_H
#define EK_SERVER_DERIVE_H

#include <ekmotp/directory.h>

struct ek_connection;
struct ek_loop;

typedef struct ek_derive ek_derive;

/* One channel secret to be made. The loop owns everything but state while the job runs. */
typedef struct ek_derive_job {
    ekmotp_verifier_state *state;     /* of the connection; the job's once the connection is gone */
    ekmotp_snapshot *snapshot;        /* keeps the key alive */
    struct ek_loop *loop;             /* where to report */
    struct ek_connection *connection; /* NULL once it is gone; the loop's thread alone looks at it */
    struct ek_derive_job *next;
} ek_derive_job;

/* Starts the threads. EKMOTP_E_NOMEM, _IO. */
int ek_derive_new(unsigned threads, ek_derive **out, ekmotp_error *err) __attribute__((warn_unused_result));
/* Lets jobs under way end, gives back the others undone, and ends the threads. NULL-safe. */
void ek_derive_free(ek_derive **derive);

/* Queues a job; it comes back through ek_loop_post_job. 0, or EKMOTP_E_LIMIT if too many wait. */
int ek_derive_submit(ek_derive *derive, ek_derive_job *job) __attribute__((warn_unused_result));

#endif
