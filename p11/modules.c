/* SPDX-License-Identifier: Apache-2.0 */
/* modules.c: the modules that a URI means, loaded through p11-kit. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#define P11_KIT_FUTURE_UNSTABLE_API
#include "p11/module.h"

#include <p11-kit/p11-kit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int list_add(ek_modules *modules, ek_module *module)
{
    ek_module **list = realloc(modules->list, (modules->count + 1) * sizeof(ek_module *));

    if (!list)
        return -1;
    modules->list = list;
    list[modules->count++] = module;
    return 0;
}

static void note_failure(ek_modules *modules, const char *message)
{
    char *text = NULL;

    if (asprintf(&text, "%s%s%s", modules->failed ? modules->failed : "", modules->failed ? "; " : "",
                 message) < 0)
        return;
    free(modules->failed);
    modules->failed = text;
}

static int open_path(const char *given, ek_modules *out, ekmotp_error *err)
{
    char *path = realpath(given, NULL);
    CK_FUNCTION_LIST *functions;
    ek_module *module;
    int rc;

    /* p11-kit looks for a bare file name in its own folder of modules. */
    if (!path && strchr(given, '/'))
        return ekmotp_error_set(
            err, EKMOTP_E_MODULE,
            "module-path %s: there is no such file; 'ekmotp token list' shows the modules "
            "that are installed",
            given);
    functions = p11_kit_module_load(path ? path : given, 0);
    if (!functions) {
        rc = ekmotp_error_set(err, EKMOTP_E_MODULE, "module-path %s does not load: %s", given,
                              p11_kit_message() ? p11_kit_message() : "it is no PKCS#11 module");
        goto out;
    }
    if ((rc = ek_module_adopt(functions, path ? path : given, "", &module, err)) != 0)
        goto out;
    if (list_add(out, module) != 0) {
        ek_module_free(&module);
        rc = ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for a module");
    }
out:
    free(path);
    return rc;
}

/* What tells a module from others: its file, or the name of one that is reached over a socket. NULL: no
 * memory. */
static char *identity_of(CK_FUNCTION_LIST *functions, const char *name)
{
    char *file = p11_kit_module_get_filename(functions), *path;

    if (!file)
        return asprintf(&path, EK_MODULE_REMOTE "%s", name) < 0 ? NULL : path;
    path = realpath(file, NULL);
    if (!path)
        return file;
    free(file);
    return path;
}

/* Opens one registered module; functions are released or kept. */
static int open_registered(CK_FUNCTION_LIST *functions, ek_modules *out, ekmotp_error *err)
{
    char *name = p11_kit_module_get_name(functions), *path = name ? identity_of(functions, name) : NULL;
    ek_module *module = NULL;
    int rc;

    if (!path) {
        p11_kit_module_release(functions);
        rc = ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for a module");
        goto out;
    }
    rc = ek_module_adopt(functions, path, name, &module, err);
    if (rc == 0 && list_add(out, module) != 0) {
        ek_module_free(&module);
        rc = ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for a module");
    }
out:
    free(path);
    free(name);
    return rc;
}

static int is_named(CK_FUNCTION_LIST *functions, const char *wanted)
{
    char *name = p11_kit_module_get_name(functions);
    int same = name && strcmp(name, wanted) == 0;

    free(name);
    return same;
}

static int open_from_configuration(const char *wanted, ek_modules *out, ekmotp_error *err)
{
    CK_FUNCTION_LIST **all = p11_kit_modules_load(NULL, 0);
    ekmotp_error one = {0};
    int rc = 0, found = 0;

    if (!all)
        return ekmotp_error_set(err, EKMOTP_E_MODULE, "p11-kit's configuration does not load: %s",
                                p11_kit_message() ? p11_kit_message() : "see pkcs11.conf(5)");
    for (size_t i = 0; all[i]; i++) {
        if (wanted && !is_named(all[i], wanted)) {
            p11_kit_module_release(all[i]);
            continue;
        }
        found = 1;
        rc = open_registered(all[i], out, &one);
        if (rc == 0)
            continue;
        if (wanted && err)
            *err = one;
        note_failure(out, one.message);
    }
    free(all);
    if (wanted && !found)
        return ekmotp_error_set(
            err, EKMOTP_E_MODULE,
            "no module is registered as module-name=%s; 'ekmotp token list' shows those that "
            "are, and module-path=FILE needs no registration",
            wanted);
    return wanted ? rc : 0;
}

int ek_modules_open(const ek_uri *uri, ek_modules *out, ekmotp_error *err)
{
    const char *path = uri ? ek_uri_module_path(uri) : NULL;
    const char *name = uri ? ek_uri_module_name(uri) : NULL;
    ek_modules modules = {0};
    int rc;

    rc = path ? open_path(path, &modules, err) : open_from_configuration(name, &modules, err);
    if (rc != 0) {
        ek_modules_close(&modules);
        return rc;
    }
    *out = modules;
    return 0;
}

void ek_modules_close(ek_modules *modules)
{
    for (size_t i = 0; i < modules->count; i++)
        ek_module_free(&modules->list[i]);
    free(modules->list);
    free(modules->failed);
    *modules = (ek_modules){0};
}
