/* SPDX-License-Identifier: Apache-2.0 */
/* list.h: walks over clients, with their opened keys. */
#ifndef EK_DIRECTORY_LIST_H
#define EK_DIRECTORY_LIST_H

#include "lib/directory/store.h"

/* Gets one record, keys included; a value that is not 0 ends the walk. */
typedef int (*ek_list_visit)(void *ctx, ekmotp_directory *directory, const ek_record *record,
                             ekmotp_error *err);
/* Calls visit for each client that the filter (NULL: all) lets through, in the order of their ids. */
int ek_list_walk(ekmotp_directory *directory, const ekmotp_directory_filter *filter, ek_list_visit visit,
                 void *ctx, ekmotp_error *err) __attribute__((warn_unused_result));

#endif
