/* SPDX-License-Identifier: Apache-2.0 */
#include "server/exchange.h"

#include "server/answer.h"
#include "server/authenticate.h"
#include "server/content.h"
#include "server/download.h"
#include "server/request_log.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#define OUTPUT_MAX 16384   /* bytes that may wait for a slow reader before the next request is looked at */
#define REQUESTS_A_TURN 32 /* pipelined requests of one connection before others have their turn */
#define TOKEN_GRACE 2      /* seconds beyond the time that a token has, for those who queue for it */
#define RETRY_AFTER 5      /* seconds */

/* ---- answers ---- */

static int last_request(const ek_connection *c)
{
    unsigned max = c->loop->shared->config->requests_per_connection;

    return c->loop->draining || (max > 0 && c->requests >= max);
}

/* Writes the answer and moves on to the next request or to the end. head is NULL where it was not understood.
 */
static void send_answer(ek_connection *c, const ek_head *head, ek_answer *answer)
{
    struct evbuffer *out = bufferevent_get_output(c->bev);
    int head_only = head && ek_slice_is(head->method, "HEAD");

    c->requests++;
    if (answer->status > 0 && answer->status < EK_STATUS_MAX)
        ek_count(&c->loop->counts.answers[answer->status]);
    answer->close |= !head || head->close || last_request(c);
    if (ek_answer_write(answer, ek_loop_date(c->loop), head_only, out) != 0)
        ek_connection_answered(c, 1);
    else if (answer->file >= 0 && !head_only)
        ek_download_start(c, answer);
    else
        ek_connection_answered(c, answer->close);
}

/*
 * A request that is not understood, or too large: the connection cannot go on. verdict is NULL unless its
 * head was verified.
 */
static void send_bad(ek_connection *c, const ek_head *head, int status, const ekmotp_verdict *verdict,
                     const char *why)
{
    ek_answer answer;

    ek_answer_init(&answer, status);
    answer.close = 1;
    answer.info = verdict ? verdict->authentication_info : NULL;
    ek_request_log(c, head, status, verdict, why);
    send_answer(c, NULL, &answer);
    ek_answer_clear(&answer);
}

/* The uniform 401, or the 503 of a client whose key cannot be used now. */
static void send_refusal(ek_connection *c, const ek_head *head, const ekmotp_verdict *verdict)
{
    int unavailable = verdict->status == EKMOTP_VERDICT_UNAVAILABLE;
    ek_answer answer;

    ek_answer_init(&answer, unavailable ? 503 : 401);
    if (unavailable)
        answer.retry_after = RETRY_AFTER;
    else
        answer.challenge = ekmotp_verifier_challenge(c->loop->shared->verifier);
    /* Nobody's body is read before it is known who sends it. */
    answer.close = head->chunked || head->content_length > 0 || !c->state;
    ek_request_log(c, head, answer.status, verdict, NULL);
    send_answer(c, head, &answer);
    ek_answer_clear(&answer);
}

static void send_content(ek_connection *c, const ek_head *head, const ekmotp_verdict *verdict,
                         struct evbuffer *body)
{
    ek_request request = {head, verdict, body};
    ek_answer answer;

    ek_content_answer(c->loop->shared->content, &request, &answer);
    answer.info = verdict->authentication_info;
    ek_request_log(c, head, answer.status, verdict, NULL);
    if (c->loop->shared->config->show_derived)
        ek_request_log_derived(c, verdict);
    send_answer(c, head, &answer);
    ek_answer_clear(&answer);
}

/* ---- requests ---- */

static void drop_waiting(ek_connection *c)
{
    ek_waiting *w = c->waiting;

    if (!w)
        return;
    c->waiting = NULL;
    ekmotp_verdict_clear(&w->verdict);
    evbuffer_free(w->body);
    free(w);
}

void ek_exchange_drop(ek_connection *c)
{
    drop_waiting(c);
    ek_download_drop(c);
}

/* Keeps a verified request while its body comes in; takes the verdict. bytes is its head. */
static int keep_waiting(ek_connection *c, const char *bytes, size_t len, const ek_body *framing,
                        ekmotp_verdict *verdict)
{
    ek_waiting *w = calloc(1, sizeof(*w) + len);
    const char *why = NULL;

    if (!w || !(w->body = evbuffer_new())) {
        free(w);
        return -1;
    }
    memcpy(w->bytes, bytes, len);
    w->framing = *framing;
    if (ek_head_parse(w->bytes, len, &w->head, &why) != EK_HEAD_OK) {
        evbuffer_free(w->body);
        free(w);
        return -1;
    }
    w->verdict = *verdict;
    verdict->claims = NULL;
    c->waiting = w;
    return 0;
}

