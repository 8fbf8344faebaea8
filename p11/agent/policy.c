/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "lib/common/cursor.h"
#include "p11/agent/policy.h"

#include <string.h>

static int is_v1(ekmotp_hash hash, const uint8_t *msg, size_t len)
{
    static const char label[] = "ekmotp v1 channel"; /* its NUL is the separator of SP 800-108r1 */
    size_t h = ekmotp_hash_size(hash);
    const uint8_t *at;
    uint32_t counter, bits;
    ek_cursor c;

    ek_cursor_init(&c, msg, len);
    return ek_cursor_u32(&c, &counter) == 0 && counter == 1 && ek_cursor_bytes(&c, sizeof(label), &at) == 0 &&
           memcmp(at, label, sizeof(label)) == 0 && ek_cursor_bytes(&c, h, &at) == 0 &&
           ek_cursor_u32(&c, &bits) == 0 && bits == 8 * h && ek_cursor_end(&c) == 0;
}

/* The demo's two messages: 00000000 || EKM || 00000100 (compat-apikey), and EKM alone. SHA-256 only. */
static int is_compat(ekmotp_hash hash, const uint8_t *msg, size_t len)
{
    if (hash != EKMOTP_HASH_SHA256)
        return 0;
    if (len == 32)
        return 1;
    return len == 40 && memcmp(msg, "\0\0\0\0", 4) == 0 && memcmp(msg + 36, "\0\0\1\0", 4) == 0;
}

int ek_policy_check(unsigned policy, ekmotp_hash hash, const uint8_t *msg, size_t len, ekmotp_error *err)
{
    if ((policy & EK_AGENT_RAW) || is_v1(hash, msg, len))
        return 0;
    if (is_compat(hash, msg, len))
        return (policy & EK_AGENT_COMPAT)
                   ? 0
                   : ekmotp_error_set(
                         err, EKMOTP_E_AGENT_POLICY,
                         "agent: this shared agent makes no MACs for the compat profiles; its owner "
                         "allows them with --allow-compat");
    return ekmotp_error_set(
        err, EKMOTP_E_AGENT_POLICY,
        "agent: this shared agent makes MACs for the profile v1 only; its owner allows any "
        "message with --allow-raw");
}
