/* SPDX-License-Identifier: Apache-2.0 */
/* client_command_handover.c: brings a client's key to a file or into a token. */
#include "config.h"

#include "lib/common/file.h"
#include "server/client_command.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int is_token(const ek_client_options *o)
{
    return strncmp(o->out, "pkcs11:", 7) == 0;
}

/* Starts "ekmotp key import" with the key on its standard input, its output on our standard error. */
static int start(const ek_client_options *o, ekmotp_hash hash, size_t len, int input, pid_t *pid)
{
    const char *argv[16] = {"ekmotp", "key", "import", "--from", "-", "--hash", ekmotp_hash_name(hash)};
    posix_spawn_file_actions_t actions;
    size_t n = 7;
    int rc;

    if (len < EKMOTP_KEY_MIN_SIZE)
        argv[n++] = "--allow-short";
    if (o->pin_source) {
        argv[n++] = "--pin-source";
        argv[n++] = o->pin_source;
    }
    if (o->agent_program) {
        argv[n++] = "--agent-program";
        argv[n++] = o->agent_program;
    }
    argv[n++] = "--";
    argv[n++] = o->out;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return ENOMEM;
    rc = posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    if (rc == 0)
        rc = posix_spawnp(pid, argv[0], &actions, NULL, (char **)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

static int import_into_token(const ek_client_options *o, ekmotp_hash hash, const uint8_t *bytes, size_t len,
                             ekmotp_error *err)
{
    int pipe_ends[2] = {-1, -1}, status, rc;
    pid_t pid;

    /* A key fits into the pipe: it is in there before the program that reads it is started. */
    if (pipe2(pipe_ends, O_CLOEXEC) != 0 || write(pipe_ends[1], bytes, len) != (ssize_t)len) {
        rc = ekmotp_error_set(err, EKMOTP_E_IO, "a pipe: %s", strerror(errno));
        goto out;
    }
    close(pipe_ends[1]);
    pipe_ends[1] = -1;
    if ((rc = start(o, hash, len, pipe_ends[0], &pid)) != 0) {
        rc = ekmotp_error_set(err, EKMOTP_E_IO,
                              "ekmotp, which brings keys into tokens, cannot be started: %s", strerror(rc));
        goto out;
    }
    while ((rc = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
        ;
    if (rc < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        rc = ekmotp_error_set(
            err, EKMOTP_E_TOKEN_AWAY,
            "the key could not be brought into the token; nothing was changed in the directory");
    else
        rc = 0;
out:
    if (pipe_ends[0] >= 0)
        close(pipe_ends[0]);
    if (pipe_ends[1] >= 0)
        close(pipe_ends[1]);
    return rc;
}

int ek_client_hand_over(const ek_client_options *o, ekmotp_hash hash, const uint8_t *bytes, size_t len,
                        ekmotp_error *err)
{
    if (is_token(o))
        return import_into_token(o, hash, bytes, len, err);
    return ek_file_write_secret(o->out, bytes, len, err);
}

void ek_client_take_back(const ek_client_options *o)
{
    if (is_token(o))
        fprintf(
            stderr,
            "ekmotpd: the key is in the token and of no use there; remove it with: ekmotp key remove '%s'\n",
            o->out);
    else
        unlink(o->out);
}

void ek_client_tell_handed_over(const ek_client_options *o)
{
    if (is_token(o))
        printf("its key is in the token\n");
    else
        printf("its key is in %s (mode 0600): bring it to the client, then delete the file here\n", o->out);
}
