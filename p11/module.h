/* SPDX-License-Identifier: Apache-2.0 */
/*
 * module.h: PKCS#11 modules of this process, loaded through p11-kit and shared by every key.
 *
 * p11-kit's managed way is used: it passes CKF_OS_LOCKING_OK and x-init-reserved, counts references, and
 * gives us sessions of our own. As all keys of a module share one ek_module, its re-initialisation is real
 * unless another library of the process holds the same module through p11-kit; in the agent none does.
 *
 * Every call into a module happens between ek_module_enter and ek_module_leave. Re-initialisation closes
 * the door, waits until everybody has left, and opens it again with a new generation: handles of an older
 * generation are dead and must be neither used nor closed.
 */
#ifndef EK_P11_MODULE_H
#define EK_P11_MODULE_H

#include "p11/uri.h"

#include <ekmotp/error.h>

typedef struct ek_module ek_module;

/* Modules that a URI may mean. */
typedef struct ek_modules {
    ek_module **list;
    size_t count;
    char *failed; /* what the ones that did not start said, or NULL; for messages */
} ek_modules;

/*
 * Loads and initialises what a URI names: its module-path, else its module-name, else every module that is
 * registered with p11-kit. uri may be NULL: every one. A module that does not start is EKMOTP_E_MODULE if
 * it was named, and otherwise only a line in failed.
 */
int ek_modules_open(const ek_uri *uri, ek_modules *out, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* Gives up every module of the list. */
void ek_modules_close(ek_modules *modules);

/*
 * The module that functions (of p11_kit_module_load, given away) belong to: the one that this process has at
 * that path already, or a new one, initialised. EKMOTP_E_MODULE.
 */
int ek_module_adopt(CK_FUNCTION_LIST *functions, const char *path, const char *name, ek_module **out,
                    ekmotp_error *err) __attribute__((warn_unused_result));
ek_module *ek_module_ref(ek_module *module);
/* 0 in a process that forked from the one that loaded it: there nothing of it may be touched. */
int ek_module_is_ours(const ek_module *module);
/* The last owner finalises and unloads. NULL-safe. */
void ek_module_free(ek_module **module);

/* What the path of a module begins with that p11-kit speaks to over a socket; its name follows. */
#define EK_MODULE_REMOTE "remote:"

/* Path of the file, and the name in p11-kit's configuration ("" where it was loaded by path). */
const char *ek_module_path(const ek_module *module);
const char *ek_module_name(const ek_module *module);
CK_FUNCTION_LIST *ek_module_functions(const ek_module *module);
const CK_INFO *ek_module_info(const ek_module *module);
/* 1 for tpm2-pkcs11, here or behind p11-kit's remoting. */
int ek_module_is_tpm(const ek_module *module);
/*
 * 1 if the module is known to run one operation at a time, whatever its callers do: a TPM, or one that
 * p11-kit speaks to over a socket. Then one session serves all threads: it costs nothing; when a TPM is lost
 * only one operation fails, where each one that fails counts towards the lockout; and p11-kit, which can
 * leave a thread waiting for ever when several share a socket whose other end dies, is not asked to share.
 */
int ek_module_is_serial(const ek_module *module);

/*
 * Takes part in the module: 0 and its generation, or at once EKMOTP_E_TOKEN_AWAY while it is being
 * re-initialised and in a process that forked from the one that loaded it, EKMOTP_E_MODULE after a
 * re-initialisation that failed (ek_module_restart may try again).
 */
int ek_module_enter(ek_module *module, unsigned *generation, ekmotp_error *err)
    __attribute__((warn_unused_result));
void ek_module_leave(ek_module *module);
/* Counts the re-initialisations, from 1. */
unsigned ek_module_generation(const ek_module *module);

/*
 * Finalises and initialises the module, if its generation is still the given one; otherwise somebody else
 * has done so and there is nothing to do. The caller must not have entered. Waits at most timeout_ms for
 * others to leave. EKMOTP_E_TOKEN_AWAY if another thread is at it, if others do not leave, or if the module
 * does not start.
 */
int ek_module_restart(ek_module *module, unsigned generation, unsigned timeout_ms, ekmotp_error *err)
    __attribute__((warn_unused_result));

#endif
