/* SPDX-License-Identifier: Apache-2.0 */
/* download.h: a file on its way to a peer, read piece by piece as the peer takes it. */
#ifndef EK_SERVER_DOWNLOAD_H
#define EK_SERVER_DOWNLOAD_H

#include "server/answer.h"
#include "server/connection.h"

/* Takes the file over from an answer whose head is in the output buffer. */
void ek_download_start(ek_connection *c, ek_answer *answer);
/*
 * Puts the next piece into the output buffer; behind the last one the connection goes on. A file that has
 * become shorter than its Content-Length cuts the connection: nothing stands in for what is missing.
 */
void ek_download_continue(ek_connection *c);
/* Closes the file, if there is one. */
void ek_download_drop(ek_connection *c);

#endif