/* A verified request: answer it, or read its body first. */
static void start_accepted(ek_connection *c, const char *bytes, const ek_head *head, ekmotp_verdict *verdict)
{
    const ek_config *config = c->loop->shared->config;
    ek_body framing;

    switch (ek_body_init(&framing, head, config->body_size)) {
    case EK_BODY_DONE:
        send_content(c, head, verdict, NULL);
        break;
    case EK_BODY_LARGE:
        send_bad(c, head, 413, verdict, "the body is larger than allowed");
        break;
    case EK_BODY_MORE:
    case EK_BODY_BAD:
    default:
        if (keep_waiting(c, bytes, c->head_len, &framing, verdict) != 0) {
            send_bad(c, head, 503, NULL, "out of memory");
            break;
        }
        if (head->expect_continue)
            evbuffer_add(bufferevent_get_output(c->bev), "HTTP/1.1 100 Continue\r\n\r\n", 25);
        ek_connection_enter(c, EK_PHASE_BODY, config->body_timeout);
        break;
    }
}

/* A slow key: a worker thread goes on, and nothing is read meanwhile. */
static void start_pending(ek_connection *c, const ek_head *head, ekmotp_verdict *verdict)
{
    if (ek_authenticate_later(c) == 0) {
        ek_count(&c->loop->counts.derives_begun);
        ek_connection_enter(c, EK_PHASE_VERIFY, c->loop->shared->config->token_timeout + TOKEN_GRACE);
        bufferevent_disable(c->bev, EV_READ);
        return;
    }
    verdict->status = EKMOTP_VERDICT_UNAVAILABLE;
    verdict->reason = EKMOTP_REASON_KEY_UNAVAILABLE;
    send_refusal(c, head, verdict);
}

/* The head of head_len bytes at the front of the input: verify, then answer. */
static void run_head(ek_connection *c)
{
    struct evbuffer *in = bufferevent_get_input(c->bev);
    const char *bytes = (const char *)evbuffer_pullup(in, (ev_ssize_t)c->head_len);
    const char *why = NULL;
    ekmotp_verdict verdict = {0};
    ek_head head;

    if (!bytes || ek_head_parse(bytes, c->head_len, &head, &why) != EK_HEAD_OK) {
        send_bad(c, NULL, bytes ? 400 : 503, NULL, why ? why : "out of memory");
        return;
    }
    switch (c->loop->shared->authenticate(c, &head, &verdict)) {
    case EKMOTP_VERDICT_ACCEPTED:
        start_accepted(c, bytes, &head, &verdict);
        break;
    case EKMOTP_VERDICT_PENDING:
        start_pending(c, &head, &verdict);
        break;
    case EKMOTP_VERDICT_REFUSED:
    case EKMOTP_VERDICT_UNAVAILABLE:
    default:
        send_refusal(c, &head, &verdict);
        break;
    }
    if (c->phase != EK_PHASE_VERIFY) {
        ek_count(&c->loop->counts.verdicts[verdict.reason]);
        evbuffer_drain(in, c->head_len);
    }
    ekmotp_verdict_clear(&verdict);
}

/* RFC 9112 section 2.2: an empty line before the request line is let pass (one). */
static void skip_empty_line(struct evbuffer *in)
{
    char two[2];

    if (evbuffer_copyout(in, two, 2) == 2 && two[0] == '\r' && two[1] == '\n')
        evbuffer_drain(in, 2);
}

/* 1 if there may be more to do. */
static int run_idle(ek_connection *c, struct evbuffer *in)
{
    if (evbuffer_get_length(in) == 0)
        return 0;
    if (c->requests > 0) /* the first head's time began with the end of the handshake */
        ek_connection_enter(c, EK_PHASE_HEAD, c->loop->shared->config->header_timeout);
    else
        c->phase = EK_PHASE_HEAD;
    skip_empty_line(in);
    c->scanned = 0;
    return 1;
}

/* Looks at what lies in one piece first: many small requests in a row are not copied together for each. */
static ek_head_result look_for_end(ek_connection *c, struct evbuffer *in, size_t have, const char **why)
{
    size_t piece = evbuffer_get_contiguous_space(in);
    ek_head_result rc = EK_HEAD_MORE;

    if (piece > have)
        piece = have;
    if (piece > c->scanned)
        rc = ek_head_find_end((const char *)evbuffer_pullup(in, (ev_ssize_t)piece), piece, &c->scanned,
                              &c->head_len, why);
    if (rc == EK_HEAD_MORE && piece < have) {
        const char *bytes = (const char *)evbuffer_pullup(in, (ev_ssize_t)have);

        if (bytes)
            return ek_head_find_end(bytes, have, &c->scanned, &c->head_len, why);
        *why = "out of memory";
        return EK_HEAD_BAD;
    }
    return rc;
}

