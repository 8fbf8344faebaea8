/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spy.c: a PKCS#11 module that passes everything on to the module EKMOTP_SPY_MODULE and writes a line to
 * the file EKMOTP_SPY_LOG for each C_Login and each C_Sign.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <p11-kit/pkcs11.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static CK_FUNCTION_LIST ours;
static CK_FUNCTION_LIST_PTR theirs;

static void note(const char *line)
{
    int fd = open(getenv("EKMOTP_SPY_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (fd < 0 || write(fd, line, strlen(line)) != (ssize_t)strlen(line))
        abort();
    close(fd);
}

static CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR_PTR pin, CK_ULONG len)
{
    note("login\n");
    return theirs->C_Login(session, user, pin, len);
}

static CK_RV sign(CK_SESSION_HANDLE session, CK_BYTE_PTR data, CK_ULONG len, CK_BYTE_PTR out,
                  CK_ULONG_PTR out_len)
{
    note("sign\n");
    return theirs->C_Sign(session, data, len, out, out_len);
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR list)
{
    const char *path = getenv("EKMOTP_SPY_MODULE");
    void *module = path && getenv("EKMOTP_SPY_LOG") ? dlopen(path, RTLD_NOW) : NULL;
    CK_C_GetFunctionList get = module ? (CK_C_GetFunctionList)dlsym(module, "C_GetFunctionList") : NULL;
    CK_RV rv = get ? get(&theirs) : CKR_GENERAL_ERROR;

    if (rv != CKR_OK)
        return rv;
    ours = *theirs;
    ours.C_GetFunctionList = C_GetFunctionList;
    ours.C_Login = login;
    ours.C_Sign = sign;
    *list = &ours;
    return CKR_OK;
}
