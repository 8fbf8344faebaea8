/* SPDX-License-Identifier: Apache-2.0 */
/* report.h: one line of JSON about each request, for programs (--report). */
#ifndef EK_CLIENT_REPORT_H
#define EK_CLIENT_REPORT_H

#include "client/answer.h"
#include "client/request_options.h"

#include <stdio.h>

typedef struct ek_report {
    const ek_request_options *options;
    const char *url;
    CURL *curl;
    const ek_binding_state *state;
    const ek_answer *answer;
    int exit_code;
    const char *error; /* "" where all went well */
} ek_report;

/* Writes the line and flushes it. EKMOTP_E_IO, EKMOTP_E_NOMEM. */
int ek_report_write(FILE *to, const ek_report *report, ekmotp_error *err) __attribute__((warn_unused_result));

#endif
