/* SPDX-License-Identifier: Apache-2.0 */
/*
 * module_policy.h: which files a shared agent loads as PKCS#11 modules. A module is code that runs with the
 * agent's rights, so whoever may name any file may run any code (CVE-2016-10009 of ssh-agent).
 */
#ifndef EK_AGENT_MODULE_POLICY_H
#define EK_AGENT_MODULE_POLICY_H

#include "p11/agent/options.h"

#include <ekmotp/error.h>

/*
 * A private agent loads what its parent asks for. A shared one loads a module-path only if it was named with
 * --allow-module, or if the file, with every link followed, belongs to root and only root may write it. For
 * other users (members of the group) only the former holds: not every library on a system is harmless to load
 * (CVE-2023-38408). EKMOTP_E_AGENT_POLICY, EKMOTP_E_MODULE for a file that is not there.
 */
int ek_module_policy_check(const ek_agent_options *options, const char *uri, int other_user,
                           ekmotp_error *err) __attribute__((warn_unused_result));

#endif
