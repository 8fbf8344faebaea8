/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_p11.c: a token layer that obeys. It stands below the agent's code in tests/agent/fake-agent, so that
 * what the agent does about a token that hangs, crashes or changes can be tested without one.
 *
 * The folder $EKMOTP_FAKE holds what the token is: "key" (bytes of every key), "pin" (the right one; none: no
 * login). Files that are there switch faults on: "hang" (for as long as the file is there), "stuck" (for
 * ever), "crash", "away", "locked" (at each MAC and opening), "slow" (a MAC takes 5 ms). A line is added to
 * "logins" for each PIN that is sent, to "opens" for each opening. Only the name of the object matters in a
 * URI: "none" is not there.
 */
#include "p11/admin.h"

#include <ekmotp/p11.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t login_lock = PTHREAD_MUTEX_INITIALIZER;
static int logged_in;

static const char *path_of(const char *name, char *path, size_t size)
{
    const char *folder = getenv("EKMOTP_FAKE");

    snprintf(path, size, "%s/%s", folder ? folder : "/nonexistent", name);
    return path;
}

static int there(const char *name)
{
    char path[256];

    return access(path_of(name, path, sizeof(path)), F_OK) == 0;
}

static size_t content(const char *name, char *out, size_t size)
{
    char path[256];
    FILE *f = fopen(path_of(name, path, sizeof(path)), "r");
    size_t n = f ? fread(out, 1, size, f) : 0;

    if (f)
        fclose(f);
    return n;
}

static void count(const char *name)
{
    char path[256];
    int fd = open(path_of(name, path, sizeof(path)), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

    if (fd >= 0) {
        (void)!write(fd, "1\n", 2);
        close(fd);
    }
}

static int faults(ekmotp_error *err)
{
    while (there("stuck"))
        pause();
    while (there("hang"))
        usleep(10000);
    if (there("crash"))
        kill(getpid(), SIGKILL);
    if (there("slow"))
        usleep(5000);
    return there("away") ? ekmotp_error_set(err, EKMOTP_E_TOKEN_AWAY, "fake token: away") : 0;
}

static int fake_mac(void *ctx, const uint8_t *msg, size_t msg_len, uint8_t *out, ekmotp_error *err)
{
    ekmotp_hash hash = *(ekmotp_hash *)ctx;
    const EVP_MD *md = hash == EKMOTP_HASH_SHA256   ? EVP_sha256()
                       : hash == EKMOTP_HASH_SHA384 ? EVP_sha384()
                                                    : EVP_sha512();
    char key[64];
    size_t len;
    int rc = faults(err);

    if (rc != 0)
        return rc;
    len = content("key", key, sizeof(key));
    return HMAC(md, key, (int)len, msg, msg_len, out, NULL) ? 0 : EKMOTP_E_CRYPTO;
}

static const ekmotp_key_ops fake_ops = {.mac = fake_mac, .free = free, .slow = 1};

static int login(const ekmotp_p11_options *o, ekmotp_error *err)
{
    char right[256], pin[EKMOTP_PIN_MAX];
    size_t len = content("pin", right, sizeof(right));
    int n;

    if (len == 0 || logged_in)
        return 0;
    n = o->pin ? o->pin(o->pin_ctx, "fake token", pin, sizeof(pin), err) : EKMOTP_E_PIN_MISSING;
    if (n < 0)
        return n;
    count("logins");
    if (there("locked"))
        return ekmotp_error_set(err, EKMOTP_E_PIN_LOCKED, "fake token: locked");
    if ((size_t)n != len || memcmp(pin, right, len) != 0)
        return ekmotp_error_set(err, EKMOTP_E_PIN_INCORRECT, "fake token: wrong PIN");
    logged_in = 1;
    return 0;
}

int ekmotp_p11_key_open(const char *uri, const ekmotp_p11_options *o, ekmotp_key **out, ekmotp_error *err)
{
    ekmotp_hash *hash;
    int rc;

    count("opens");
    rc = faults(err);
    pthread_mutex_lock(&login_lock);
    if (rc == 0)
        rc = login(o, err);
    pthread_mutex_unlock(&login_lock);
    if (rc == 0 && strstr(uri, "object=none"))
        rc = ekmotp_error_set(err, EKMOTP_E_KEY_NOT_FOUND, "fake token: no such key");
    if (rc != 0)
        return rc;
    hash = malloc(sizeof(*hash));
    if (!hash)
        return EKMOTP_E_NOMEM;
    *hash = o->hash;
    return ekmotp_key_new(o->hash, &fake_ops, hash, out, err);
}

int ek_p11_admin(const char *request_json, char **reply_json, ekmotp_error *err)
{
    if (strstr(request_json, "fail"))
        return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "there is no request 'fail'");
    *reply_json = strdup("{\"fake\":true}");
    return *reply_json ? 0 : EKMOTP_E_NOMEM;
}
