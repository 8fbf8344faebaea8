/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "p11/agent/agent.h"
#include "p11/agent/deadline.h"
#include "p11/clock.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define HELLO_MS 5000      /* a new agent must have said something by then */
#define RETRY_AFTER_MS 250 /* an agent that could not be started is not tried again before */

struct ekmotp_agent {
    pid_t owner;          /* a child of fork must not talk on its parent's link */
    char *path;           /* of a shared agent's socket, or */
    char *program;        /* of a private agent */
    pthread_mutex_t lock; /* never held across a wait */
    pthread_cond_t reached;
    int reaching; /* a thread gets a socket to the agent */
    ek_link *link;
    uint64_t generation;
    int64_t retry_at;
    ekmotp_error failure; /* why the last start failed, until retry_at */
};

int64_t ek_agent_deadline(unsigned timeout_ms)
{
    return ek_time_ms() + ek_agent_timeout(timeout_ms) + EK_AGENT_GRACE_MS;
}

unsigned ek_agent_timeout(unsigned timeout_ms)
{
    return timeout_ms == 0 ? EK_AGENT_TIMEOUT_MS : timeout_ms;
}

/* Greets on a new link, so that another version is an error here and not a riddle later. */
static int greet(ek_link *link, int64_t deadline, ekmotp_error *err)
{
    int64_t latest = ek_time_ms() + HELLO_MS;
    ek_wire_message hello = {.type = EK_WIRE_HELLO};
    ek_reply reply;
    int rc = ek_link_call(link, &hello, deadline < latest ? deadline : latest, &reply, err);

    if (rc == EKMOTP_E_TOKEN_TIMEOUT)
        return ekmotp_error_set(err, EKMOTP_E_AGENT, "agent: it does not say hello; is it an ekmotp-agent?");
    if (rc != 0)
        return rc;
    if (reply.type != EK_WIRE_WELCOME) {
        free(reply.text);
        ek_link_break(link);
        return ekmotp_error_set(err, EKMOTP_E_AGENT, "agent: it answered hello with something else");
    }
    link->welcome = reply.flags;
    return 0;
}

/* The process that ek_agent_start began hands over to the agent and ends; one that did not is killed. */
static void reap(pid_t child, int failed)
{
    if (child <= 0)
        return;
    if (failed && waitpid(child, NULL, WNOHANG) == 0)
        kill(child, SIGKILL);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
}

/* Gets a socket to the agent; others may go on with the lock meanwhile, and wait for the outcome. */
static int reach(ekmotp_agent *a, int64_t deadline, int *fd, pid_t *child, ekmotp_error *err)
{
    int rc;

    a->reaching = 1;
    pthread_mutex_unlock(&a->lock);
    rc = a->path ? ek_agent_reach(a->path, deadline, fd, err) : ek_agent_start(a->program, fd, child, err);
    pthread_mutex_lock(&a->lock);
    a->reaching = 0;
    pthread_cond_broadcast(&a->reached);
    return rc;
}

static int make_link(ekmotp_agent *a, int64_t deadline, ekmotp_error *err)
{
    ekmotp_error failure = {0};
    pid_t child = -1;
    ek_link *mine;
    int fd, rc;

    if (ek_time_ms() < a->retry_at) {
        if (err)
            *err = a->failure;
        return a->failure.code;
    }
    rc = reach(a, deadline, &fd, &child, &failure);
    if (rc == 0) {
        mine = ek_link_new(fd, &a->lock, ++a->generation);
        if (!mine)
            rc = ekmotp_error_set(&failure, EKMOTP_E_NOMEM, "agent: out of memory");
    }
    if (rc == 0) {
        /* Others may use it at once: what they send goes out behind the greeting. */
        a->link = mine;
        mine->refs++;
        rc = greet(mine, deadline, &failure);
        if (rc != 0) {
            ek_link_break(mine);
            if (a->link == mine)
                ek_link_unref(&a->link);
        }
        ek_link_unref(&mine);
    }
    reap(child, rc != 0);
    if (rc != 0) {
        /* A shared agent that is not there says so at once; only processes are not started in a row. */
        a->retry_at = a->path ? 0 : ek_time_ms() + RETRY_AFTER_MS;
        a->failure = failure;
        if (err)
            *err = failure;
    }
    return rc;
}

/* Waits while another thread gets the socket, until deadline. */
static int wait_reached(ekmotp_agent *a, int64_t deadline, ekmotp_error *err)
{
    struct timespec until = ek_deadline_timespec(deadline);

    while (a->reaching)
        if (pthread_cond_timedwait(&a->reached, &a->lock, &until) == ETIMEDOUT)
            return ekmotp_error_set(err, EKMOTP_E_TOKEN_TIMEOUT, "agent: it could not be reached in time");
    return 0;
}