static int find_head(ek_connection *c, struct evbuffer *in)
{
    size_t max = c->loop->shared->config->header_size;
    size_t have = evbuffer_get_length(in);
    const char *why = NULL;
    ek_head_result rc;

    if (have > max)
        have = max;
    rc = look_for_end(c, in, have, &why);
    switch (rc) {
    case EK_HEAD_OK:
        run_head(c);
        return 1;
    case EK_HEAD_BAD:
        send_bad(c, NULL, 400, NULL, why);
        return 0;
    case EK_HEAD_MORE:
    default:
        if (have == max)
            send_bad(c, NULL, 400, NULL, "the head is larger than allowed");
        return 0;
    }
}

static int run_body(ek_connection *c, struct evbuffer *in)
{
    ek_waiting *w = c->waiting;
    const char *why = NULL;

    switch (ek_body_read(&w->framing, in, w->body, &why)) {
    case EK_BODY_DONE:
        send_content(c, &w->head, &w->verdict, w->body);
        break;
    case EK_BODY_MORE:
        return 0;
    case EK_BODY_LARGE:
        send_bad(c, &w->head, 413, &w->verdict, "the body is larger than allowed");
        break;
    case EK_BODY_BAD:
    default:
        send_bad(c, &w->head, 400, &w->verdict, why);
        break;
    }
    drop_waiting(c);
    return 1;
}

void ek_exchange_run(ek_connection *c)
{
    struct evbuffer *in = bufferevent_get_input(c->bev);
    struct evbuffer *out = bufferevent_get_output(c->bev);
    uint64_t before = c->requests;
    int more = 1;

    while (more) {
        if (evbuffer_get_length(out) > OUTPUT_MAX) {
            /* on_write comes back here; until then nothing more is read */
            bufferevent_disable(c->bev, EV_READ);
            return;
        }
        if (c->requests - before == REQUESTS_A_TURN) {
            /* nor is more read before these are done */
            bufferevent_disable(c->bev, EV_READ);
            bufferevent_trigger(c->bev, EV_READ, BEV_OPT_DEFER_CALLBACKS);
            return;
        }
        switch (c->phase) {
        case EK_PHASE_IDLE:
            more = run_idle(c, in);
            break;
        case EK_PHASE_HEAD:
            more = find_head(c, in);
            break;
        case EK_PHASE_BODY:
            more = run_body(c, in);
            break;
        case EK_PHASE_FILE:
            ek_download_continue(c);
            break;
        case EK_PHASE_LINGER:
            evbuffer_drain(in, evbuffer_get_length(in));
            return;
        case EK_PHASE_HANDSHAKE:
        case EK_PHASE_VERIFY:
        case EK_PHASE_CLOSING:
        default:
            return;
        }
    }
    if (c->phase != EK_PHASE_CLOSING && c->phase != EK_PHASE_VERIFY &&
        !(bufferevent_get_enabled(c->bev) & EV_READ))
        bufferevent_enable(c->bev, EV_READ);
}

void ek_exchange_give_up(ek_connection *c)
{
    struct evbuffer *in = bufferevent_get_input(c->bev);
    const char *bytes = (const char *)evbuffer_pullup(in, (ev_ssize_t)c->head_len);
    ekmotp_verdict verdict = {.status = EKMOTP_VERDICT_UNAVAILABLE, .reason = EKMOTP_REASON_KEY_UNAVAILABLE};
    const char *why = NULL;
    ek_head head;

    ek_connection_leave_job(c);
    if (!bytes || ek_head_parse(bytes, c->head_len, &head, &why) != EK_HEAD_OK) {
        ek_connection_free(c);
        return;
    }
    send_refusal(c, &head, &verdict);
    ek_count(&c->loop->counts.verdicts[verdict.reason]);
}

void ek_exchange_resume(ek_derive_job *job)
{
    ek_connection *c = job->connection;

    ek_count(&job->loop->counts.derives);
    ekmotp_snapshot_free(&job->snapshot);
    if (!c) {
        ekmotp_verifier_state_free(&job->state);
        free(job);
        return;
    }
    free(job);
    c->job = NULL;
    if (c->phase != EK_PHASE_VERIFY)
        return;
    c->phase = EK_PHASE_HEAD;
    run_head(c);
    ek_exchange_run(c);
}
