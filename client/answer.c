/* SPDX-License-Identifier: Apache-2.0 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "client/answer.h"
#include "client/redact.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SCHEME "EKMOTP"

void ek_answer_init(ek_answer *answer, const ek_answer_options *options)
{
    memset(answer, 0, sizeof(*answer));
    answer->options = *options;
}

static void begin_head(ek_answer *answer)
{
    answer->in_head = 0;
    answer->head_done = 0;
    answer->status = 0;
    answer->head_len = 0;
    answer->info_count = 0;
    answer->info_len = 0;
    answer->challenged = 0;
    answer->withheld = 0;
    answer->proof = EK_SERVER_PROOF_NONE;
}

void ek_answer_begin(ek_answer *answer)
{
    begin_head(answer);
    answer->body_len = 0;
    memset(&answer->err, 0, sizeof(answer->err));
}

static int put(ek_answer *answer, const char *bytes, size_t len)
{
    if (!answer->options.hold)
        return ek_output_write(answer->options.output, bytes, len, &answer->err);
    if (!answer->held) {
        answer->held_put = 0;
        answer->held = open_memstream(&answer->held_bytes, &answer->held_len);
    }
    if (len > EK_ANSWER_HELD_MAX - answer->held_put)
        return ekmotp_error_set(&answer->err, EKMOTP_E_LIMIT,
                                "the answer has more than %u bytes; ask for it without --parallel",
                                EK_ANSWER_HELD_MAX);
    answer->held_put += len;
    if (!answer->held || fwrite(bytes, 1, len, answer->held) != len)
        return ekmotp_error_set(&answer->err, EKMOTP_E_NOMEM, "out of memory for the answer");
    return 0;
}

int ek_answer_end(ek_answer *answer, ekmotp_error *err)
{
    int rc = 0;

    if (!answer->held)
        return 0;
    if (fclose(answer->held) != 0)
        rc = ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for the answer");
    else
        rc = ek_output_write(answer->options.output, answer->held_bytes, answer->held_len, err);
    answer->held = NULL;
    free(answer->held_bytes);
    answer->held_bytes = NULL;
    return rc;
}

void ek_answer_clear(ek_answer *answer)
{
    free(answer->head);
    answer->head = NULL;
}

/* If the line is the field of that name: 1, and its value without the white space around it. */
static int is_field(const char *line, size_t len, const char *name, const char **value, size_t *value_len)
{
    size_t name_len = strlen(name), end = len;

    if (len <= name_len || line[name_len] != ':' || strncasecmp(line, name, name_len) != 0)
        return 0;
    for (name_len++; name_len < end && strchr(" \t", line[name_len]);)
        name_len++;
    while (end > name_len && strchr(" \t\r\n", line[end - 1]))
        end--;
    *value = line + name_len;
    *value_len = end - name_len;
    return 1;
}

static int keep_line(ek_answer *answer, const char *line, size_t len)
{
    char *head = answer->head;

    if (len > EK_ANSWER_HEAD_MAX - answer->head_len)
        return ekmotp_error_set(&answer->err, EKMOTP_E_CHANNEL_EXPORT,
                                "the answer's header has more than %u bytes", EK_ANSWER_HEAD_MAX);
    if (!head) {
        head = malloc(EK_ANSWER_HEAD_MAX);
        if (!head)
            return ekmotp_error_set(&answer->err, EKMOTP_E_NOMEM, "out of memory for the answer");
        answer->head = head;
    }
    memcpy(head + answer->head_len, line, len);
    answer->head_len += len;
    return 0;
}

