/* SPDX-License-Identifier: Apache-2.0 */
/* static_files.h: files of one folder, and nothing outside it. */
#ifndef EK_SERVER_STATIC_FILES_H
#define EK_SERVER_STATIC_FILES_H

#include "server/answer.h"
#include "server/head.h"

#include <ekmotp/error.h>

#define EK_STATIC_PREFIX "/static/"

/* Opens the folder; its descriptor to *fd. EKMOTP_E_IO, also where the kernel has no openat2(2). */
int ek_static_open(const char *folder, int *fd, ekmotp_error *err) __attribute__((warn_unused_result));

/*
 * Fills the answer with the file that a path (as sent, EK_STATIC_PREFIX cut off) names. No symbolic link is
 * followed, no name that begins with a dot is given out, a folder gives its index.html. 404 for everything
 * that is not there for any reason, 503 where the server is out of descriptors.
 */
void ek_static_answer(int folder, ek_slice path, ek_answer *answer);

#endif
