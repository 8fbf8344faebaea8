/* SPDX-License-Identifier: Apache-2.0 */
/* client_command_change.c: set, disable, enable, finish-rotation, remove. */
#include "config.h"

#include "server/client_command.h"

static int print_result(const ek_client_options *o, ekmotp_directory *directory, const char *what,
                        ekmotp_error *err)
{
    char id[EKMOTP_ID_TEXT_SIZE];

    if (o->json)
        return ekmotp_directory_show(directory, o->id, o->id_len, ek_client_print, (void *)o, err);
    ekmotp_id_print(o->id, o->id_len, id);
    printf("client %s: %s\n", id, what);
    return 0;
}

int ek_client_set(const ek_client_options *o, ekmotp_directory *directory, ekmotp_error *err)
{
    ekmotp_client_info info = {.id = o->id, .id_len = o->id_len, .profiles = o->profiles, .note = o->note};
    int rc;

    if (o->what == 0)
        return ekmotp_error_set(err, EKMOTP_E_INVAL,
                                "nothing to set: name --profile, --note, --not-before or --not-after");
    info.keys[0].not_before = o->not_before;
    info.keys[0].not_after = o->not_after;
    rc = ekmotp_directory_set(directory, &info, o->what, err);
    return rc != 0 ? rc : print_result(o, directory, "changed", err);
}

int ek_client_disable(const ek_client_options *o, ekmotp_directory *directory, ekmotp_error *err)
{
    int rc = ekmotp_directory_set_disabled(directory, o->id, o->id_len, 1, err);

    return rc != 0 ? rc : print_result(o, directory, "disabled", err);
}

int ek_client_enable(const ek_client_options *o, ekmotp_directory *directory, ekmotp_error *err)
{
    int rc = ekmotp_directory_set_disabled(directory, o->id, o->id_len, 0, err);

    return rc != 0 ? rc : print_result(o, directory, "enabled", err);
}

int ek_client_finish_rotation(const ek_client_options *o, ekmotp_directory *directory, ekmotp_error *err)
{
    int rc = ekmotp_directory_finish_rotation(directory, o->id, o->id_len, err);

    return rc != 0 ? rc : print_result(o, directory, "the previous key is dropped", err);
}

int ek_client_remove(const ek_client_options *o, ekmotp_directory *directory, ekmotp_error *err)
{
    int rc = ekmotp_directory_remove(directory, o->id, o->id_len, err);
    char id[EKMOTP_ID_TEXT_SIZE];

    if (rc != 0)
        return rc;
    ekmotp_id_print(o->id, o->id_len, id);
    if (o->json)
        return ek_client_print_json(json_pack("{s:s, s:b}", "id", id, "removed", 1), err);
    printf("client %s: removed\n", id);
    return 0;
}
