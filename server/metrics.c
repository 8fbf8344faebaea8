/* SPDX-License-Identifier: Apache-2.0 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "server/metrics.h"

#include <openssl/crypto.h>

typedef struct writer {
    struct evbuffer *out;
    const ek_metrics_source *source;
    int failed;
} writer;

#define SUM(w, member) sum(w, offsetof(ek_counts, member))

static uint64_t sum(const writer *w, size_t offset)
{
    uint64_t all = 0;

    for (size_t i = 0; i < w->source->loop_count; i++)
        all += ek_count_read((const uint64_t *)((const char *)&w->source->loops[i]->counts + offset));
    return all;
}

static void head(writer *w, const char *name, const char *type, const char *help)
{
    w->failed |= evbuffer_add_printf(w->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type) < 0;
}

static void plain(writer *w, const char *name, const char *type, const char *help, uint64_t value)
{
    head(w, name, type, help);
    w->failed |= evbuffer_add_printf(w->out, "%s %llu\n", name, (unsigned long long)value) < 0;
}

static void labelled(writer *w, const char *name, const char *label, const char *value, uint64_t count)
{
    w->failed |= evbuffer_add_printf(w->out, "%s{%s=\"%s\"} %llu\n", name, label, value,
                                     (unsigned long long)count) < 0;
}

static void write_connections(writer *w)
{
    uint64_t closed = SUM(w, closed); /* read before opened: the difference is never negative */
    uint64_t opened = SUM(w, opened);

    plain(w, "ekmotp_connections", "gauge", "Connections that are open.", opened - closed);
    plain(w, "ekmotp_connections_total", "counter", "Connections that were accepted.", opened);
    head(w, "ekmotp_connections_refused_total", "counter",
         "Connections closed at once, by the limit they met.");
    labelled(w, "ekmotp_connections_refused_total", "limit", "connections", SUM(w, over_all));
    labelled(w, "ekmotp_connections_refused_total", "limit", "connections-per-address", SUM(w, over_address));
    plain(w, "ekmotp_handshakes_total", "counter", "TLS handshakes that were finished.", SUM(w, handshakes));
    plain(w, "ekmotp_handshakes_failed_total", "counter", "TLS handshakes that failed.",
          SUM(w, handshakes_failed));
}

static void write_deadlines(writer *w)
{
    static const char *const names[EK_DEADLINE_COUNT] = {"handshake", "header", "body",
                                                         "send",      "idle",   "token"};

    head(w, "ekmotp_deadlines_missed_total", "counter", "Connections closed because a time was up.");
    for (size_t i = 0; i < EK_DEADLINE_COUNT; i++)
        labelled(w, "ekmotp_deadlines_missed_total", "limit", names[i],
                 sum(w, offsetof(ek_counts, missed) + i * sizeof(uint64_t)));
}

static void write_requests(writer *w)
{
    uint64_t done;

    head(w, "ekmotp_requests_total", "counter", "Requests that were answered, by status.");
    for (size_t i = 0; i < EK_STATUS_MAX; i++) {
        uint64_t n = sum(w, offsetof(ek_counts, answers) + i * sizeof(uint64_t));
        char status[16];

        snprintf(status, sizeof(status), "%zu", i);
        if (n > 0)
            labelled(w, "ekmotp_requests_total", "status", status, n);
    }
    head(w, "ekmotp_verdicts_total", "counter", "Verdicts about requests, by reason; \"ok\" was let in.");
    for (int i = 0; i < EKMOTP_REASON_COUNT; i++)
        labelled(w, "ekmotp_verdicts_total", "reason", ekmotp_reason_name((ekmotp_reason)i),
                 sum(w, offsetof(ek_counts, verdicts) + (size_t)i * sizeof(uint64_t)));
    done = SUM(w, derives); /* read first: the difference is never negative */
    plain(w, "ekmotp_token_waiting", "gauge", "Requests that wait for a token.",
          SUM(w, derives_begun) - done);
    plain(w, "ekmotp_token_derivations_total", "counter",
          "Channel secrets that were made with keys in tokens.", done);
}

static void write_directory(writer *w)
{
    ek_clients_counts c;

    if (!w->source->clients)
        return;
    ek_clients_read_counts(w->source->clients, &c);
    plain(w, "ekmotp_directory_clients", "gauge", "Clients in the directory that is in force.", c.clients);
    plain(w, "ekmotp_directory_loads_total", "counter", "Times that the directory was read.", c.loads);
    plain(w, "ekmotp_directory_failures_total", "counter", "Times that a new directory was refused.",
          c.failures);
}

int ek_metrics_write(const ek_metrics_source *source, struct evbuffer *out)
{
    writer w = {out, source, 0};

    head(&w, "ekmotp_build_info", "gauge", "Versions.");
    w.failed |= evbuffer_add_printf(out, "ekmotp_build_info{version=\"%s\",openssl=\"%s\"} 1\n",
                                    PACKAGE_VERSION, OpenSSL_version(OPENSSL_VERSION_STRING)) < 0;
    head(&w, "process_start_time_seconds", "gauge", "When the server was started, in seconds since 1970.");
    w.failed |= evbuffer_add_printf(out, "process_start_time_seconds %.3f\n", source->started) < 0;
    plain(&w, "ekmotp_loops", "gauge", "Event loops.", source->loop_count);
    write_connections(&w);
    write_deadlines(&w);
    write_requests(&w);
    write_directory(&w);
    return w.failed ? -1 : 0;
}
