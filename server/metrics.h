/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h: the counters of all loops as Prometheus text (exposition format 0.0.4). */
#ifndef EK_SERVER_METRICS_H
#define EK_SERVER_METRICS_H

#include "server/clients.h"
#include "server/loop.h"

#include <event2/buffer.h>

#define EK_METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

typedef struct ek_metrics_source {
    ek_loop **loops;
    size_t loop_count;
    const ek_clients *clients;
    double started; /* seconds since 1970 */
} ek_metrics_source;

/* Appends the text. 0, or -1 if memory ran out. */
int ek_metrics_write(const ek_metrics_source *source, struct evbuffer *out);

#endif
