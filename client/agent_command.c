/* SPDX-License-Identifier: Apache-2.0 */
/* agent_command.c: "ekmotp agent status|lock|stop": manages a shared agent. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "client/command.h"

#include <argp.h>
#include <ekmotp/p11.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_AGENT = 'a', OPTION_JSON = 256 };

static const struct argp_option arguments[] = {
    {"agent", OPTION_AGENT, "SOCKET", 0, "The agent's socket ($EKMOTP_AGENT_SOCK unless this is given)", 0},
    {"json", OPTION_JSON, NULL, 0, "Print the status as JSON", 0},
    {0}};

static const char doc[] =
    "Manages an agent that runs on its own (ekmotp-agent --socket), for as many programs as like it.\n\n"
    "  status   what it holds: keys, modules, policy; never a secret\n"
    "  lock     forget every PIN and log out of every token; the next 'ekmotp request' asks for the PIN "
    "again\n"
    "  stop     end it"
    "\vFor example:\n\n"
    "  export EKMOTP_AGENT_SOCK=\"$XDG_RUNTIME_DIR/ekmotp/agent\"\n"
    "  ekmotp agent status\n\n"
    "An agent that a program started for itself needs none of this: it ends with the program.";

typedef struct agent_options {
    const char *socket;
    const char *verb;
    int json;
} agent_options;

static error_t parse(int key, char *value, struct argp_state *state)
{
    agent_options *o = state->input;

    switch (key) {
    case OPTION_AGENT:
        o->socket = value;
        break;
    case OPTION_JSON:
        o->json = 1;
        break;
    case ARGP_KEY_ARG:
        if (o->verb)
            argp_error(state, "'%s' is one argument too many", value);
        if (strcmp(value, "status") != 0 && strcmp(value, "lock") != 0 && strcmp(value, "stop") != 0)
            argp_error(state, "an agent knows status, lock and stop, not '%s'", value);
        o->verb = value;
        break;
    case ARGP_KEY_END:
        if (!o->verb)
            argp_error(state, "say what to do: status, lock or stop");
        if (!o->socket || !*o->socket)
            argp_error(state,
                       "name the agent's socket: --agent SOCKET, or EKMOTP_AGENT_SOCK in the environment");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

static long long number_of(const json_t *object, const char *name)
{
    return (long long)json_integer_value(json_object_get(object, name));
}

static void print_status(const json_t *status)
{
    const json_t *item;
    size_t i;

    printf("ekmotp-agent %s, process %lld, up %lld s, %lld connected, %lld PINs kept\n",
           text_of(status, "version"), number_of(status, "pid"), number_of(status, "seconds"),
           number_of(status, "clients"), number_of(status, "pins"));
    printf("makes MACs for:");
    json_array_foreach(json_object_get(status, "policy"), i, item) printf(" %s", json_string_value(item));
    printf("\n");
    json_array_foreach(json_object_get(status, "workers"), i, item)
        printf("module %s: process %lld, up %lld s, %lld operations under way\n",
               *text_of(item, "module") ? text_of(item, "module") : "(any that is registered)",
               number_of(item, "pid"), number_of(item, "seconds"), number_of(item, "in_flight"));
    json_array_foreach(json_object_get(status, "keys"), i, item)
    {
        printf("key %s: %s, %s, %lld MACs\n", text_of(item, "uri"), text_of(item, "state"),
               text_of(item, "hash"), number_of(item, "macs"));
        if (*text_of(item, "error"))
            printf("    %s\n", text_of(item, "error"));
    }
}

static int show_status(ekmotp_agent *agent, int as_json, ekmotp_error *err)
{
    char *text = NULL;
    json_t *status = NULL;
    int rc = ekmotp_agent_status(agent, &text, err);

    if (rc != 0)
        return rc;
    status = json_loads(text, 0, NULL);
    if (!status)
        rc = ekmotp_error_set(err, EKMOTP_E_AGENT, "the agent's status is not JSON");
    else if (as_json)
        puts(text);
    else
        print_status(status);
    json_decref(status);
    free(text);
    return rc;
}

int ek_command_agent(int argc, char **argv)
{
    static const struct argp argp = {arguments, parse, "status|lock|stop", doc, NULL, NULL, NULL};
    agent_options o = {.socket = getenv("EKMOTP_AGENT_SOCK")};
    ekmotp_agent *agent = NULL;
    ekmotp_error err = {0};
    int rc;

    argp_err_exit_status = EK_EXIT_USAGE;
    if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0)
        return EK_EXIT_USAGE;
    rc = ekmotp_agent_connect(o.socket, &agent, &err);
    if (rc == 0 && strcmp(o.verb, "status") == 0)
        rc = show_status(agent, o.json, &err);
    else if (rc == 0 && strcmp(o.verb, "lock") == 0)
        rc = ekmotp_agent_lock(agent, &err);
    else if (rc == 0)
        rc = ekmotp_agent_stop(agent, &err);
    ekmotp_agent_free(&agent);
    return rc == 0 ? EK_EXIT_OK : ek_complain(argv[0], &err);
}
