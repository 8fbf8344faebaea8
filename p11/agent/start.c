/* SPDX-License-Identifier: Apache-2.0 */
/* start.c: how a program gets a socket to an agent: a new process of its own, or one that is there. */
#include "config.h"

#include "p11/agent/agent.h"
#include "p11/agent/deadline.h"
#include "p11/agent/options.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

extern char **environ;

static int spawn(const char *program, int fd, pid_t *child)
{
    char *argv[] = {(char *)"ekmotp-agent", (char *)"--private", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int rc;

    if (posix_spawn_file_actions_init(&actions) != 0)
        return ENOMEM;
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return ENOMEM;
    }
    sigemptyset(&none);
    sigfillset(&all);
    rc = posix_spawn_file_actions_adddup2(&actions, fd, EK_AGENT_FD);
    if (rc == 0)
        rc = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (rc == 0)
        rc = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (rc == 0)
        rc = posix_spawnattr_setsigmask(&attributes, &none);
    if (rc == 0)
        rc = posix_spawnattr_setsigdefault(&attributes, &all);
    if (rc == 0)
        rc = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (rc == 0)
        rc = posix_spawn(child, program, &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

int ek_agent_start(const char *program, int *fd, pid_t *child, ekmotp_error *err)
{
    int pair[2], rc;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return ekmotp_error_set(err, EKMOTP_E_AGENT, "agent: socketpair: %s", strerror(errno));
    rc = spawn(program, pair[1], child);
    close(pair[1]);
    if (rc != 0) {
        close(pair[0]);
        return ekmotp_error_set(err, EKMOTP_E_AGENT, "agent: %s cannot be started: %s", program,
                                strerror(rc));
    }
    *fd = pair[0];
    return 0;
}

int ek_agent_reach(const char *path, int64_t deadline, int *fd, ekmotp_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int left = ek_left_ms(deadline, ek_time_ms());
    struct timeval wait = {.tv_sec = left / 1000, .tv_usec = (left % 1000) * 1000 + 1};
    int s;

    if (strlen(path) >= sizeof(address.sun_path))
        return ekmotp_error_set(err, EKMOTP_E_AGENT, "agent: %s: the path of a socket has at most %zu bytes",
                                path, sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s < 0)
        return ekmotp_error_set(err, EKMOTP_E_AGENT, "agent: socket: %s", strerror(errno));
    /* Bounds the wait for room in the agent's queue of connections (unix(7)). */
    if (setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) != 0 ||
        connect(s, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        int saved = errno;

        close(s);
        return ekmotp_error_set(err, EKMOTP_E_AGENT, "agent: %s: %s%s", path, strerror(saved),
                                saved == ENOENT || saved == ECONNREFUSED
                                    ? "; no agent listens there, start one: ekmotp-agent --socket PATH"
                                    : "");
    }
    *fd = s;
    return 0;
}
