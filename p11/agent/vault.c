/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "p11/agent/vault.h"

#include <ekmotp/error.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void ek_vault_init(ek_vault *v)
{
    TAILQ_INIT(&v->items);
    v->count = 0;
}

static void remove_item(ek_vault *v, ek_vault_item *i)
{
    TAILQ_REMOVE(&v->items, i, link);
    v->count--;
    ek_secret_free(&i->pin);
    free(i->token);
    free(i);
}

void ek_vault_clear(ek_vault *v)
{
    while (!TAILQ_EMPTY(&v->items))
        remove_item(v, TAILQ_FIRST(&v->items));
}

static int same_pin(const ek_secret *a, const ek_secret *b)
{
    return a->len == b->len && ek_equal(a->bytes, b->bytes, a->len);
}

const ek_secret *ek_vault_get(const ek_vault *v, const char *token)
{
    const ek_vault_item *i;

    TAILQ_FOREACH(i, &v->items, link)
    if (!i->refused && strcmp(i->token, token) == 0)
        return i->pin;
    return NULL;
}

int ek_vault_was_refused(const ek_vault *v, const char *token, const ek_secret *pin)
{
    const ek_vault_item *i;

    TAILQ_FOREACH(i, &v->items, link)
    if (i->refused && strcmp(i->token, token) == 0 && same_pin(i->pin, pin))
        return 1;
    return 0;
}

void ek_vault_drop(ek_vault *v, const char *token)
{
    ek_vault_item *i = TAILQ_FIRST(&v->items), *next;

    for (; i; i = next) {
        next = TAILQ_NEXT(i, link);
        if (!i->refused && strcmp(i->token, token) == 0)
            remove_item(v, i);
    }
}

size_t ek_vault_count(const ek_vault *v)
{
    const ek_vault_item *i;
    size_t n = 0;

    TAILQ_FOREACH(i, &v->items, link)
    n += !i->refused;
    return n;
}

ek_secret *ek_vault_copy(const ek_secret *pin)
{
    ek_secret *copy = pin ? ek_secret_new(pin->bytes, pin->len) : NULL;

    if (copy)
        (void)!mlock(copy, sizeof(*copy) + copy->len);
    return copy;
}

int ek_vault_put(ek_vault *v, const char *token, const ek_secret *pin, int refused)
{
    ek_vault_item *i = TAILQ_FIRST(&v->items), *next, *item = calloc(1, sizeof(*item));

    if (item) {
        item->token = strdup(token);
        item->pin = ek_vault_copy(pin);
        item->refused = refused;
    }
    if (!item || !item->token || !item->pin) {
        if (item)
            free(item->token);
        free(item);
        return EKMOTP_E_NOMEM;
    }
    /* One PIN that works, and what it replaces: this PIN's other state, and an older one that worked. */
    for (; i; i = next) {
        next = TAILQ_NEXT(i, link);
        if (strcmp(i->token, token) == 0 && (same_pin(i->pin, pin) || (!refused && !i->refused)))
            remove_item(v, i);
    }
    if (v->count == EK_VAULT_MAX)
        remove_item(v, TAILQ_FIRST(&v->items));
    TAILQ_INSERT_TAIL(&v->items, item, link);
    v->count++;
    return 0;
}