int ek_agent_call(ekmotp_agent *a, ek_wire_message *request, int64_t deadline, uint64_t *generation,
                  int *stale, ek_reply *reply, ekmotp_error *err)
{
    ek_link *link = NULL;
    int rc;

    memset(reply, 0, sizeof(*reply));
    *stale = 0;
    if (a->owner != getpid())
        return ekmotp_error_set(
            err, EKMOTP_E_AGENT,
            "agent: this process was forked from the one that connected; connect again in it");
    pthread_mutex_lock(&a->lock);
    rc = wait_reached(a, deadline, err);
    if (rc == 0 && a->link && a->link->broken)
        ek_link_unref(&a->link);
    if (rc == 0 && *generation != 0 && (!a->link || a->link->generation != *generation)) {
        *stale = 1;
        rc = ekmotp_error_set(err, EKMOTP_E_AGENT, "agent: it was started anew");
    } else if (rc == 0 && !a->link) {
        rc = make_link(a, deadline, err);
    }
    /* While this thread greeted, another one may have seen the link break. */
    if (rc == 0 && !a->link)
        rc = ekmotp_error_set(err, EKMOTP_E_AGENT, "agent: it ended at once");
    if (rc == 0) {
        link = a->link;
        link->refs++;
        *generation = link->generation;
        rc = ek_link_call(link, request, deadline, reply, err);
        *stale = link->broken && rc == EKMOTP_E_AGENT;
        ek_link_unref(&link);
    }
    pthread_mutex_unlock(&a->lock);
    return rc;
}

static int agent_new(const char *path, const char *program, ekmotp_agent **out, ekmotp_error *err)
{
    ekmotp_agent *a = calloc(1, sizeof(*a));
    int64_t deadline = ek_time_ms() + HELLO_MS;
    int rc;

    if (!a)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "agent: out of memory");
    pthread_mutex_init(&a->lock, NULL);
    ek_cond_init(&a->reached);
    a->owner = getpid();
    if (path)
        a->path = strdup(path);
    else
        a->program = strdup(program);
    if (!a->path && !a->program) {
        rc = ekmotp_error_set(err, EKMOTP_E_NOMEM, "agent: out of memory");
    } else {
        pthread_mutex_lock(&a->lock);
        rc = make_link(a, deadline, err);
        pthread_mutex_unlock(&a->lock);
    }
    if (rc == 0)
        *out = a;
    else
        ekmotp_agent_free(&a);
    return rc;
}

int ekmotp_agent_spawn(const char *program, ekmotp_agent **out, ekmotp_error *err)
{
    return agent_new(NULL, program ? program : EKMOTP_AGENT_PROGRAM, out, err);
}

int ekmotp_agent_connect(const char *path, ekmotp_agent **out, ekmotp_error *err)
{
    if (!path || !*path)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "agent: no path of a socket was given");
    return agent_new(path, NULL, out, err);
}

void ekmotp_agent_free(ekmotp_agent **agent)
{
    ekmotp_agent *a = agent ? *agent : NULL;

    if (!a)
        return;
    /* Only closes: in a child of fork a shutdown would end the parent's link too. */
    ek_link_unref(&a->link);
    if (a->owner == getpid()) {
        pthread_mutex_destroy(&a->lock);
        pthread_cond_destroy(&a->reached);
    }
    free(a->path);
    free(a->program);
    free(a);
    *agent = NULL;
}

static int plain_call(ekmotp_agent *a, uint8_t type, ekmotp_error *err)
{
    ek_wire_message request = {.type = type};
    uint64_t generation = 0;
    ek_reply reply;
    int stale, rc;

    rc = ek_agent_call(a, &request, ek_agent_deadline(0), &generation, &stale, &reply, err);
    free(reply.text);
    if (rc == 0 && reply.type != EK_WIRE_DONE)
        rc =
            ekmotp_error_set(err, EKMOTP_E_AGENT, "agent: an answer of type %u was not expected", reply.type);
    return rc;
}

static int text_call(ekmotp_agent *a, ek_wire_message *request, unsigned timeout_ms, char **json,
                     ekmotp_error *err)
{
    uint64_t generation = 0;
    ek_reply reply;
    int stale, rc;

    rc = ek_agent_call(a, request, ek_agent_deadline(timeout_ms), &generation, &stale, &reply, err);
    if (rc == 0 && !reply.text)
        rc =
            ekmotp_error_set(err, EKMOTP_E_AGENT, "agent: an answer of type %u was not expected", reply.type);
    if (rc == 0)
        *json = reply.text;
    else
        free(reply.text);
    return rc;
}

int ekmotp_agent_lock(ekmotp_agent *agent, ekmotp_error *err)
{
    return plain_call(agent, EK_WIRE_LOCK, err);
}

int ekmotp_agent_stop(ekmotp_agent *agent, ekmotp_error *err)
{
    return plain_call(agent, EK_WIRE_STOP, err);
}

int ekmotp_agent_status(ekmotp_agent *agent, char **json, ekmotp_error *err)
{
    ek_wire_message request = {.type = EK_WIRE_STATUS};

    return text_call(agent, &request, 0, json, err);
}

int ekmotp_agent_admin(ekmotp_agent *agent, const char *request_json, unsigned timeout_ms, char **reply_json,
                       ekmotp_error *err)
{
    ek_wire_message request = {.type = EK_WIRE_ADMIN,
                               .timeout_ms = ek_agent_timeout(timeout_ms),
                               .data = (const uint8_t *)request_json,
                               .len = strlen(request_json)};

    return text_call(agent, &request, timeout_ms, reply_json, err);
}
