/* SPDX-License-Identifier: Apache-2.0 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#define P11_KIT_FUTURE_UNSTABLE_API
#include "p11/module.h"

#include "p11/clock.h"
#include "p11/rv.h"

#include <p11-kit/p11-kit.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct ek_module {
    ek_module *next; /* in the registry; guarded by registry_lock, as is owners */
    unsigned owners;
    char *path, *name;
    CK_FUNCTION_LIST *functions;
    CK_INFO info;
    pid_t pid;

    pthread_mutex_t lock; /* for left */
    pthread_cond_t left;
    atomic_int initialized;
    atomic_int inside; /* callers between enter and leave */
    atomic_int closed; /* the door: nobody enters */
    atomic_uint generation;
};

/* Loading, initialising and unloading are done under this lock; operations never take it. */
static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static ek_module *registry;

/* ---- one module ---- */

static ek_module *module_find(const char *path)
{
    for (ek_module *m = registry; m; m = m->next)
        if (strcmp(m->path, path) == 0)
            return m;
    return NULL;
}

static void module_destroy(ek_module *module)
{
    if (!module)
        return;
    /* A fork must not finalise what its parent uses; what it inherited is left alone. */
    if (module->functions && module->pid == getpid()) {
        if (atomic_load(&module->initialized))
            p11_kit_module_finalize(module->functions);
        p11_kit_module_release(module->functions);
    }
    pthread_cond_destroy(&module->left);
    pthread_mutex_destroy(&module->lock);
    free(module->path);
    free(module->name);
    free(module);
}

static int initialize(ek_module *module, ekmotp_error *err)
{
    char buf[EK_RV_NAME_SIZE];
    CK_RV rv = p11_kit_module_initialize(module->functions);

    /* After a failed C_Initialize only C_Initialize may be called. */
    atomic_store(&module->initialized, rv == CKR_OK);
    if (rv != CKR_OK)
        return ekmotp_error_set(
            err, EKMOTP_E_MODULE,
            "module %s does not start: C_Initialize: %s; is its device or daemon running, "
            "and is its configuration readable for this user?",
            module->path, ek_rv_name(rv, buf, sizeof(buf)));
    rv = module->functions->C_GetInfo(&module->info);
    if (rv != CKR_OK)
        memset(&module->info, ' ', sizeof(module->info));
    return 0;
}

/* As ek_module_adopt, with the registry's lock held. */
static int adopt(CK_FUNCTION_LIST *functions, const char *path, const char *name, ek_module **out,
                 ekmotp_error *err)
{
    ek_module *module = module_find(path);
    int rc;

    if (module) {
        p11_kit_module_release(functions);
        if (module->pid != getpid())
            return ekmotp_error_set(err, EKMOTP_E_MODULE,
                                    "module %s: this process forked from one that uses it, and cannot use it "
                                    "safely; open keys after the fork, or through the agent",
                                    path);
        module->owners++;
        *out = module;
        return 0;
    }
    module = calloc(1, sizeof(*module));
    if (!module) {
        p11_kit_module_release(functions);
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for a module");
    }
    pthread_mutex_init(&module->lock, NULL);
    ek_cond_init(&module->left);
    atomic_init(&module->generation, 1);
    module->owners = 1;
    module->pid = getpid();
    module->functions = functions;
    module->path = strdup(path);
    module->name = strdup(name);
    if (!module->path || !module->name) {
        rc = ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for a module");
        goto out;
    }
    if ((rc = initialize(module, err)) != 0)
        goto out;
    module->next = registry;
    registry = module;
    *out = module;
    module = NULL;
out:
    module_destroy(module);
    return rc;
}

int ek_module_adopt(CK_FUNCTION_LIST *functions, const char *path, const char *name, ek_module **out,
                    ekmotp_error *err)
{
    int rc;

    pthread_mutex_lock(&registry_lock);
    rc = adopt(functions, path, name, out, err);
    pthread_mutex_unlock(&registry_lock);
    return rc;
}

ek_module *ek_module_ref(ek_module *module)
{
    pthread_mutex_lock(&registry_lock);
    module->owners++;
    pthread_mutex_unlock(&registry_lock);
    return module;
}

int ek_module_is_ours(const ek_module *module)
{
    return module->pid == getpid();
}

