/* SPDX-License-Identifier: Apache-2.0 */
/* dying_vfs.h: a process that is killed at a chosen write of SQLite. */
#ifndef TESTS_DIRECTORY_DYING_VFS_H
#define TESTS_DIRECTORY_DYING_VFS_H

/* Has SIGKILL end this process at its n-th write, flush or removal of a file of SQLite; a write is done by
 * half. */
void die_at_write(unsigned n);

#endif
