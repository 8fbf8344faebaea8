/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Valid credentials of every profile and carrier, damaged: each bit flipped, each length cut, two valid
 * values spliced at each place. The verifier must refuse each with a reason, unless the damage is in what
 * means nothing (the case of the scheme's name).
 */
#include "config.h"

#include "tests/jose/fixture.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* The header fields of a request, as text that can be damaged. */
typedef struct fields {
    size_t count;
    const char *name[EKMOTP_HEADERS_MAX];
    char *value[EKMOTP_HEADERS_MAX];
} fields;

/* What all mutations of one cell share. */
typedef struct bench {
    const fixture_cell *cell;
    fixture_directory directory;
    ekmotp_verifier *verifier;
    ekmotp_client *client;
    ekmotp_channel *channel;
    size_t tried;
} bench;

static bench bench_new(const fixture_cell *cell)
{
    bench b = {.cell = cell, .directory = {cell->hash}};

    /* Everything is offered: a damaged v1 token must not pass as a compat one either. */
    b.verifier = fixture_verifier((1u << EKMOTP_PROFILE_COUNT) - 1, NULL);
    b.client = fixture_client(cell->profile, cell->hash, NULL);
    b.channel = fixture_channel("mutation");
    return b;
}

static void bench_free(bench *b)
{
    ekmotp_channel_free(&b->channel);
    ekmotp_client_free(&b->client);
    ekmotp_verifier_free(&b->verifier);
}

static fields next_fields(bench *b, const ekmotp_channel *channel)
{
    fixture_request request;
    fields f = {0};

    fixture_make_request(b->client, channel, b->cell->kind, b->cell->kind ? "{\"a\":\"b\"}" : NULL,
                         FIXTURE_NOW, &request);
    f.count = request.bearer ? 1 : request.count;
    for (size_t i = 0; i < f.count; i++) {
        f.name[i] = i == 1 ? "apikey" : request.bearer || request.count == 1 ? "Authorization" : "client";
        f.value[i] = strdup(request.bearer ? request.bearer : request.headers[i].value);
    }
    fixture_request_clear(&request);
    return f;
}

static void fields_free(fields *f)
{
    for (size_t i = 0; i < f->count; i++)
        free(f->value[i]);
}

/* Verifies the fields with the value of one of them replaced; the channel has not been used before. */
static ekmotp_reason verify(bench *b, const fields *f, size_t which, const char *value, size_t len)
{
    ekmotp_lookup lookup = fixture_lookup(&b->directory);
    ekmotp_credentials credentials = {0};
    ekmotp_verifier_state *state = NULL;
    ekmotp_verdict verdict;
    ekmotp_verdict_status status;
    ekmotp_reason reason;
    char *exact = malloc(len ? len : 1); /* so that a sanitizer sees a read behind the end */

    memcpy(exact, value, len);
    for (size_t i = 0; i < f->count; i++)
        ekmotp_credentials_add(&credentials, f->name[i], strlen(f->name[i]), i == which ? exact : f->value[i],
                               i == which ? len : strlen(f->value[i]));
    ck_assert_int_eq(ekmotp_verifier_state_new(&state, NULL), 0);
    status = ekmotp_verifier_verify(b->verifier, state, b->channel, &credentials, &lookup, FIXTURE_NOW, 0,
                                    &verdict);
    reason = verdict.reason;
    if (status == EKMOTP_VERDICT_ACCEPTED) {
        ck_assert_int_eq(reason, EKMOTP_REASON_OK);
    } else {
        ck_assert_int_eq(status, EKMOTP_VERDICT_REFUSED);
        ck_assert_msg(reason != EKMOTP_REASON_OK && reason != EKMOTP_REASON_INTERNAL &&
                          ekmotp_reason_name(reason) != NULL,
                      "reason %d: %s", (int)reason, verdict.detail.message);
        ck_assert_ptr_null(verdict.claims);
        ck_assert_str_eq(verdict.authentication_info, "");
    }
    ekmotp_verdict_clear(&verdict);
    ekmotp_verifier_state_free(&state);
    free(exact);
    b->tried++;
    return reason;
}

/* The bit that only changes the case of the scheme's name, which RFC 9110 section 11.1 makes insensitive. */
static int is_scheme_case(const fields *f, size_t which, size_t at, int bit)
{
    return bit == 5 && strcmp(f->name[which], "Authorization") == 0 && at < strcspn(f->value[which], " ");
}

/* The case of the names of auth-params (RFC 9110 section 11.2) of the v1 header: "k=", "n=", "p=", "v=". */
static int is_param_case(const fields *f, size_t which, size_t at, int bit)
{
    const char *v = f->value[which];

    return bit == 5 && strncmp(v, "EKMOTP ", 7) == 0 && at >= 7 && v[at + 1] == '=' && v[at - 1] == ' ';
}

START_TEST(bit_flips)
{
    bench b = bench_new(&fixture_cells[_i]);
    fields f = next_fields(&b, b.channel);

    for (size_t which = 0; which < f.count; which++) {
        size_t len = strlen(f.value[which]);

        ck_assert_int_eq(verify(&b, &f, which, f.value[which], len), EKMOTP_REASON_OK);
        for (size_t at = 0; at < len; at++) {
            for (int bit = 0; bit < 8; bit++) {
                char *damaged = strdup(f.value[which]);
                int harmless = is_scheme_case(&f, which, at, bit) || is_param_case(&f, which, at, bit);
                ekmotp_reason reason;

                damaged[at] = (char)(damaged[at] ^ (1 << bit));
                reason = verify(&b, &f, which, damaged, len);
                ck_assert_msg((reason == EKMOTP_REASON_OK) == harmless, "bit %d of byte %zu of %s: %s", bit,
                              at, f.value[which], ekmotp_reason_name(reason));
                free(damaged);
            }
        }
    }
    ck_assert_uint_gt(b.tried, 300);
    fields_free(&f);
    bench_free(&b);
}
END_TEST

START_TEST(truncations)
{
    bench b = bench_new(&fixture_cells[_i]);
    fields f = next_fields(&b, b.channel);

    for (size_t which = 0; which < f.count; which++) {
        size_t len = strlen(f.value[which]);

        for (size_t cut = 0; cut < len; cut++) {
            ekmotp_reason front = verify(&b, &f, which, f.value[which] + (len - cut), cut);
            ekmotp_reason back = verify(&b, &f, which, f.value[which], cut);

            ck_assert_msg(front != EKMOTP_REASON_OK, "the last %zu bytes of %s", cut, f.value[which]);
            ck_assert_msg(back != EKMOTP_REASON_OK, "the first %zu bytes of %s", cut, f.value[which]);
        }
        /* and something behind the end */
        for (int c = 0; c < 256; c++) {
            char *longer = malloc(len + 1);

            memcpy(longer, f.value[which], len);
            longer[len] = (char)c;
            /* Optional white space (RFC 9110 section 5.6.3) and empty list elements mean nothing to v1. */
            if (!(b.cell->profile == EKMOTP_PROFILE_V1 && b.cell->kind == 0 &&
                  (c == ' ' || c == '\t' || c == ',')))
                ck_assert_msg(verify(&b, &f, which, longer, len + 1) != EKMOTP_REASON_OK, "%s and byte %d",
                              f.value[which], c);
            free(longer);
        }
    }
    fields_free(&f);
    bench_free(&b);
}
END_TEST

/* The front of one valid value and the back of another, at each place. */
static void splice(bench *b, const fields *one, const fields *two)
{
    for (size_t which = 0; which < one->count; which++) {
        const char *a = one->value[which], *z = two->value[which];
        size_t a_len = strlen(a), z_len = strlen(z);

        for (size_t at = 0; at <= a_len && at <= z_len; at++) {
            size_t len = z_len;
            char *spliced = malloc(len + 1);
            ekmotp_reason reason;

            memcpy(spliced, a, at);
            memcpy(spliced + at, z + at, z_len - at + 1);
            reason = verify(b, one, which, spliced, len);
            /* Whatever is accepted is one of the two values, whole. */
            ck_assert_msg(reason != EKMOTP_REASON_OK || strcmp(spliced, a) == 0 || strcmp(spliced, z) == 0,
                          "%zu bytes of %s before %s", at, a, z);
            free(spliced);
        }
    }
}

START_TEST(splices)
{
    bench b = bench_new(&fixture_cells[_i]);
    ekmotp_channel *other = fixture_channel("another channel");
    fields first = next_fields(&b, b.channel), second = next_fields(&b, b.channel), elsewhere;

    splice(&b, &first, &second);
    splice(&b, &second, &first);
    elsewhere = next_fields(&b, other);
    /* Of another channel: not even whole. */
    for (size_t which = 0; which < elsewhere.count; which++)
        if (strcmp(elsewhere.name[which], "client") != 0)
            ck_assert_int_ne(
                verify(&b, &first, which, elsewhere.value[which], strlen(elsewhere.value[which])),
                EKMOTP_REASON_OK);
    for (size_t which = 0; which < first.count; which++) {
        const char *a = first.value[which], *z = elsewhere.value[which];

        for (size_t at = 1; at < strlen(a) && at < strlen(z); at++) {
            char *spliced = strdup(z);

            memcpy(spliced, a, at);
            if (strcmp(spliced, a) != 0)
                ck_assert_int_ne(verify(&b, &first, which, spliced, strlen(spliced)), EKMOTP_REASON_OK);
            free(spliced);
        }
    }
    fields_free(&elsewhere);
    fields_free(&second);
    fields_free(&first);
    ekmotp_channel_free(&other);
    bench_free(&b);
}
END_TEST

/* The parts of tokens exchanged: header, payload and signature of tokens of different n, kind and profile. */
START_TEST(exchanged_parts)
{
    bench b = bench_new(&fixture_cells[3]), c = bench_new(&fixture_cells[6]);
    fields jws[3] = {next_fields(&b, b.channel), next_fields(&b, b.channel), next_fields(&b, b.channel)};
    fields jwe[2] = {next_fields(&c, c.channel), next_fields(&c, c.channel)};

    for (int set = 0; set < 2; set++) {
        const fields *from = set == 0 ? jws : jwe;
        int tokens = set == 0 ? 3 : 2, parts = set == 0 ? 3 : 5, choices = 1;

        for (int p = 0; p < parts; p++)
            choices *= tokens;
        for (int choice = 0; choice < choices; choice++) {
            char mixed[2048] = "Bearer ";
            int whole = 1, left = choice;

            for (int p = 0; p < parts; p++, left /= tokens) {
                const char *at = from[left % tokens].value[0] + 7;

                for (int skip = 0; skip < p; skip++)
                    at = strchr(at, '.') + 1;
                strncat(mixed, at, strcspn(at, "."));
                strcat(mixed, p + 1 < parts ? "." : "");
            }
            for (int t = 0; whole && t < tokens; t++)
                whole = strcmp(mixed, from[t].value[0]) != 0;
            ck_assert_int_eq(
                verify(set == 0 ? &b : &c, &from[0], 0, mixed, strlen(mixed)) == EKMOTP_REASON_OK, !whole);
        }
    }
    for (int i = 0; i < 3; i++)
        fields_free(&jws[i]);
    for (int i = 0; i < 2; i++)
        fields_free(&jwe[i]);
    bench_free(&b);
    bench_free(&c);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

int main(void)
{
    Suite *suite = suite_create("mutation");
    TCase *tc = tcase_create("mutation");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, bit_flips, 0, FIXTURE_CELLS);
    tcase_add_loop_test(tc, truncations, 0, FIXTURE_CELLS);
    tcase_add_loop_test(tc, splices, 0, FIXTURE_CELLS);
    tcase_add_test(tc, exchanged_parts);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
