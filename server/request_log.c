/* SPDX-License-Identifier: Apache-2.0 */
#include "server/request_log.h"

#include "lib/common/base64.h"

#include <string.h>

static ek_log_level level_of(int status, const ekmotp_verdict *verdict)
{
    if (status >= 500)
        return EK_LOG_ERROR;
    if (status == 401 && verdict && verdict->reason != EKMOTP_REASON_NO_CREDENTIALS)
        return EK_LOG_WARNING;
    return EK_LOG_INFO;
}

static void log_verdict(ek_log_line *line, const ekmotp_verdict *verdict)
{
    const char *reason = ekmotp_reason_name(verdict->reason);

    ek_log_string(line, "reason", reason ? reason : "unknown");
    if (verdict->reason != EKMOTP_REASON_OK && verdict->reason != EKMOTP_REASON_NO_CREDENTIALS)
        ek_log_string(line, "why", ekmotp_reason_text(verdict->reason));
    if (verdict->id_len > 0) {
        ek_log_bytes(line, "client", verdict->id, verdict->id_len);
        ek_log_string(line, "profile", ekmotp_profile_name(verdict->profile));
    }
    if (verdict->n > 0)
        ek_log_number(line, "n", verdict->n);
    if (verdict->detail.message[0])
        ek_log_string(line, "detail", verdict->detail.message);
}

/* Without the query, which may hold what is nobody's business. */
static void log_target(ek_log_line *line, const ek_head *head)
{
    const char *query = memchr(head->target.at, '?', head->target.len);
    size_t len = query ? (size_t)(query - head->target.at) : head->target.len;

    ek_log_text(line, "method", head->method.at, head->method.len);
    ek_log_text(line, "path", head->target.at, len < 256 ? len : 256);
}

void ek_request_log(const ek_connection *c, const ek_head *head, int status, const ekmotp_verdict *verdict,
                    const char *why)
{
    int accepted = verdict && verdict->status == EKMOTP_VERDICT_ACCEPTED;
    unsigned about = verdict ? (unsigned)verdict->reason : EK_QUOTA_BAD_REQUEST;
    ek_log_line line;

    if (!ek_log_enabled(level_of(status, verdict)) ||
        (!accepted && !ek_quota_take(c->loop->shared->quota, about, ek_loop_now())))
        return;
    ek_log_begin(&line, level_of(status, verdict), "request");
    ek_log_string(&line, "peer", c->peer);
    ek_log_number(&line, "connection", c->serial);
    ek_log_number(&line, "status", (uint64_t)status);
    if (verdict)
        log_verdict(&line, verdict);
    if (why)
        ek_log_string(&line, "why", why);
    if (head) {
        log_target(&line, head);
    }
    ek_log_end(&line);
}

void ek_request_log_derived(const ek_connection *c, const ekmotp_verdict *verdict)
{
    ek_base64_kind kind = verdict->profile == EKMOTP_PROFILE_V1 ? EK_BASE64URL : EK_BASE64;
    char text[EK_BASE64_SIZE(sizeof(verdict->proof))];
    ek_log_line line;

    if (verdict->proof_len == 0 ||
        ek_base64_encode(kind, verdict->proof, verdict->proof_len, text, sizeof(text)) != 0)
        return;
    ek_log_begin(&line, EK_LOG_WARNING, "derived");
    ek_log_number(&line, "connection", c->serial);
    ek_log_bytes(&line, "client", verdict->id, verdict->id_len);
    ek_log_string(&line, "profile", ekmotp_profile_name(verdict->profile));
    ek_log_string(&line, "value", text);
    ek_log_end(&line);
}
