/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "p11/agent/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* The folder, locked: between two agents that come and go it orders who looks at the path and changes it. */
static int lock_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    while (fd >= 0 && flock(fd, LOCK_EX) != 0) {
        if (errno == EINTR)
            continue;
        close(fd);
        fd = -1;
    }
    return fd;
}

static int check_folder(const ek_agent_options *o, const char *folder, ekmotp_error *err)
{
    struct stat st;

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

/* Makes the socket in a folder that is locked. */
static int listen_locked(const ek_agent_options *o, ek_listener *out, ekmotp_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat st;
    int rc, s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t before;

    if (s < 0)
        return ekmotp_error_set(err, EKMOTP_E_IO, "socket: %s", strerror(errno));
    memcpy(address.sun_path, o->socket, strlen(o->socket) + 1);
    if (connect(s, (const struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN) {
        close(s);
        return ekmotp_error_set(err, EKMOTP_E_AGENT, "socket %.200s: an agent listens there already",
                                o->socket);
    }
    if (errno == ECONNREFUSED && is_stale_socket(o->socket))
        (void)!unlink(o->socket);
    before = umask(o->any_group ? 0117 : 0177);
    rc = bind(s, (const struct sockaddr *)&address, sizeof(address)) != 0 || listen(s, 64) != 0;
    umask(before);
    if (rc == 0 && o->any_group)
        rc = chown(o->socket, (uid_t)-1, o->group);
    if (rc != 0 || lstat(o->socket, &st) != 0) {
        rc = ekmotp_error_set(err, EKMOTP_E_IO, "socket %.200s: %s", o->socket, strerror(errno));
        close(s);
        return rc;
    }
    *out = (ek_listener){s, st.st_dev, st.st_ino};
    return 0;
}

int ek_listen(const ek_agent_options *o, ek_listener *out, ekmotp_error *err)
{
    const struct sockaddr_un *address = NULL;
    char path[sizeof(address->sun_path)];
    int rc, lock;

    if (strlen(o->socket) >= sizeof(path))
        return ekmotp_error_set(err, EKMOTP_E_IO, "socket %.200s: the path has at most %zu bytes", o->socket,
                                sizeof(path) - 1);
    memcpy(path, o->socket, strlen(o->socket) + 1);
    rc = check_folder(o, dirname(path), err);
    if (rc != 0)
        return rc;
    memcpy(path, o->socket, strlen(o->socket) + 1); /* dirname may have changed it */
    lock = lock_folder(dirname(path));
    if (lock < 0)
        return ekmotp_error_set(err, EKMOTP_E_IO, "socket %.200s: its folder cannot be locked: %s", o->socket,
                                strerror(errno));
    rc = listen_locked(o, out, err);
    close(lock);
    return rc;
}

void ek_listen_end(const char *socket, const ek_listener *listener)
{
    const struct sockaddr_un *address = NULL;
    char path[sizeof(address->sun_path)];
    struct stat st;
    int lock;

    memcpy(path, socket, strlen(socket) + 1);
    lock = lock_folder(dirname(path));
    /* The inode is nobody else's as long as the listener is open. */
    if (lstat(socket, &st) == 0 && st.st_dev == listener->dev && st.st_ino == listener->ino)
        unlink(socket);
    close(listener->fd);
    if (lock >= 0)
        close(lock);
}
