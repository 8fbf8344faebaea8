/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent.c: MACs per second through the agent, beside a bare C_SignInit/C_Sign loop and the token layer in
 * this process, on the same token.
 *
 *   agent SOCKET MODULE TOKEN KEY PIN-FILE [MILLISECONDS]
 *
 * SOCKET is a shared agent's.
 *
 * "us" is the processor time of one MAC over all processes that take part. "pipelined" has many requests on
 * their way from one thread.
 */
#include "p11/agent/buffer.h"
#include "p11/agent/deadline.h"

#include <dirent.h>
#include <dlfcn.h>
#include <ekmotp/p11.h>
#include <p11-kit/pkcs11.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS_MAX 64

/* [1]_32 || "ekmotp v1 channel" || 0x00 || EKM || [256]_32, which any agent makes a MAC of. */
static uint8_t message[4 + 18 + 32 + 4] = "\0\0\0\1ekmotp v1 channel";

typedef struct run {
    ekmotp_key *key; /* or */
    CK_FUNCTION_LIST *functions;
    CK_SLOT_ID slot;
    CK_OBJECT_HANDLE object;
    int64_t until;
    _Atomic unsigned long done;
} run;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench agent: %s: %s\n", what, why);
    exit(99);
}

static void *key_thread(void *ctx)
{
    uint8_t mac[EKMOTP_HASH_MAX_SIZE];
    ekmotp_error err = {0};
    run *r = ctx;

    while (ek_time_ms() < r->until) {
        if (ekmotp_key_mac(r->key, message, sizeof(message), mac, sizeof(mac), &err) != 0)
            die("MAC", err.message);
        r->done++;
    }
    return NULL;
}

static void *raw_thread(void *ctx)
{
    CK_MECHANISM mechanism = {CKM_SHA256_HMAC, NULL, 0};
    uint8_t mac[64];
    CK_SESSION_HANDLE session;
    run *r = ctx;

    if (r->functions->C_OpenSession(r->slot, CKF_SERIAL_SESSION, NULL, NULL, &session) != CKR_OK)
        die("C_OpenSession", "failed");
    while (ek_time_ms() < r->until) {
        CK_ULONG len = sizeof(mac);

        if (r->functions->C_SignInit(session, &mechanism, r->object) != CKR_OK ||
            r->functions->C_Sign(session, message, sizeof(message), mac, &len) != CKR_OK)
            die("C_Sign", "failed");
        r->done++;
    }
    r->functions->C_CloseSession(session);
    return NULL;
}

