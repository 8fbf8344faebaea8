/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "p11/agent/listen.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int check_folder(const ek_agent_options *o, ekmotp_error *err)
{
    char path[PATH_MAX];
    const char *folder;
    struct stat st;

    if (strlen(o->socket) >= sizeof(path))
        return ekmotp_error_set(err, EKMOTP_E_IO, "socket %.200s: too long a path", o->socket);
    memcpy(path, o->socket, strlen(o->socket) + 1);
    folder = dirname(path);
    if (mkdir(folder, 0700) == 0) {
        if (o->any_group && (chown(folder, (uid_t)-1, o->group) != 0 || chmod(folder, 0750) != 0))
            return ekmotp_error_set(err, EKMOTP_E_IO, "folder %.200s: %s", folder, strerror(errno));
    } else if (errno != EEXIST) {
        return ekmotp_error_set(err, EKMOTP_E_IO, "folder %.200s: %s", folder, strerror(errno));
    }
    if (stat(folder, &st) != 0)
        return ekmotp_error_set(err, EKMOTP_E_IO, "folder %.200s: %s", folder, strerror(errno));
    if (st.st_uid != geteuid() || (st.st_mode & (o->any_group ? 0027 : 0077)) != 0)
        return ekmotp_error_set(err, EKMOTP_E_IO,
                                "folder %.200s: the agent's socket wants a folder of its user's own; run: "
                                "chmod %s '%.200s', or name a folder that is not there yet",
                                folder, o->any_group ? "750" : "700", folder);
    return 0;
}

/* A socket that an agent left behind; a file of another kind refuses connections too, and must stay. */
static int is_stale_socket(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

int ek_listen(const ek_agent_options *o, int *fd, ekmotp_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int rc = check_folder(o, err), s;
    mode_t before;

    if (rc != 0)
        return rc;
    if (strlen(o->socket) >= sizeof(address.sun_path))
        return ekmotp_error_set(err, EKMOTP_E_IO, "socket %.200s: the path has at most %zu bytes", o->socket,
                                sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, o->socket, strlen(o->socket) + 1);
    s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s < 0)
        return ekmotp_error_set(err, EKMOTP_E_IO, "socket: %s", strerror(errno));
    if (connect(s, (const struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN) {
        rc =
            ekmotp_error_set(err, EKMOTP_E_AGENT, "socket %.200s: an agent listens there already", o->socket);
        goto out;
    }
    if (errno == ECONNREFUSED && is_stale_socket(o->socket))
        (void)!unlink(o->socket);
    before = umask(o->any_group ? 0117 : 0177);
    rc = bind(s, (const struct sockaddr *)&address, sizeof(address)) != 0 || listen(s, 64) != 0;
    umask(before);
    if (rc == 0 && o->any_group)
        rc = chown(o->socket, (uid_t)-1, o->group);
    if (rc != 0)
        rc = ekmotp_error_set(err, EKMOTP_E_IO, "socket %.200s: %s", o->socket, strerror(errno));
out:
    if (rc == 0)
        *fd = s;
    else
        close(s);
    return rc;
}
