/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/common/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int ek_streams_open(void)
{
    /* Opened the wrong way round: a closed output stays one that cannot be written. */
    static const int flags[] = {O_WRONLY, O_RDONLY, O_WRONLY};

    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        if (errno != EBADF || open("/dev/null", flags[fd]) != fd)
            return -1;
    }
    return 0;
}
