/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: ekmotp-agent, the only process of ekmotp that loads PKCS#11 modules. */
#include "config.h"

#include "lib/common/streams.h"
#include "p11/agent/harden.h"
#include "p11/agent/listen.h"
#include "p11/agent/options.h"
#include "p11/agent/supervisor.h"
#include "p11/agent/worker.h"

#include <argp.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

const char *argp_program_version = "ekmotp-agent " PACKAGE_VERSION;

static const char doc[] =
    "Talks to PKCS#11 tokens for ekmotp and ekmotpd: it alone loads the modules, keeps the PIN, and makes "
    "MACs."
    "\vPrograms start an agent of their own when they need one. Start a shared one to enter the PIN once for "
    "many:\n\n"
    "  ekmotp-agent --socket \"$XDG_RUNTIME_DIR/ekmotp/agent\" &\n"
    "  export EKMOTP_AGENT_SOCK=\"$XDG_RUNTIME_DIR/ekmotp/agent\"\n"
    "  ekmotp request --key 'pkcs11:token=...;object=...' ...\n\n"
    "or let systemd do it: systemctl --user enable --now ekmotp-agent.socket\n\n"
    "A shared agent makes MACs only of the messages of the profile v1; the options allow more. The command "
    "'ekmotp agent status|lock|stop' manages it. See ekmotp-agent(1).";

enum {
    OPTION_SOCKET = 's',
    OPTION_GROUP = 'g',
    OPTION_VERBOSE = 'v',
    OPTION_COMPAT = 256,
    OPTION_RAW,
    OPTION_MODULE,
    OPTION_PRIVATE,
    OPTION_WORKER,
    OPTION_SHARED
};

static const struct argp_option arguments[] = {
    {"socket", OPTION_SOCKET, "PATH", 0, "Listen on this Unix socket; its folder is made with mode 0700", 0},
    {"group", OPTION_GROUP, "GROUP", 0, "Serve the members of this group too, not only the own user", 0},
    {"allow-compat", OPTION_COMPAT, NULL, 0, "Make MACs for the compat profiles too (any 32 bytes)", 0},
    {"allow-raw", OPTION_RAW, NULL, 0, "Make MACs of any message", 0},
    {"allow-module", OPTION_MODULE, "PATH", 0,
     "Load this PKCS#11 module although others than root may write it; may be given several times", 0},
    {"verbose", OPTION_VERBOSE, NULL, 0, "Let the modules write their messages", 0},
    {"private", OPTION_PRIVATE, NULL, OPTION_HIDDEN, NULL, 0},
    {"worker", OPTION_WORKER, NULL, OPTION_HIDDEN, NULL, 0},
    {"shared", OPTION_SHARED, NULL, OPTION_HIDDEN, NULL, 0},
    {0}};

typedef struct command {
    ek_agent_options options;
    int private;
    int worker;
} command;

static int add_module(ek_agent_options *o, const char *path)
{
    const char **more = reallocarray(o->modules, o->module_count + 1, sizeof(*more));

    if (!more)
        return -1;
    o->modules = more;
    o->modules[o->module_count++] = path;
    return 0;
}

static error_t parse(int key, char *value, struct argp_state *state)
{
    command *c = state->input;
    const struct group *group;

    switch (key) {
    case OPTION_SOCKET:
        c->options.socket = value;
        break;
    case OPTION_GROUP:
        group = getgrnam(value);
        if (!group)
            argp_error(state, "--group: there is no group '%s'", value);
        c->options.any_group = 1;
        c->options.group = group ? group->gr_gid : 0;
        break;
    case OPTION_COMPAT:
        c->options.policy |= EK_AGENT_COMPAT;
        break;
    case OPTION_RAW:
        c->options.policy |= EK_AGENT_RAW;
        break;
    case OPTION_MODULE:
        if (add_module(&c->options, value) != 0)
            argp_failure(state, EXIT_FAILURE, 0, "out of memory");
        break;
    case OPTION_VERBOSE:
        c->options.verbose = 1;
        break;
    case OPTION_PRIVATE:
        c->private = 1;
        break;
    case OPTION_WORKER:
        c->worker = 1;
        break;
    case OPTION_SHARED:
        c->options.shared = 1;
        break;
    case ARGP_KEY_ARG:
        argp_error(state, "'%s' is one argument too many", value);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/* Whether systemd passed exactly one listening socket (sd_listen_fds(3): the variables, and descriptor 3). */
static int was_passed_socket(void)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    int listening = 0;
    socklen_t len = sizeof(listening);

    if (!pid || !count || strtol(pid, NULL, 10) != (long)getpid() || strcmp(count, "1") != 0)
        return 0;
    return getsockopt(EK_AGENT_FD, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening;
}

static int run_worker(const ek_agent_options *o)
{
    signal(SIGPIPE, SIG_IGN);
    if (!o->verbose) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

        /* Modules and the libraries below them write to standard error as they like. */
        setenv("TSS2_LOG", "all+NONE", 0);
        setenv("TPM2_PKCS11_LOG_LEVEL", "0", 0);
        if (null >= 0 && !EK_SANITIZED)
            dup2(null, STDERR_FILENO);
    }
    return ek_worker_run(o);
}

/* A private agent lets go of who started it, so that its parent has no child that it does not know. */
static int run_private(const ek_agent_options *o)
{
    pid_t pid = fork();

    if (pid < 0)
        return EXIT_FAILURE;
    if (pid > 0)
        _exit(EXIT_SUCCESS);
    setsid();
    close_range(EK_AGENT_FD + 1, ~0U, 0);
    fcntl(EK_AGENT_FD, F_SETFD, FD_CLOEXEC);
    return ek_supervisor_run(o, EK_AGENT_FD);
}

static int run_shared(ek_agent_options *o)
{
    ekmotp_error err;
    ek_listener listener;
    int fd = EK_AGENT_FD, status;

    o->shared = 1;
    if (was_passed_socket()) {
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        return ek_supervisor_run(o, fd);
    }
    if (ek_listen(o, &listener, &err) != 0) {
        fprintf(stderr, "ekmotp-agent: %s\n", err.message);
        return EXIT_FAILURE;
    }
    fd = fcntl(listener.fd, F_DUPFD_CLOEXEC, EK_AGENT_FD);
    status = fd >= 0 ? ek_supervisor_run(o, fd) : EXIT_FAILURE;
    ek_listen_end(o->socket, &listener);
    return status;
}

int main(int argc, char **argv)
{
    static const struct argp argp = {arguments, parse, NULL, doc, NULL, NULL, NULL};
    command c = {{0}, 0, 0};

    if (ek_streams_open() != 0)
        return EXIT_FAILURE;
    argp_err_exit_status = 2;
    argp_parse(&argp, argc, argv, 0, NULL, &c);
    if (ek_harden_process() != 0) {
        fprintf(stderr, "ekmotp-agent: this system does not let it drop privileges\n");
        return EXIT_FAILURE;
    }
    if (c.worker)
        return run_worker(&c.options);
    if (c.private)
        return run_private(&c.options);
    if (!c.options.socket && !was_passed_socket()) {
        fprintf(stderr,
                "ekmotp-agent: name a socket: ekmotp-agent --socket PATH (see ekmotp-agent --help)\n");
        return 2;
    }
    return run_shared(&c.options);
}