void ek_module_free(ek_module **module)
{
    ek_module *m = module ? *module : NULL;

    if (!m)
        return;
    *module = NULL;
    if (m->pid != getpid())
        return; /* the registry's lock may be held for ever by a thread that did not come along */
    pthread_mutex_lock(&registry_lock);
    if (--m->owners == 0) {
        for (ek_module **at = &registry; *at; at = &(*at)->next)
            if (*at == m) {
                *at = m->next;
                break;
            }
        module_destroy(m);
    }
    pthread_mutex_unlock(&registry_lock);
}

const char *ek_module_path(const ek_module *module)
{
    return module->path;
}

const char *ek_module_name(const ek_module *module)
{
    return module->name;
}

CK_FUNCTION_LIST *ek_module_functions(const ek_module *module)
{
    return module->functions;
}

const CK_INFO *ek_module_info(const ek_module *module)
{
    return &module->info;
}

int ek_module_is_tpm(const ek_module *module)
{
    /* CK_INFO's texts are padded with blanks and not terminated. */
    return memcmp(module->info.libraryDescription, "TPM2.0", 6) == 0;
}

int ek_module_is_serial(const ek_module *module)
{
    return ek_module_is_tpm(module) || strncmp(module->path, EK_MODULE_REMOTE, strlen(EK_MODULE_REMOTE)) == 0;
}

/* ---- the door ---- */

int ek_module_enter(ek_module *module, unsigned *generation, ekmotp_error *err)
{
    if (module->pid != getpid())
        return ekmotp_error_set(err, EKMOTP_E_TOKEN_AWAY,
                                "module %s belongs to the process that this one forked from; open the key "
                                "again after the fork, or through the agent",
                                module->path);
    /* First in, then look at the door: the one who closes it looks at inside after closing. */
    atomic_fetch_add(&module->inside, 1);
    if (atomic_load(&module->closed)) {
        ek_module_leave(module);
        return ekmotp_error_set(err, EKMOTP_E_TOKEN_AWAY,
                                "module %s is being started again; call again later", module->path);
    }
    if (!atomic_load(&module->initialized)) {
        ek_module_leave(module);
        return ekmotp_error_set(err, EKMOTP_E_MODULE, "module %s has not started again yet; call again later",
                                module->path);
    }
    *generation = atomic_load(&module->generation);
    return 0;
}

void ek_module_leave(ek_module *module)
{
    if (atomic_fetch_sub(&module->inside, 1) == 1 && atomic_load(&module->closed)) {
        pthread_mutex_lock(&module->lock);
        pthread_cond_broadcast(&module->left);
        pthread_mutex_unlock(&module->lock);
    }
}

unsigned ek_module_generation(const ek_module *module)
{
    return atomic_load(&module->generation);
}

static int wait_until_empty(ek_module *module, unsigned timeout_ms)
{
    struct timespec deadline = ek_deadline(timeout_ms);
    int rc = 0;

    pthread_mutex_lock(&module->lock);
    while (atomic_load(&module->inside) > 0 && rc == 0)
        rc = pthread_cond_timedwait(&module->left, &module->lock, &deadline);
    rc = atomic_load(&module->inside) > 0 ? -1 : 0;
    pthread_mutex_unlock(&module->lock);
    return rc;
}

int ek_module_restart(ek_module *module, unsigned generation, unsigned timeout_ms, ekmotp_error *err)
{
    int open = 0, rc;

    if (atomic_load(&module->generation) != generation)
        return 0;
    if (!atomic_compare_exchange_strong(&module->closed, &open, 1))
        return ekmotp_error_set(err, EKMOTP_E_TOKEN_AWAY,
                                "module %s is being started again; call again later", module->path);
    /* Closed by us; another thread may have been quicker with the whole of it. */
    if (atomic_load(&module->generation) != generation) {
        rc = 0;
        goto out;
    }
    if (wait_until_empty(module, timeout_ms) != 0) {
        rc = ekmotp_error_set(err, EKMOTP_E_TOKEN_AWAY,
                              "module %s: an operation has not returned for %u ms; if its device is dead, "
                              "restart this process (the agent does so by itself)",
                              module->path, timeout_ms);
        goto out;
    }
    if (atomic_load(&module->initialized))
        p11_kit_module_finalize(module->functions);
    rc = initialize(module, err);
    if (rc == 0) {
        atomic_fetch_add(&module->generation, 1);
    } else {
        rc = EKMOTP_E_TOKEN_AWAY;
        if (err)
            err->code = rc;
    }
out:
    atomic_store(&module->closed, 0);
    return rc;
}
