/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answer.h: what comes back. The server's proof stands in the header, so that it is checked before the
 * first byte of the body is handed out.
 */
#ifndef EK_CLIENT_ANSWER_H
#define EK_CLIENT_ANSWER_H

#include "client/binding.h"
#include "client/output.h"

#include <stdio.h>

#define EK_ANSWER_HEAD_MAX (256U << 10) /* bytes of an answer's header that are taken */
#define EK_ANSWER_HELD_MAX (16U << 20)  /* bytes of one answer that are held in memory, with hold */
#define EK_ANSWER_INFO_SIZE 1024        /* bytes of an Authentication-Info value that are taken */

typedef enum ek_server_proof {
    EK_SERVER_PROOF_NONE = 0, /* none was expected, or the answer had none */
    EK_SERVER_PROOF_GOOD,
    EK_SERVER_PROOF_BAD /* missing where it is required, malformed or wrong */
} ek_server_proof;

typedef struct ek_answer_options {
    ek_binding *binding;     /* borrowed */
    ek_output *output;       /* borrowed */
    int hold;                /* write an answer only when it is complete: others come at the same time */
    int include;             /* write the header too */
    int show_secrets;        /* write the server's proof where the header is shown */
    int expect_server_proof; /* the profile has one: it is checked where it stands */
    int require_server_proof;
} ek_answer_options;

typedef struct ek_answer {
    ek_answer_options options;
    FILE *held; /* with hold: what will be written, in held_bytes */
    char *held_bytes;
    size_t held_len;
    size_t held_put; /* what went into it so far */
    /* the header that is being read, or was read last */
    int in_head; /* between its first line and the empty one */
    int head_done;
    long status;
    char *head; /* its lines, where they are to be written */
    size_t head_len, head_size;
    unsigned info_count; /* how many Authentication-Info fields */
    char info[EK_ANSWER_INFO_SIZE];
    size_t info_len;
    int challenged; /* WWW-Authenticate names our scheme */
    int withheld;   /* a refusal without proof, where one is required: its body is not handed out */
    ek_server_proof proof;
    unsigned long long body_len;
    ekmotp_error err; /* why the transfer was ended */
} ek_answer;

void ek_answer_init(ek_answer *answer, const ek_answer_options *options);
/* Before each transfer. */
void ek_answer_begin(ek_answer *answer);
/*
 * After a transfer that libcurl calls complete, with the status that libcurl saw: EKMOTP_E_SERVER_PROOF where
 * a proof is required and neither it nor a refusal was seen, however the lines of the answer were read.
 */
int ek_answer_check(const ek_answer *answer, long status, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* After each transfer: writes what was held, also of an answer that broke off. EKMOTP_E_IO. */
int ek_answer_end(ek_answer *answer, ekmotp_error *err) __attribute__((warn_unused_result));
/* Releases what the answer holds. */
void ek_answer_clear(ek_answer *answer);

/* For CURLOPT_HEADERFUNCTION and CURLOPT_WRITEFUNCTION; the last argument is the ek_answer. */
size_t ek_answer_header(char *line, size_t size, size_t count, void *answer);
size_t ek_answer_body(char *bytes, size_t size, size_t count, void *answer);

#endif
