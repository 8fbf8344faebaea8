/* SPDX-License-Identifier: Apache-2.0 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "client/tpm.h"

#include "client/child.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define IMPORT_TIMEOUT_MS 60000
#define GETCAP_TIMEOUT_MS 10000
#define OUTPUT_SIZE 8192
#define ARGUMENTS_SIZE 4096

/*
 * tpm2_ptool takes the PIN from its command line only: so this gives it one that no other process sees. The
 * key's file in memory is named by way of /proc, because the tools that tpm2_ptool runs open it too.
 */
static const char run_ptool[] = "import os, runpy, sys\n"
                                "sys.argv = [a.decode() for a in sys.stdin.buffer.read().split(b'\\0')]\n"
                                "sys.argv.append('--privkey=/proc/%d/fd/3' % os.getpid())\n"
                                "runpy.run_path(sys.argv[0], run_name='__main__')\n";

/* The path of a program in PATH, or NULL. */
static char *find_program(const char *name)
{
    const char *path = getenv("PATH");
    char *list = strdup(path ? path : "/usr/bin:/bin"), *found = NULL, *save = NULL;

    for (char *dir = list ? strtok_r(list, ":", &save) : NULL; dir && !found;
         dir = strtok_r(NULL, ":", &save)) {
        if (asprintf(&found, "%s/%s", dir, name) < 0)
            found = NULL;
        else if (access(found, X_OK) != 0) {
            free(found);
            found = NULL;
        }
    }
    free(list);
    return found;
}

/* The interpreter that the first line of a script names: "#!/usr/bin/python3". */
static int interpreter_of(const char *script, char *out, size_t size)
{
    FILE *f = fopen(script, "r");
    int ok = f && fgets(out, (int)size, f) && strncmp(out, "#!/", 3) == 0;

    if (f)
        fclose(f);
    if (!ok)
        return -1;
    memmove(out, out + 2, strlen(out) - 1);
    out[strcspn(out, " \t\r\n")] = '\0';
    return 0;
}

static int key_in_memory(const ek_secret *key, ekmotp_error *err)
{
    int fd = memfd_create("key", MFD_CLOEXEC);

    if (fd < 0 || write(fd, key->bytes, key->len) != (ssize_t)key->len || lseek(fd, 0, SEEK_SET) != 0) {
        int saved = errno;

        if (fd >= 0)
            close(fd);
        return ekmotp_error_set(err, EKMOTP_E_IO, "a file in memory for the key: %s", strerror(saved));
    }
    return fd;
}

/* The last line of a text. */
static const char *last_line(char *text)
{
    size_t len = strlen(text);
    char *line;

    while (len > 0 && text[len - 1] == '\n')
        text[--len] = '\0';
    line = strrchr(text, '\n');
    return line ? line + 1 : text;
}

/* The arguments of tpm2_ptool, separated by NULs. */
static int arguments(const char *ptool, const char *token, const ek_secret *pin, const char *name,
                     ekmotp_hash hash, char *out, size_t size, size_t *len, ekmotp_error *err)
{
    const char *algorithm = hash == EKMOTP_HASH_SHA384   ? "hmac:sha384"
                            : hash == EKMOTP_HASH_SHA512 ? "hmac:sha512"
                                                         : "hmac:sha256";
    int n = snprintf(out, size, "%s%cimport%c--label=%s%c--key-label=%s%c--algorithm=%s%c--userpin=", ptool,
                     0, 0, token, 0, name, 0, algorithm, 0);

    if (n < 0 || (size_t)n + pin->len >= size)
        return ekmotp_error_set(err, EKMOTP_E_LIMIT, "the names are too long for tpm2_ptool");
    memcpy(out + n, pin->bytes, pin->len);
    *len = (size_t)n + pin->len;
    return 0;
}

int ek_tpm_import(const char *token, const ek_secret *pin, const char *name, ekmotp_hash hash,
                  const ek_secret *key, ekmotp_error *err)
{
    char *ptool = find_program("tpm2_ptool"), python[256], output[OUTPUT_SIZE] = "", input[ARGUMENTS_SIZE];
    const char *argv[] = {python, "-c", run_ptool, NULL};
    ek_child child = {.argv = argv, .input = input, .fd = -1, .timeout_ms = IMPORT_TIMEOUT_MS};
    int rc;

    if (!ptool || interpreter_of(ptool, python, sizeof(python)) != 0) {
        rc = ekmotp_error_set(
            err, EKMOTP_E_IO,
            "keys get into a tpm2-pkcs11 token through tpm2_ptool, which is not installed (Debian: "
            "libtpm2-pkcs11-tools)");
        goto out;
    }
    if ((rc = arguments(ptool, token, pin, name, hash, input, sizeof(input), &child.input_len, err)) != 0)
        goto out;
    rc = child.fd = key_in_memory(key, err);
    if (rc < 0)
        goto out;
    rc = ek_child_run(&child, output, sizeof(output), err);
    if (rc > 0)
        rc = ekmotp_error_set(
            err, EKMOTP_E_IO,
            "tpm2_ptool import failed: %s (is a resource manager running, and does TPM2TOOLS_TCTI "
            "name it?)",
            last_line(output));
out:
    if (child.fd >= 0)
        close(child.fd);
    ek_wipe(input, sizeof(input));
    free(ptool);
    return rc;
}

/* The number after "NAME: " in the output of tpm2_getcap, hexadecimal or decimal. */
static int property(const char *text, const char *name, unsigned long *out)
{
    const char *at = strstr(text, name);

    if (!at || !(at = strchr(at, ':')))
        return -1;
    *out = strtoul(at + 1, NULL, 0);
    return 0;
}

int ek_tpm_lockout_get(ek_tpm_lockout *out, ekmotp_error *err)
{
    const char *argv[] = {"tpm2_getcap", "properties-variable", NULL}, *tcti = getenv("TPM2_PKCS11_TCTI");
    char output[OUTPUT_SIZE] = "", env_tcti[512];
    const char *env[] = {env_tcti, NULL};
    ek_child child = {.argv = argv, .fd = -1, .timeout_ms = GETCAP_TIMEOUT_MS};
    ek_tpm_lockout lockout = {0};
    unsigned long locked = 0;
    int rc;

    /* The tools and the module read different variables; the module's is the one that matters here. */
    if (tcti && !getenv("TPM2TOOLS_TCTI") &&
        (size_t)snprintf(env_tcti, sizeof(env_tcti), "TPM2TOOLS_TCTI=%s", tcti) < sizeof(env_tcti))
        child.env = env;
    rc = ek_child_run(&child, output, sizeof(output), err);
    if (rc > 0)
        rc = ekmotp_error_set(err, EKMOTP_E_IO, "tpm2_getcap: %s", last_line(output));
    if (rc < 0)
        return rc;
    if (property(output, "inLockout", &locked) != 0 ||
        property(output, "TPM2_PT_LOCKOUT_COUNTER", &lockout.counter) != 0 ||
        property(output, "TPM2_PT_MAX_AUTH_FAIL", &lockout.max) != 0 ||
        property(output, "TPM2_PT_LOCKOUT_INTERVAL", &lockout.interval) != 0)
        return ekmotp_error_set(err, EKMOTP_E_IO, "tpm2_getcap does not tell the state of the lockout");
    lockout.locked = locked != 0;
    *out = lockout;
    return 0;
}
