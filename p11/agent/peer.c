/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "p11/agent/peer.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define GROUPS_MAX 256 /* supplementary groups of a peer that are looked at */

static int is_member(int fd, const struct ucred *peer, gid_t group)
{
    gid_t groups[GROUPS_MAX];
    socklen_t len = sizeof(groups);

    if (peer->gid == group)
        return 1;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) != 0)
        return 0;
    for (size_t i = 0; i < len / sizeof(groups[0]); i++)
        if (groups[i] == group)
            return 1;
    return 0;
}

int ek_peer_check(int fd, const ek_agent_options *options, uid_t *user, ekmotp_error *err)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
        return ekmotp_error_set(err, EKMOTP_E_AGENT_POLICY, "agent: it cannot see who asks");
    *user = peer.uid;
    if (peer.uid == geteuid() || (options->any_group && is_member(fd, &peer, options->group)))
        return 0;
    return ekmotp_error_set(
        err, EKMOTP_E_AGENT_POLICY, "agent: it belongs to the user %u and serves %s, not the user %u",
        (unsigned)geteuid(), options->any_group ? "that user and a group" : "that user only",
        (unsigned)peer.uid);
}

int ek_peer_pidfd(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 || peer.pid <= 0)
        return -1;
    return (int)syscall(SYS_pidfd_open, peer.pid, 0);
}
