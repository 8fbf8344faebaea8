/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin.h: what people do with tokens, as JSON to JSON: look at modules and tokens, find out what is wrong,
 * list, import and remove keys. It runs where the PKCS#11 modules run, in a worker of the agent.
 *
 * A request is an object with "op" and, by op:
 *   modules                          {"modules": [{"name", "path", "uri"}]}, without starting any
 *   tokens   uri                     {"modules": [{"name", "path", "description", "version", "tokens":
 *                                    [{"label", "serial", "manufacturer", "model", "slot", "uri", "tpm",
 *                                    "login", "keypad", "pin", "macs": ["SHA-256", ...]}]}], "failed"};
 *                                    never sends a PIN
 *   doctor   uri pin? hash?          {"steps": [{"step", "verdict", "text", "fix"?}], "tpm"}, where verdict
 * is "fine", "warning" or "broken" keys     uri pin?                {"token", "keys": [{"label", "id",
 * "type", "private", "sensitive", "extractable", "sign", "bytes"?, "uri"}]} import   uri pin? hash? value
 * value is base64. {"token", "check", "padded", "warnings": [...]}, where check is the base64 MAC of "check"
 * under the new key; or {"ptool": LABEL} for a token that takes keys through tpm2_ptool only check    uri
 * pin? hash?          {"token", "check"}, as import says it, of a key that is there remove   uri pin?
 * {"token", "removed": label} pin is base64. Where a PIN is needed and none came the reply is {"needs_pin":
 * LABEL}: ask, and call again.
 */
#ifndef EK_P11_ADMIN_H
#define EK_P11_ADMIN_H

#include <ekmotp/error.h>

/* The message whose MAC proves an import. */
#define EK_ADMIN_CHECK "check"

/*
 * Does what a request says. *reply_json is a JSON text, to free (it may hold nothing secret). EKMOTP_E_SYNTAX
 * for a request that is none; every EKMOTP_E_* of p11.h. jansson is set up to wipe what it frees, so that no
 * PIN stays in memory: call it only where nobody else has used jansson before.
 */
int ek_p11_admin(const char *request_json, char **reply_json, ekmotp_error *err)
    __attribute__((warn_unused_result));

#endif
