/* SPDX-License-Identifier: Apache-2.0 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "client/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void become(const ek_child *child, int in, int out)
{
    if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0)
        _exit(126);
    if (child->fd == 3)
        fcntl(3, F_SETFD, 0);
    else if (child->fd >= 0 && dup2(child->fd, 3) < 0)
        _exit(126);
    for (size_t i = 0; child->env && child->env[i]; i++)
        putenv((char *)child->env[i]);
    signal(SIGPIPE, SIG_DFL);
    execvp(child->argv[0], (char *const *)child->argv);
    _exit(127);
}

/* Reads until the end or the deadline; what does not fit is read and dropped. 0, or -1 in time. */
static int collect(int fd, long long deadline, char *output, size_t size)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    size_t len = 0;

    output[0] = '\0';
    for (;;) {
        long long left = deadline - now_ms();
        char drop[512];
        int room = len + 1 < size;
        ssize_t n;

        if (left <= 0)
            return -1;
        if (poll(&p, 1, (int)left) <= 0)
            continue;
        n = read(fd, room ? output + len : drop, room ? size - 1 - len : sizeof(drop));
        if (n <= 0)
            return 0;
        if (room)
            output[len += (size_t)n] = '\0';
    }
}

int ek_child_run(const ek_child *child, char *output, size_t size, ekmotp_error *err)
{
    const long long deadline = now_ms() + child->timeout_ms;
    int in[2] = {-1, -1}, out[2] = {-1, -1}, status = 0, late, rc;
    pid_t pid;

    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || (pid = fork()) < 0) {
        rc = ekmotp_error_set(err, EKMOTP_E_IO, "%s: %s", child->argv[0], strerror(errno));
        goto out;
    }
    if (pid == 0)
        become(child, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    in[0] = out[1] = -1;
    /* The input is short: a pipe holds it whole. */
    if (child->input && write(in[1], child->input, child->input_len) < 0)
        output[0] = '\0';
    close(in[1]);
    in[1] = -1;
    late = collect(out[0], deadline, output, size) != 0;
    if (late)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (late)
        rc = ekmotp_error_set(err, EKMOTP_E_IO, "%s did not end within %u ms", child->argv[0],
                              child->timeout_ms);
    else if (!WIFEXITED(status))
        rc =
            ekmotp_error_set(err, EKMOTP_E_IO, "%s was ended by signal %d", child->argv[0], WTERMSIG(status));
    else if (WEXITSTATUS(status) == 127)
        rc = ekmotp_error_set(err, EKMOTP_E_IO, "%s is not installed", child->argv[0]);
    else
        rc = WEXITSTATUS(status);
out:
    for (int i = 0; i < 2; i++) {
        if (in[i] >= 0)
            close(in[i]);
        if (out[i] >= 0)
            close(out[i]);
    }
    return rc;
}
