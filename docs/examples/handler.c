/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handler.c: adds /hello to ekmotpd. Build and use it:
 *
 *     cc -shared -fPIC -o handler.so handler.c
 *     ekmotpd serve ... --handler '/hello=./handler.so,Good morning'
 *
 * GET gives a greeting with the client's verified id, POST gives the body back.
 */
#include <ekmotp/handler.h>
#include <stdlib.h>
#include <string.h>

static int start(const char *argument, void **ctx, ekmotp_error *err)
{
    (void)err;
    *ctx = strdup(argument[0] ? argument : "Hello");
    return *ctx ? 0 : EKMOTP_E_NOMEM;
}

static void answer(void *ctx, const ekmotp_handler_request *request, ekmotp_handler_answer *to)
{
    const char *greeting = ctx;

    if (strcmp(request->method, "GET") == 0) {
        to->write(to, greeting, strlen(greeting));
        to->write(to, ", ", 2);
        to->write(to, request->client_id, request->client_id_len);
        to->write(to, "\n", 1);
    } else if (strcmp(request->method, "POST") == 0) {
        to->content_type = "application/octet-stream";
        to->write(to, request->body, request->body_len);
    } else {
        to->status = 405;
    }
}

static void stop(void *ctx)
{
    free(ctx);
}

const ekmotp_handler ekmotp_handler_entry = {EKMOTP_HANDLER_ABI, start, answer, stop};