/* Processor time of this process, and of the processes of an agent that it started. */
static double own_cpu(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static double process_cpu(const char *pid)
{
    char path[300], line[512];
    unsigned long long run_ns = 0;
    DIR *tasks;
    struct dirent *e;
    double us = 0;

    snprintf(path, sizeof(path), "/proc/%s/task", pid);
    tasks = opendir(path);
    while (tasks && (e = readdir(tasks))) {
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%.20s/task/%.20s/schedstat", pid, e->d_name);
        f = fopen(path, "r");
        if (f && fgets(line, sizeof(line), f) && sscanf(line, "%llu", &run_ns) == 1)
            us += (double)run_ns / 1000;
        if (f)
            fclose(f);
    }
    if (tasks)
        closedir(tasks);
    return us;
}

/* Every number in the agent's status that follows "pid". */
static double agent_cpu(ekmotp_agent *agent)
{
    char *json = NULL, pid[16];
    double us = 0;

    if (!agent || ekmotp_agent_status(agent, &json, NULL) != 0)
        return 0;
    for (const char *at = json; (at = strstr(at, "\"pid\":")); at++) {
        snprintf(pid, sizeof(pid), "%d", atoi(at + 6));
        us += process_cpu(pid);
    }
    free(json);
    return us;
}

static int duration = 2000;

static void measure(const char *name, int threads, void *(*work)(void *), run *r, ekmotp_agent *agent)
{
    pthread_t ids[THREADS_MAX];
    double cpu = own_cpu() + agent_cpu(agent);
    int64_t start = ek_time_us(), took;

    r->done = 0;
    r->until = ek_time_ms() + duration;
    for (int i = 0; i < threads; i++)
        if (pthread_create(&ids[i], NULL, work, r) != 0)
            die("thread", "cannot be started");
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    took = ek_time_us() - start;
    cpu = own_cpu() + agent_cpu(agent) - cpu;
    printf("%-22s %7d %10.0f %8.1f\n", name, threads, (double)r->done * 1e6 / (double)took,
           cpu / (double)r->done);
    fflush(stdout);
}

static void bare(const char *module, const char *label, const char *name, const char *pin)
{
    CK_FUNCTION_LIST *f = NULL;
    CK_C_GetFunctionList get;
    CK_C_INITIALIZE_ARGS arguments = {.flags = CKF_OS_LOCKING_OK};
    CK_ATTRIBUTE template[] = {{CKA_LABEL, (void *)name, strlen(name)}};
    CK_SLOT_ID slots[16];
    CK_ULONG count = 16;
    CK_TOKEN_INFO info;
    CK_SESSION_HANDLE session;
    run r = {0};
    void *library = dlopen(module, RTLD_NOW);
    static const int threads[] = {1, 2, 4};

    *(void **)&get = library ? dlsym(library, "C_GetFunctionList") : NULL;
    if (!get || get(&f) != CKR_OK || f->C_Initialize(&arguments) != CKR_OK ||
        f->C_GetSlotList(CK_TRUE, slots, &count) != CKR_OK)
        die(module, "does not start");
    for (CK_ULONG i = 0; i < count; i++) {
        size_t len = strlen(label);

        if (f->C_GetTokenInfo(slots[i], &info) == CKR_OK && memcmp(info.label, label, len) == 0 &&
            (len == 32 || info.label[len] == ' '))
            r.slot = slots[i];
    }
    count = 0;
    if (f->C_OpenSession(r.slot, CKF_SERIAL_SESSION, NULL, NULL, &session) != CKR_OK ||
        f->C_Login(session, CKU_USER, (CK_UTF8CHAR *)pin, strlen(pin)) != CKR_OK ||
        f->C_FindObjectsInit(session, template, 1) != CKR_OK ||
        f->C_FindObjects(session, &r.object, 1, &count) != CKR_OK || count != 1)
        die(name, "is not found with the bare loop");
    f->C_FindObjectsFinal(session);
    r.functions = f;
    for (size_t i = 0; i < sizeof(threads) / sizeof(threads[0]); i++)
        measure("C_SignInit + C_Sign", threads[i], raw_thread, &r, NULL);
}

/* Waits for the reply of one request on a bare connection. */
static void await(int fd, ek_buffer *in, ek_wire_message *m, size_t *used)
{
    while (ek_wire_parse(in->bytes + in->start, ek_buffer_len(in), m, used, NULL) == EK_WIRE_MORE)
        if (ek_buffer_read(in, fd, 1) < 0)
            die("pipelined", "the agent ended");
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || strlen(path) >= sizeof(address.sun_path))
        die(path, "no such socket");
    memcpy(address.sun_path, path, strlen(path));
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
        die(path, "cannot connect");
    return fd;
}

