/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "p11/agent/harden.h"

#include <errno.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#if defined(HAVE_SECCOMP) && !EK_SANITIZED
#include <seccomp.h>
#endif

int ek_harden_process(void)
{
    const struct rlimit none = {0, 0};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0)
        return -1;
    return EK_SANITIZED ? 0 : prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

int ek_harden_front(void)
{
#if defined(HAVE_SECCOMP) && !EK_SANITIZED
    static const int allowed[] = {
        /* the poll loop */
        SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(recvfrom), SCMP_SYS(sendto), SCMP_SYS(recvmsg),
        SCMP_SYS(sendmsg), SCMP_SYS(accept4), SCMP_SYS(getsockopt), SCMP_SYS(close), SCMP_SYS(clock_gettime),
        SCMP_SYS(pidfd_send_signal), SCMP_SYS(geteuid), SCMP_SYS(getpid),
        /* memory */
        SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(mprotect),
        SCMP_SYS(madvise), SCMP_SYS(mlock), SCMP_SYS(futex), SCMP_SYS(getrandom),
        /* messages to standard error, and the end */
        SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(rt_sigreturn),
        SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction), SCMP_SYS(tgkill), SCMP_SYS(gettid),
        SCMP_SYS(restart_syscall)};
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int rc = filter ? 0 : -1;

    for (size_t i = 0; rc == 0 && i < sizeof(allowed) / sizeof(allowed[0]); i++)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
    if (rc == 0)
        rc = seccomp_load(filter);
    if (filter)
        seccomp_release(filter);
    return rc == 0 ? 0 : -1;
#else
    return 0;
#endif
}
