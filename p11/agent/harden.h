/* SPDX-License-Identifier: Apache-2.0 */
/* harden.h: what the agent's processes give up. */
#ifndef EK_AGENT_HARDEN_H
#define EK_AGENT_HARDEN_H

/* 1 in a build with a sanitizer: its run time traces its own process and uses system calls of its own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define EK_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define EK_SANITIZED 1
#endif
#endif
#ifndef EK_SANITIZED
#define EK_SANITIZED 0
#endif

/*
 * For every process of the agent: no new privileges, no core file, no ptrace by other processes of the user.
 * 0, or -1 with errno.
 */
int ek_harden_process(void) __attribute__((warn_unused_result));

/*
 * For the front: from now on only the system calls of its poll loop work (EPERM otherwise), so that whoever
 * takes it over through its socket can open no file, start no program and make no connection. Without
 * libseccomp this does nothing. 0, or -1.
 */
int ek_harden_front(void) __attribute__((warn_unused_result));

#endif
