/* SPDX-License-Identifier: Apache-2.0 */
/*
 * front.h: the process that programs talk to. One thread, one poll loop; it never loads a module and never
 * waits for anybody: what hangs is a worker, and a worker can be killed.
 *
 *   program --MAC--> client --> key --> worker --MAC--> process that holds the module
 */
#ifndef EK_AGENT_FRONT_H
#define EK_AGENT_FRONT_H

#include "p11/agent/buffer.h"
#include "p11/agent/options.h"
#include "p11/agent/vault.h"

#include <ekmotp/key.h>
#include <sys/queue.h>

#define EK_FRONT_CLIENTS_MAX 64
#define EK_FRONT_GUESTS_MAX 48 /* clients of other users: the owner can always stop the agent */
#define EK_FRONT_GUEST_SHARE                                                                                 \
    12 /* of them, those of one user: no member of the group shuts out the others                            \
        */
#define EK_FRONT_ACCEPT_PAUSE_MS 100
#define EK_FRONT_HANDLES_MAX 64       /* keys of one client */
#define EK_FRONT_KEYS_MAX 64          /* keys of all clients */
#define EK_FRONT_WORKERS_MAX 16       /* one for each module */
#define EK_FRONT_PENDING_MAX 256      /* requests of one client; it is not read while it has so many */
#define EK_FRONT_FLIGHT_MAX 64        /* requests that a worker has at a time */
#define EK_FRONT_OUT_MAX (256 * 1024) /* bytes that a client has not read; it is not read meanwhile */
#define EK_FRONT_PATIENCE_MS 10000    /* for a client that does not read, greet or end its frame */
#define EK_FRONT_HANG_MIN_MS 2000     /* a shorter time limit than this is the caller's, not the worker's */
#define EK_FRONT_OPEN_MIN_MS 10000    /* the same for opening a key: starting a token takes its time */

struct front_client;
struct front_worker;
struct front_key;

/* A request on its way; in exactly one list. */
typedef struct front_request {
    TAILQ_ENTRY(front_request) link;
    struct front_client *client; /* NULL: nobody waits for the reply */
    struct front_key *key;       /* of MAC, OPEN; NULL otherwise */
    uint32_t client_id;          /* request id of the client */
    uint32_t worker_id;          /* request id towards the worker */
    uint8_t type;                /* ek_wire_type */
    int is_opener;               /* the front's own OPEN, on behalf of all who wait for the key */
    unsigned timeout_ms;
    int64_t deadline;   /* the client is told by then */
    int64_t started;    /* since when the worker works on it; 0: it does not yet */
    ek_secret *pin;     /* that came with an OPEN, until it is tried */
    uint32_t close_key; /* of CLOSE: the worker's handle */
    size_t len;
    uint8_t data[]; /* the message, or the JSON */
} front_request;
TAILQ_HEAD(front_requests, front_request);
typedef struct front_requests front_requests;

typedef enum front_key_state { FRONT_KEY_CLOSED, FRONT_KEY_OPENING, FRONT_KEY_OPEN } front_key_state;

/* A key that clients opened; it outlives the worker that holds it. */
typedef struct front_key {
    TAILQ_ENTRY(front_key) link;
    char *uri;
    char *token;  /* its token part, for the vault */
    char *module; /* its worker */
    ekmotp_hash hash;
    unsigned refs; /* handles of clients, and requests */
    front_key_state state;
    struct front_worker *worker; /* while OPENING or OPEN */
    uint32_t handle;             /* in the worker, while OPEN */
    ek_secret *candidate;        /* the PIN of the OPEN that is under way */
    int other_user; /* nobody but members of the group has asked for it, so that no module-path is trusted */
    int needs_pin;
    int pin_refused; /* no more tries until somebody opens the key with another PIN */
    uint8_t probe[EKMOTP_HASH_MAX_SIZE];
    size_t probe_len;
    unsigned failures; /* in a row */
    int64_t retry_at;
    ekmotp_error failure; /* the last one */
    uint64_t macs;
    front_requests waiting; /* for the key to be open */
} front_key;

typedef struct front_worker {
    TAILQ_ENTRY(front_worker) link;
    char *module;
    int fd;
    int pidfd;
    pid_t pid; /* for people */
    int once;  /* an ADMIN request has it for itself */
    int64_t since;
    uint32_t next_id;
    size_t flying;
    front_requests queue;
    front_requests flight; /* sent, oldest first */
    ek_buffer in, out;
} front_worker;

