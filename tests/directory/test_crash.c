/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIGKILL at random points of making a directory, adding and rotating: more than 1,000 hit the middle: the
 * directory opens, and is as before or as after. And several administrators at once.
 */
#include "config.h"

#include "tests/directory/dying_vfs.h"
#include "tests/directory/fixture.h"
#include "tests/unit/suite.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#define KILLS 200
#else
#define KILLS 1600
#endif
#define CREATIONS (KILLS / 6) /* of them */
#define SAMPLES 5             /* turns of each kind that are not killed, to see how long they take */
#define KEPT 8                /* clients in the directory */

static ekmotp_error err;
static double *spent; /* by the child on its work; in memory that it shares with its parent */

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Has the kernel kill this process after some time: more precise than another process could. */
static void die_after(double seconds)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)seconds,
                                           .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9) + 1}};
    timer_t timer;

    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 || timer_settime(timer, 0, &when, NULL) != 0)
        _exit(98);
}

/* What one turn does to the directory, in a process of its own. */
typedef enum action { CREATE, ADD, ROTATE } action;

static void act(action what, const char *path, unsigned n)
{
    ekmotp_directory_options options = fx_options();
    ekmotp_directory *d = NULL;
    uint8_t id[EKMOTP_ID_MAX];
    ekmotp_client_key key;
    int rc;

    *spent = now();
    options.wait_ms = 10000;
    rc = ekmotp_directory_open(path, &options, &d, NULL, &err);
    if (rc == 0 && what == ADD)
        rc = ekmotp_directory_add(d, fx_client(n), &err);
    if (rc == 0 && what == ROTATE) {
        key = fx_client(n + 100000)->keys[0];
        rc = ekmotp_directory_rotate(d, id, fx_id(n, id), &key, INT64_MAX, &err);
    }
    ekmotp_directory_free(&d);
    if (rc != 0)
        fprintf(stderr, "in the child: %s\n", err.message);
    *spent = now() - *spent;
    _exit(rc == 0 ? 0 : 97);
}