static int read_field(ek_answer *answer, const char *line, size_t len)
{
    const char *value;
    size_t value_len;

    if (is_field(line, len, "Authentication-Info", &value, &value_len)) {
        answer->info_count++;
        /* Too long a value is none of ours: an empty one is malformed, and refused as such. */
        answer->info_len = value_len <= sizeof(answer->info) ? value_len : 0;
        memcpy(answer->info, value, answer->info_len);
    } else if (is_field(line, len, "WWW-Authenticate", &value, &value_len)) {
        answer->challenged |= value_len >= strlen(SCHEME) &&
                              strncasecmp(value, SCHEME, strlen(SCHEME)) == 0 &&
                              (value_len == strlen(SCHEME) || strchr(" \t,", value[strlen(SCHEME)]));
    }
    if (!answer->options.include)
        return 0;
    if (!answer->options.show_secrets && (value_len = ek_redact_length(line, len)) < len) {
        int rc = keep_line(answer, line, value_len);

        return rc != 0 ? rc : keep_line(answer, EK_REDACTED "\r\n", strlen(EK_REDACTED "\r\n"));
    }
    return keep_line(answer, line, len);
}

static int check_proof(ek_answer *answer)
{
    int required = answer->options.require_server_proof, rc;

    if (!answer->options.expect_server_proof || (answer->info_count == 0 && !required))
        return 0;
    /* Who refuses us has verified nothing that it could prove: take the status and nothing else. */
    if (answer->status == 401 && answer->info_count == 0) {
        answer->withheld = 1;
        return 0;
    }
    if (answer->info_count > 1)
        rc = ekmotp_error_set(&answer->err, EKMOTP_E_SERVER_PROOF,
                              "the answer has %u Authentication-Info fields", answer->info_count);
    else
        rc = ek_binding_check_answer(answer->options.binding, answer->info_count ? answer->info : NULL,
                                     answer->info_len, &answer->err);
    answer->proof = rc == 0 ? EK_SERVER_PROOF_GOOD : EK_SERVER_PROOF_BAD;
    return rc;
}

/* The empty line behind the header: all that decides whether the body may be handed out is known. */
static int end_head(ek_answer *answer)
{
    int rc = 0;

    answer->in_head = 0;
    answer->head_done = 1;
    /* 1xx are not the answer yet (RFC 9110 section 15.2); 101 would be its end. */
    if (answer->status < 100 || answer->status >= 200 || answer->status == 101)
        rc = check_proof(answer);
    if (rc == 0 && answer->options.include && !answer->withheld)
        rc = put(answer, answer->head, answer->head_len);
    return rc;
}

size_t ek_answer_header(char *line, size_t size, size_t count, void *arg)
{
    ek_answer *answer = arg;
    size_t len = size * count;
    int rc = 0;

    if (len == 0)
        return 0;
    /* Only the first line is one: a field whose name begins the same must not replace the status. */
    if (!answer->in_head && len >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        const char *space = memchr(line, ' ', len);

        begin_head(answer);
        answer->in_head = 1;
        answer->status = space ? strtol(space, NULL, 10) : 0;
        /* What was sent is answered: if libcurl sends again, it asks for new credentials first. */
        ek_binding_sent(answer->options.binding);
        rc = answer->options.include ? keep_line(answer, line, len) : 0;
    } else if (answer->head_done) {
        return len; /* trailers prove nothing: the body is out already */
    } else if (line[0] == '\r' || line[0] == '\n') {
        rc = answer->options.include ? keep_line(answer, line, len) : 0;
        if (rc == 0)
            rc = end_head(answer);
    } else {
        rc = read_field(answer, line, len);
    }
    return rc == 0 ? len : 0;
}

int ek_answer_check(const ek_answer *answer, long status, ekmotp_error *err)
{
    if (!answer->options.require_server_proof || answer->proof == EK_SERVER_PROOF_GOOD ||
        (status == 401 && answer->status == 401 && answer->withheld))
        return 0;
    return ekmotp_error_set(err, EKMOTP_E_SERVER_PROOF, "the answer ended without a server proof");
}

size_t ek_answer_body(char *bytes, size_t size, size_t count, void *arg)
{
    ek_answer *answer = arg;
    size_t len = size * count;

    /* Never before the header was seen to its end: fail closed whatever libcurl hands over. */
    if (!answer->head_done && answer->options.require_server_proof) {
        ekmotp_error_set(&answer->err, EKMOTP_E_SERVER_PROOF, "the answer has no header");
        return 0;
    }
    if (answer->withheld)
        return len;
    answer->body_len += len;
    return put(answer, bytes, len) == 0 ? len : 0;
}
