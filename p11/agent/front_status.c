/* SPDX-License-Identifier: Apache-2.0 */
/* front_status.c: what an agent says about itself. Nothing in it is secret: URIs come without PINs. */
#include "config.h"

#include "p11/agent/front.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A JSON string (RFC 8259 section 7). Bytes that are not ASCII pass as they are: URIs are ASCII. */
static void put_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(out, "\\%c", *c);
        else if (*c < 0x20 || *c >= 0x7f)
            fprintf(out, "\\u%04x", *c);
        else
            fputc(*c, out);
    }
    fputc('"', out);
}

static const char *state_of(const front *f, const front_key *k)
{
    if (k->state == FRONT_KEY_OPEN)
        return "open";
    if (k->state == FRONT_KEY_OPENING)
        return "opening";
    if (k->pin_refused)
        return "pin-refused";
    if (k->needs_pin && !ek_vault_get(&f->vault, k->token))
        return "locked";
    return k->failures > 0 ? "away" : "closed";
}

static void put_keys(FILE *out, const front *f)
{
    const front_key *k;
    const char *comma = "";

    fputs("\"keys\":[", out);
    TAILQ_FOREACH(k, &f->keys, link)
    {
        fprintf(out, "%s{\"uri\":", comma);
        put_text(out, k->uri);
        fprintf(out, ",\"hash\":\"%s\",\"state\":\"%s\",\"users\":%u,\"macs\":%llu",
                ekmotp_hash_name(k->hash), state_of(f, k), k->refs, (unsigned long long)k->macs);
        if (k->failures > 0) {
            fputs(",\"error\":", out);
            put_text(out, k->failure.message);
        }
        fputc('}', out);
        comma = ",";
    }
    fputc(']', out);
}

static void put_workers(FILE *out, const front *f)
{
    const front_worker *w;
    const char *comma = "";

    fputs("\"workers\":[", out);
    TAILQ_FOREACH(w, &f->workers, link)
    {
        fprintf(out, "%s{\"module\":", comma);
        put_text(out, w->module);
        fprintf(out, ",\"pid\":%d,\"seconds\":%lld,\"in_flight\":%zu}", (int)w->pid,
                (long long)(f->now - w->since) / 1000, w->flying);
        comma = ",";
    }
    fputc(']', out);
}

char *ek_front_status(const front *f)
{
    const ek_agent_options *o = f->options;
    unsigned policy = o->shared ? o->policy : EK_AGENT_COMPAT | EK_AGENT_RAW;
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return NULL;
    fprintf(out,
            "{\"version\":\"%s\",\"protocol\":%d,\"mode\":\"%s\",\"pid\":%d,\"seconds\":%lld,\"policy\":["
            "\"v1\"%s%s],",
            PACKAGE_VERSION, EK_WIRE_VERSION, o->shared ? "shared" : "private", (int)getpid(),
            (long long)(f->now - f->started) / 1000, (policy & EK_AGENT_COMPAT) ? ",\"compat\"" : "",
            (policy & EK_AGENT_RAW) ? ",\"raw\"" : "");
    fprintf(out, "\"clients\":%zu,\"pins\":%zu,\"workers_ended\":%llu,", f->client_count,
            ek_vault_count(&f->vault), (unsigned long long)f->workers_replaced);
    put_workers(out, f);
    fputc(',', out);
    put_keys(out, f);
    fputc('}', out);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
