/* SPDX-License-Identifier: Apache-2.0 */
#include "client/trace.h"
#include "client/redact.h"

#include <stdio.h>
#include <string.h>

/* One line; bytes that could drive a terminal are shown as '?'. */
static void print_line(char mark, const char *line, size_t len, int secrets)
{
    size_t shown = secrets ? len : ek_redact_length(line, len);

    fprintf(stderr, "%c ", mark);
    for (size_t i = 0; i < shown; i++)
        fputc((unsigned char)line[i] < ' ' && line[i] != '\t' ? '?' : line[i], stderr);
    fprintf(stderr, "%s\n", shown < len ? EK_REDACTED : "");
}

int ek_trace(CURL *curl, curl_infotype type, char *text, size_t len, void *clientp)
{
    const int *secrets = clientp;
    const char *at = text, *end = text + len;
    char mark = type == CURLINFO_TEXT ? '*' : type == CURLINFO_HEADER_OUT ? '>' : '<';

    (void)curl;
    if (type != CURLINFO_TEXT && type != CURLINFO_HEADER_OUT && type != CURLINFO_HEADER_IN)
        return 0;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const char *next = stop ? stop + 1 : end;

        if (!stop)
            stop = end;
        if (stop > at && stop[-1] == '\r')
            stop--;
        print_line(mark, at, (size_t)(stop - at), *secrets);
        at = next;
    }
    return 0;
}