typedef struct front_client {
    TAILQ_ENTRY(front_client) link;
    int fd;
    int greeted;
    uid_t user;
    int own_user; /* the agent's own user; members of the group may not stop it or change tokens */
    int doomed;   /* 1: close once what is to be said was written; 2: close now */
    size_t pending;
    int64_t stalled_at; /* it must greet, end its frame or read before this; 0: it owes nothing */
    front_key *handles[EK_FRONT_HANDLES_MAX];
    ek_buffer in, out;
} front_client;

typedef struct front {
    const ek_agent_options *options;
    int control;  /* to the supervisor, which makes workers */
    int listener; /* -1 for a private agent */
    int parent;   /* pidfd of a private agent's parent; -1 */
    int stopping;
    int64_t now; /* ms; taken once in each turn of the loop */
    int64_t started;
    int64_t accept_at; /* not before: descriptors or memory ran out */
    int64_t next_scan; /* no deadline is earlier than this */
    TAILQ_HEAD(, front_client) clients;
    TAILQ_HEAD(, front_worker) workers;
    TAILQ_HEAD(, front_key) keys;
    size_t client_count, worker_count, key_count;
    uint64_t workers_replaced;
    ek_vault vault;
} front;

/*
 * Serves until its last client (private), its supervisor, or STOP ends it. socket is the private client's or
 * the listening one. Returns the exit status.
 */
int ek_front_run(const ek_agent_options *options, int control, int socket);

/* front.c */
front_request *ek_front_request_new(front *f, front_client *c, const ek_wire_message *m, front_key *key);
void ek_front_request_free(front *f, front_request *r);
/* Answers the client of a request, if there is one still, and forgets the request, which is in no list. */
void ek_front_reply(front *f, front_request *r, ek_wire_message *reply);
void ek_front_reply_error(front *f, front_request *r, int code, const char *text);
void ek_front_expect(front *f, int64_t deadline); /* have deadlines looked at by then */

/* front_client.c */
void ek_front_client_add(front *f, int fd, uid_t user);
void ek_front_client_remove(front *f, front_client *c);
void ek_front_client_read(front *f, front_client *c); /* all that its buffer holds and its limits allow */
void ek_front_client_send(front *f, front_client *c, const ek_wire_message *m);
void ek_front_client_error(front *f, front_client *c, uint32_t id, int code, const char *text);
void ek_front_accept(front *f);

/* front_keys.c */
/* The key of a URI and a hash, new where it is not there. Not held yet. NULL and err: no room, no memory. */
front_key *ek_front_key_find_or_add(front *f, const char *uri, ekmotp_hash hash, ekmotp_error *err);
/* One handle or request less holds the key; the last one's end forgets it, unless a shared agent stays warm.
 */
void ek_front_key_unref(front *f, front_key *k);
/* Has the worker forget the open key. */
void ek_front_key_send_close(front *f, const front_key *k);

/* front_key.c */
void ek_front_key_open(front *f, front_client *c, const ek_wire_message *m);
void ek_front_key_mac(front *f, front_client *c, const ek_wire_message *m);
/* What a worker, or the lack of one, answered to the front's own OPEN. */
void ek_front_key_opened(front *f, front_key *k, const ek_wire_message *reply);
void ek_front_key_failed(front *f, front_key *k, int code, const char *text);
void ek_front_key_lost(front_key *k); /* its worker is gone */
void ek_front_key_lock(front *f);     /* forget every PIN, close every key */

/* front_worker.c */
/* The worker of a module; started where there is none. */
int ek_front_worker_get(front *f, const char *module, int once, front_worker **out, ekmotp_error *err)
    __attribute__((warn_unused_result));
void ek_front_worker_ask(front *f, front_worker *w, front_request *r);
int ek_front_worker_read(front *f, front_worker *w) __attribute__((warn_unused_result));
/* Kills it; whoever waits for it is told. */
void ek_front_worker_end(front *f, front_worker *w, int code, const char *text);
/* Tells whoever's time is over, and kills workers that hang. */
void ek_front_scan(front *f);

/* front_status.c */
char *ek_front_status(const front *f); /* JSON, the caller's to free; NULL: no memory */

#endif
