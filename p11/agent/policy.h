/* SPDX-License-Identifier: Apache-2.0 */
/* policy.h: which messages a shared agent makes MACs of. */
#ifndef EK_AGENT_POLICY_H
#define EK_AGENT_POLICY_H

#include "p11/agent/options.h"

#include <ekmotp/key.h>

/*
 * 0 if the policy (EK_AGENT_COMPAT | EK_AGENT_RAW) allows a MAC of this message under a key of this hash;
 * else EKMOTP_E_AGENT_POLICY. The framing of the v1 channel secret is always allowed:
 * [1]_32 || "ekmotp v1 channel" || 0x00 || EKM (h bytes) || [8h]_32.
 */
int ek_policy_check(unsigned policy, ekmotp_hash hash, const uint8_t *msg, size_t len, ekmotp_error *err)
    __attribute__((warn_unused_result));

#endif
