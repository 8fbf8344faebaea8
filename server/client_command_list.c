/* SPDX-License-Identifier: Apache-2.0 */
/* client_command_list.c: list, show, check. */
#include "config.h"

#include "server/client_command.h"

#include <string.h>

/* What list keeps while it walks. */
typedef struct lister {
    const ek_client_options *options;
    uint64_t printed;
    int more; /* the filter lets through more than --limit */
    char last[EKMOTP_ID_TEXT_SIZE];
} lister;

static int print_one(void *ctx, const ekmotp_client_info *info, ekmotp_error *err)
{
    lister *l = ctx;
    int rc = 0;

    if (l->options->filter.limit > 0 && l->printed == l->options->filter.limit) {
        l->more = 1;
        return 0;
    }
    if (l->options->json) {
        fputs(l->printed > 0 ? "," : "", stdout);
        rc = ek_client_print_json(ek_client_json(info), err);
    } else {
        if (l->printed == 0)
            printf("%-24s %-8s %-7s %-8s %-4s %-20s %s\n", "ID", "STATE", "HASH", "KEY", "KEYS",
                   "VALID UNTIL", "PROFILES");
        ek_client_print_line(info);
    }
    ekmotp_id_print(info->id, info->id_len, l->last);
    l->printed++;
    return rc;
}

int ek_client_list(const ek_client_options *o, ekmotp_directory *directory, ekmotp_error *err)
{
    ekmotp_directory_filter filter = o->filter;
    lister l = {.options = o};
    int rc;

    /* One more than is printed tells whether there is another page. */
    filter.limit += filter.limit > 0 ? 1 : 0;
    if (o->json)
        fputs("{\"clients\":[", stdout);
    if ((rc = ekmotp_directory_list(directory, &filter, print_one, &l, err)) != 0)
        return rc;
    if (o->json) {
        fputs("],\"next\":", stdout);
        if ((rc = ek_client_print_json(l.more ? json_string(l.last) : json_null(), err)) != 0)
            return rc;
        puts("}");
    } else if (l.more) {
        fprintf(stderr, "ekmotpd client list: there are more; the next page: --after '%s'\n", l.last);
    }
    return 0;
}

int ek_client_show(const ek_client_options *o, ekmotp_directory *directory, ekmotp_error *err)
{
    return ekmotp_directory_show(directory, o->id, o->id_len, ek_client_print, (void *)o, err);
}

/* The faults as they come: text at once, JSON at the end. */
typedef struct faults {
    const ek_client_options *options;
    json_t *list;
} faults;

static void note_fault(void *ctx, const ekmotp_error *problem)
{
    const faults *f = ctx;

    if (f->options->json)
        json_array_append_new(f->list, json_string(problem->message));
    else
        printf("%s\n", problem->message);
}

int ek_client_check(const ek_client_options *o, ekmotp_directory *directory, ekmotp_error *err)
{
    faults f = {.options = o, .list = json_array()};
    ekmotp_error why = {0};
    uint64_t count = 0;
    int rc, checked = ekmotp_directory_check(directory, o->tokens, note_fault, &f, &why);

    if ((rc = ekmotp_directory_count(directory, &count, err)) != 0) {
        json_decref(f.list);
        return rc;
    }
    if (o->json) {
        rc = ek_client_print_json(json_pack("{s:I, s:b, s:o}", "clients", (json_int_t)count, "sound",
                                            checked == 0, "faults", f.list),
                                  err);
    } else {
        json_decref(f.list);
        if (checked == 0)
            printf("%s: sound, %llu client%s\n", o->directory, (unsigned long long)count,
                   count == 1 ? "" : "s");
    }
    if (checked != 0)
        return ekmotp_error_set(err, checked, "%s", why.message);
    return rc;
}