static void share_memory(void)
{
    spent = mmap(NULL, sizeof(*spent), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(spent, MAP_FAILED);
}

/*
 * Runs the action in a child that dies after some time (0: never), or at a write (0: never). Returns 1 if
 * it ended by itself.
 */
static int run_until(action what, const char *path, unsigned n, double seconds, unsigned at_write)
{
    pid_t child = fork();
    int status;

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        if (seconds > 0)
            die_after(seconds);
        if (at_write > 0)
            die_at_write(at_write);
        act(what, path, n);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    if (WIFEXITED(status))
        ck_assert_int_eq(WEXITSTATUS(status), 0);
    else
        ck_assert_int_eq(WTERMSIG(status), SIGKILL);
    return WIFEXITED(status);
}

static int run(action what, const char *path, unsigned n, double seconds)
{
    return run_until(what, path, n, seconds, 0);
}

/* How long the action takes in its process. */
static double duration(action what, const char *path, unsigned n)
{
    ck_assert(run(what, path, n, 0));
    return *spent;
}

static ekmotp_snapshot *load(ekmotp_directory *d)
{
    ekmotp_snapshot *s = NULL;

    ck_ok(ekmotp_snapshot_load(d, NULL, &s, &err), err);
    return s;
}

START_TEST(killed_while_made)
{
    double longest = 0, start = now();
    unsigned finished = 0;
    char name[32];

    share_memory();
    for (unsigned i = 0; i < SAMPLES; i++) {
        snprintf(name, sizeof(name), "sample%u", i);
        longest += duration(CREATE, fx_path(name), 0) / SAMPLES;
    }
    for (unsigned i = 0; i < CREATIONS; i++) {
        ekmotp_directory *d;
        ekmotp_snapshot *s;

        snprintf(name, sizeof(name), "d%u", i);
        finished +=
            (unsigned)run(CREATE, fx_path(name), 0, longest * 1.2 * (double)random() / (double)RAND_MAX);
        /* Whatever is there: the next one goes on from it. */
        d = fx_open(name);
        fx_add(d, 1, 1);
        ekmotp_directory_free(&d);
        d = fx_open(name);
        s = load(d);
        ck_assert(fx_has_key(s, 1, 0, 1));
        ekmotp_snapshot_free(&s);
        ekmotp_directory_free(&d);
    }
    fprintf(stderr, "made: %u of %d were killed, %.1f s\n", CREATIONS - finished, CREATIONS, now() - start);
    ck_assert_uint_lt(finished, CREATIONS);
}
END_TEST

/* Opens the directory after a turn and tells whether it is as after; fails the test if it is neither. */
static int is_after(action what, unsigned n)
{
    ekmotp_directory *d = fx_open("d");
    ekmotp_snapshot *s = load(d);
    int after = what == ADD ? fx_has_key(s, n, 0, n) : fx_has_key(s, n, 0, n + 100000);

    ck_assert_uint_eq(ekmotp_snapshot_count(s), KEPT + (what == ADD && after ? 1 : 0));
    if (what == ROTATE)
        ck_assert(after ? fx_has_key(s, n, 1, n) : fx_has_key(s, n, 0, n) && !fx_has_key(s, n, 1, n));
    for (unsigned k = n >= KEPT ? n - KEPT + 1 : 1; k < n; k++)
        ck_assert(fx_has_key(s, k, 0, k) || fx_has_key(s, k, 0, k + 100000));
    ekmotp_snapshot_free(&s);
    ekmotp_directory_free(&d);
    return after;
}

/* Turn n: client n is added; then it is rotated; then the oldest is removed. */
START_TEST(killed_while_changed)
{
    unsigned after[3] = {0}, killed[3] = {0}, n = KEPT;
    double longest[3] = {0}, start = now();
    ekmotp_directory *d = fx_open("d");
    uint8_t id[EKMOTP_ID_MAX];

    share_memory();
    fx_add(d, 1, KEPT);
    ekmotp_directory_free(&d);
    for (int i = 0; i < KILLS - CREATIONS; i++) {
        action what = i % 2 == 0 ? ADD : ROTATE;
        double t = longest[what] * 1.2 * (double)random() / (double)RAND_MAX;

        if (what == ADD)
            n++;
        if (i < 2 * SAMPLES)
            longest[what] += duration(what, fx_path("d"), n) / SAMPLES;
        else
            killed[what] += !run(what, fx_path("d"), n, t + 1e-6);
        if (is_after(what, n))
            after[what]++;
        else
            ck_assert(run(what, fx_path("d"), n, 0)); /* as before: the same can be done again */
        if (what == ROTATE)
            continue;
        d = fx_open("d");
        ck_ok(ekmotp_directory_remove(d, id, fx_id(n - KEPT, id), &err), err);
        ekmotp_directory_free(&d);
    }
    fprintf(stderr, "add: %u killed, %u as after; rotate: %u killed, %u as after; %.1f s\n", killed[ADD],
            after[ADD], killed[ROTATE], after[ROTATE], now() - start);
    for (int what = ADD; what <= ROTATE; what++)
        ck_assert(killed[what] > KILLS / 16 && after[what] > 0 && after[what] < (KILLS - CREATIONS) / 2);
}
END_TEST

/* Every write of each action once, done by half. */
START_TEST(killed_at_each_write)
{
    ekmotp_directory *d = fx_open("d");
    unsigned writes[3] = {0}, n = KEPT;
    char name[32];

    share_memory();
    fx_add(d, 1, KEPT);
    ekmotp_directory_free(&d);
    for (int done = 0; !done;) {
        snprintf(name, sizeof(name), "made%u", ++writes[CREATE]);
        done = run_until(CREATE, fx_path(name), 0, 0, writes[CREATE]);
        d = fx_open(name);
        fx_add(d, 1, 1);
        ekmotp_directory_free(&d);
    }
    n++;
    while (!run_until(ADD, fx_path("d"), n, 0, ++writes[ADD]))
        if (is_after(ADD, n)) { /* the last write was not needed: once more from before */
            d = fx_open("d");
            ck_ok(ekmotp_directory_remove(d, fx_client(n)->id, fx_client(n)->id_len, &err), err);
            ekmotp_directory_free(&d);
        }
    ck_assert(is_after(ADD, n));
    d = fx_open("d");
    ck_ok(ekmotp_directory_remove(d, (const uint8_t *)"client-1", 8, &err), err);
    ekmotp_directory_free(&d);
    while (!run_until(ROTATE, fx_path("d"), n, 0, ++writes[ROTATE])) {
        if (!is_after(ROTATE, n))
            continue;
        n++;
        d = fx_open("d");
        fx_add(d, n, n);
        ck_ok(ekmotp_directory_remove(d, fx_client(n - KEPT)->id, fx_client(n - KEPT)->id_len, &err), err);
        ekmotp_directory_free(&d);
    }
    fprintf(stderr, "making, adding, rotating: killed at %u, %u and %u writes\n", writes[CREATE] - 1,
            writes[ADD] - 1, writes[ROTATE] - 1);
    ck_assert(writes[CREATE] > 5 && writes[ADD] > 5 && writes[ROTATE] > 5);
}
END_TEST

#define ADMINS 4
#define EACH 25

START_TEST(administrators_at_once)
{
    ekmotp_directory *d;
    ekmotp_snapshot *s;
    unsigned first = 0;
    int status;

    const char *path = fx_path("d");

    /* All make the directory, too. */
    for (unsigned a = 0; a < ADMINS; a++) {
        if (fork() == 0) {
            ekmotp_directory_options options = fx_options();
            ekmotp_client_key key = fx_client(7)->keys[0];
            uint8_t id[EKMOTP_ID_MAX], seven[32];
            int won;

            fx_key(7, seven);
            key.bytes = seven;
            options.wait_ms = 60000;
            if (ekmotp_directory_open(path, &options, &d, NULL, &err) != 0)
                _exit(96);
            for (unsigned n = 0; n < EACH; n++)
                if (ekmotp_directory_add(d, fx_client(1000 * (a + 1) + n), &err) != 0 ||
                    ekmotp_directory_rotate(d, id, fx_id(1000 * (a + 1) + n, id), &key, INT64_MAX, &err) != 0)
                    _exit(95);
            won = ekmotp_directory_add(d, fx_client(1), &err);
            if (won != 0 && won != EKMOTP_E_CLIENT_EXISTS)
                _exit(94);
            ekmotp_directory_free(&d);
            _exit(won == 0 ? 1 : 0);
        }
    }
    for (unsigned a = 0; a < ADMINS; a++) {
        ck_assert_int_gt(wait(&status), 0);
        ck_assert(WIFEXITED(status));
        ck_assert_int_le(WEXITSTATUS(status), 1);
        first += (unsigned)WEXITSTATUS(status);
    }
    ck_assert_uint_eq(first, 1);
    d = fx_open("d");
    s = load(d);
    ck_assert_uint_eq(ekmotp_snapshot_count(s), ADMINS * EACH + 1);
    for (unsigned a = 0; a < ADMINS; a++)
        for (unsigned n = 0; n < EACH; n++)
            ck_assert(fx_has_key(s, 1000 * (a + 1) + n, 0, 7) &&
                      fx_has_key(s, 1000 * (a + 1) + n, 1, 1000 * (a + 1) + n));
    ekmotp_snapshot_free(&s);
    ekmotp_directory_free(&d);
}
END_TEST

UNIT_MAIN("directory crashes", killed_at_each_write, killed_while_made, killed_while_changed,
          administrators_at_once)
