/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "p11/agent/module_policy.h"
#include "p11/agent/uri_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int is_named(const ek_agent_options *o, const char *path)
{
    int found = 0;

    for (size_t i = 0; i < o->module_count && !found; i++) {
        char *real = realpath(o->modules[i], NULL);

        found = real && strcmp(real, path) == 0;
        free(real);
    }
    return found;
}

int ek_module_policy_check(const ek_agent_options *o, const char *uri, int other_user, ekmotp_error *err)
{
    char *path = NULL, *real = NULL;
    struct stat st;
    int rc;

    if (!o->shared)
        return 0;
    rc = ek_uri_text_value(uri, "module-path", &path, err);
    if (rc != 0 || !path)
        return rc;
    real = realpath(path, NULL);
    if (!real || stat(real, &st) != 0)
        rc = ekmotp_error_set(err, EKMOTP_E_MODULE, "module %.200s: %s", path, strerror(errno));
    else if (!is_named(o, real) && other_user)
        rc = ekmotp_error_set(
            err, EKMOTP_E_AGENT_POLICY,
            "module %.200s: members of the group may name only modules that the agent was started "
            "with (--allow-module)",
            path);
    else if (!is_named(o, real) && !(S_ISREG(st.st_mode) && st.st_uid == 0 && (st.st_mode & 022) == 0))
        rc = ekmotp_error_set(
            err, EKMOTP_E_AGENT_POLICY,
            "module %.200s: a shared agent loads only files that root alone may write; start it "
            "with --allow-module to allow this one",
            path);
    free(real);
    free(path);
    return rc;
}
