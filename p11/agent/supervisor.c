/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "p11/agent/front.h"
#include "p11/agent/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_MS 5000 /* a supervisor that starts no worker by then is stuck */

/* A message with two descriptors, or with none: the worker could not be started. */
typedef union rights {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(2 * sizeof(int))];
} rights;

int ek_supervisor_ask_worker(int control, int *fd, int *pidfd, pid_t *pid, ekmotp_error *err)
{
    struct pollfd p = {.fd = control, .events = POLLIN};
    pid_t answer = 0;
    struct iovec io = {.iov_base = &answer, .iov_len = sizeof(answer)};
    rights r = {{0}};
    struct msghdr m = {
        .msg_iov = &io, .msg_iovlen = 1, .msg_control = r.bytes, .msg_controllen = sizeof(r.bytes)};
    struct cmsghdr *c;
    int fds[2];

    if (send(control, "w", 1, MSG_NOSIGNAL) != 1 || poll(&p, 1, ANSWER_MS) != 1 ||
        recvmsg(control, &m, MSG_CMSG_CLOEXEC) != sizeof(answer))
        return ekmotp_error_set(err, EKMOTP_E_AGENT, "agent: its supervisor starts no worker");
    c = CMSG_FIRSTHDR(&m);
    if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(fds)))
        return ekmotp_error_set(err, EKMOTP_E_AGENT, "agent: a worker could not be started");
    memcpy(fds, CMSG_DATA(c), sizeof(fds));
    *fd = fds[0];
    *pidfd = fds[1];
    *pid = answer;
    return 0;
}

/* In the child: becomes a worker. Only async-signal-safe calls are needed, but nothing here has threads. */
static void become_worker(const ek_agent_options *o, int fd, pid_t parent)
{
    const char **argv = calloc(o->module_count + 5, sizeof(*argv));
    sigset_t none;
    size_t n = 0;

    if (!argv || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != parent)
        _exit(127);
    argv[n++] = "ekmotp-agent";
    argv[n++] = "--worker";
    if (o->shared)
        argv[n++] = "--shared";
    if (o->verbose)
        argv[n++] = "--verbose";
    for (size_t i = 0; i < o->module_count; i++) {
        char *text;

        if (asprintf(&text, "--allow-module=%s", o->modules[i]) < 0)
            _exit(127);
        argv[n++] = text;
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* dup2 onto itself would keep the flag that closes it. */
    if (fd == EK_AGENT_FD) {
        fd = dup(fd);
        close(EK_AGENT_FD);
    }
    if (dup2(fd, EK_AGENT_FD) != EK_AGENT_FD || close_range(EK_AGENT_FD + 1, ~0U, 0) != 0)
        _exit(127);
    execv("/proc/self/exe", (char *const *)argv);
    _exit(127);
}

static int start_worker(const ek_agent_options *o, int fds[2], pid_t *child)
{
    int pair[2], pidfd = -1;
    pid_t self = getpid(), pid;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return -1;
    pid = fork();
    if (pid == 0)
        become_worker(o, pair[1], self);
    close(pair[1]);
    if (pid > 0)
        pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) {
        if (pid > 0)
            kill(pid, SIGKILL);
        close(pair[0]);
        return -1;
    }
    fds[0] = pair[0];
    fds[1] = pidfd;
    *child = pid;
    return 0;
}

static int answer_front(const ek_agent_options *o, int control)
{
    char byte;
    pid_t pid = 0;
    struct iovec io = {.iov_base = &pid, .iov_len = sizeof(pid)};
    rights r = {{0}};
    struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1};
    struct cmsghdr *c;
    int fds[2], rc;

    if (recv(control, &byte, 1, 0) != 1)
        return -1;
    if (start_worker(o, fds, &pid) != 0)
        return sendmsg(control, &m, MSG_NOSIGNAL) == sizeof(pid) ? 0 : -1;
    m.msg_control = r.bytes;
    m.msg_controllen = sizeof(r.bytes);
    c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(fds));
    memcpy(CMSG_DATA(c), fds, sizeof(fds));
    rc = sendmsg(control, &m, MSG_NOSIGNAL) == sizeof(pid) ? 0 : -1;
    close(fds[0]);
    close(fds[1]);
    return rc;
}

/* Collects children that ended. 1 and *status if the front is among them. */
static int reap(pid_t front_pid, int *status)
{
    pid_t pid;
    int s, ended = 0;

    while ((pid = waitpid(-1, &s, WNOHANG)) > 0) {
        if (pid != front_pid)
            continue;
        ended = 1;
        *status = WIFEXITED(s) ? WEXITSTATUS(s) : EXIT_FAILURE;
    }
    return ended;
}

static int supervise(const ek_agent_options *o, int control, int signals, pid_t front_pid)
{
    struct pollfd polled[] = {{.fd = control, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    struct signalfd_siginfo info;
    int status = EXIT_FAILURE;

    for (;;) {
        if (poll(polled, 2, -1) < 0 && errno != EINTR)
            return EXIT_FAILURE;
        if (polled[1].revents && read(signals, &info, sizeof(info)) == sizeof(info)) {
            if (info.ssi_signo != SIGCHLD)
                return EXIT_SUCCESS;
            if (reap(front_pid, &status))
                return status;
        }
        /* Where the front closes its end it is about to end: SIGCHLD comes. */
        if (polled[0].revents && answer_front(o, control) != 0)
            polled[0].fd = -1;
    }
}

int ek_supervisor_run(const ek_agent_options *options, int socket)
{
    pid_t self = getpid(), front_pid;
    int pair[2], signals;
    sigset_t watched, none;

    sigemptyset(&none);
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGTERM);
    sigaddset(&watched, SIGINT);
    sigaddset(&watched, SIGHUP);
    sigprocmask(SIG_BLOCK, &watched, NULL);
    signals = signalfd(-1, &watched, SFD_CLOEXEC);
    if (signals < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return EXIT_FAILURE;
    front_pid = fork();
    if (front_pid == 0) {
        close(signals);
        close(pair[0]);
        /* Signals to the whole group of a terminal are the supervisor's business. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != self)
            _exit(EXIT_FAILURE);
        _exit(ek_front_run(options, pair[1], socket));
    }
    close(pair[1]);
    close(socket);
    return front_pid < 0 ? EXIT_FAILURE : supervise(options, pair[0], signals, front_pid);
}