static void pipelined(ekmotp_agent *agent, const char *path, const char *uri, unsigned depth)
{
    ek_wire_message hello = {.type = EK_WIRE_HELLO}, m;
    ek_wire_message open = {
        .type = EK_WIRE_OPEN, .id = 1, .hash = 4, .data = (const uint8_t *)uri, .len = strlen(uri)};
    ek_wire_message mac = {.type = EK_WIRE_MAC, .timeout_ms = 10000, .data = message, .len = sizeof(message)};
    ek_buffer in = {0}, out = {0};
    unsigned long sent = 0, got = 0;
    double cpu;
    int64_t start, until;
    size_t used = 0;
    int fd = connect_to(path);

    if (ek_buffer_put(&out, &hello) != 0 || ek_buffer_put(&out, &open) != 0 || ek_buffer_write(&out, fd) != 0)
        die("pipelined", "cannot write");
    for (int i = 0; i < 2; i++) {
        await(fd, &in, &m, &used);
        mac.key = m.key;
        ek_buffer_consume(&in, used);
    }
    if (m.type != EK_WIRE_OPENED)
        die("pipelined", "the key is not open");
    cpu = own_cpu() + agent_cpu(agent);
    start = ek_time_us();
    until = ek_time_ms() + duration;
    while (ek_time_ms() < until || got < sent) {
        for (; ek_time_ms() < until && sent - got < depth; sent++)
            if (ek_buffer_put(&out, &mac) != 0)
                die("pipelined", "no memory");
        if (ek_buffer_write(&out, fd) != 0)
            die("pipelined", "cannot write");
        if (got == sent)
            break;
        await(fd, &in, &m, &used);
        do {
            if (m.type != EK_WIRE_MAC_IS)
                die("pipelined", "a MAC failed");
            ek_buffer_consume(&in, used);
            got++;
        } while (ek_wire_parse(in.bytes + in.start, ek_buffer_len(&in), &m, &used, NULL) == 0);
    }
    cpu = own_cpu() + agent_cpu(agent) - cpu;
    printf("agent, pipelined %-5u %7d %10.0f %8.1f\n", depth, 1,
           (double)got * 1e6 / (double)(ek_time_us() - start), cpu / (double)got);
    ek_buffer_free(&in);
    ek_buffer_free(&out);
    close(fd);
}

static void in_process(const char *uri)
{
    static const int threads[] = {1, 2, 4};
    ekmotp_error err = {0};
    run r = {0};

    if (ekmotp_p11_key_open(uri, NULL, &r.key, &err) != 0)
        die(uri, err.message);
    for (size_t i = 0; i < sizeof(threads) / sizeof(threads[0]); i++)
        measure("in this process", threads[i], key_thread, &r, NULL);
    ekmotp_key_free(&r.key);
}

static void through_agent(const char *path, const char *uri)
{
    static const int threads[] = {1, 2, 4, 8, 16, 32, 64};
    ekmotp_agent *agent = NULL;
    ekmotp_error err = {0};
    run r = {0};

    if (ekmotp_agent_connect(path, &agent, &err) != 0 ||
        ekmotp_agent_key_open(agent, uri, NULL, &r.key, &err) != 0)
        die(uri, err.message);
    for (size_t i = 0; i < sizeof(threads) / sizeof(threads[0]); i++)
        measure("agent, threads", threads[i], key_thread, &r, agent);
    ekmotp_key_free(&r.key);
    pipelined(agent, path, strtok(strdup(uri), "&"), 8);
    pipelined(agent, path, strtok(strdup(uri), "&"), 64);
    ekmotp_agent_free(&agent);
}

/* Each way in a process of its own: a module is initialised in one place of a process only. */
static void apart(void (*way)(char **), char **argv)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        way(argv);
        exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        exit(99);
}

static void way_bare(char **argv)
{
    char pin[EKMOTP_PIN_MAX + 1] = "";
    FILE *f = fopen(argv[5], "r");

    if (!f || !fgets(pin, sizeof(pin), f))
        die(argv[5], "holds no PIN");
    fclose(f);
    pin[strcspn(pin, "\n")] = '\0';
    bare(argv[2], argv[3], argv[4], pin);
}

static char uri[1024];

static void way_in_process(char **argv)
{
    (void)argv;
    in_process(uri);
}

static void way_agent(char **argv)
{
    through_agent(argv[1], uri);
}

int main(int argc, char **argv)
{
    if (argc < 6)
        return 2;
    if (argc > 6)
        duration = atoi(argv[6]);
    message[4 + 18 + 32 + 2] = 1;
    /* The pin-source comes last, where the pipelined run cuts it off: it is not for the agent. */
    snprintf(uri, sizeof(uri), "pkcs11:token=%s;object=%s?module-path=%s&pin-source=%s", argv[3], argv[4],
             argv[2], argv[5]);
    printf("%-22s %7s %10s %8s\n", "", "threads", "MAC/s", "us");
    fflush(stdout);
    apart(way_bare, argv);
    apart(way_in_process, argv);
    apart(way_agent, argv);
    return 0;
}
