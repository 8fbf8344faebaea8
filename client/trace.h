/* SPDX-License-Identifier: Apache-2.0 */
/* trace.h: what -v shows: libcurl's trace as the curl tool prints it, without proofs. */
#ifndef EK_CLIENT_TRACE_H
#define EK_CLIENT_TRACE_H

#include <curl/curl.h>

/* For CURLOPT_DEBUGFUNCTION; clientp is an int: 1 shows secrets too. */
int ek_trace(CURL *curl, curl_infotype type, char *text, size_t len, void *clientp);

#endif
