/* SPDX-License-Identifier: Apache-2.0 */
/* test_parts.c: origins, what is shown of a line, values on the command line, exit codes. */
#include "client/command.h"
#include "client/origin.h"
#include "client/redact.h"
#include "client/text.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static void assert_origin(const char *url, const char *host, const char *port)
{
    ek_origin origin;
    ekmotp_error err = {0};

    ck_assert_msg(ek_origin_parse(url, &origin, &err) == 0, "%s: %s", url, err.message);
    ck_assert_str_eq(origin.host, host);
    ck_assert_str_eq(origin.port, port);
}

START_TEST(origins_are_read)
{
    assert_origin("https://host", "host", "443");
    assert_origin("https://host:443/", "host", "443");
    assert_origin("HTTPS://HOST.Example:8443/path?a=b#c", "host.example", "8443");
    assert_origin("https://[::1]:1/", "[::1]", "1");
    assert_origin("https://127.0.0.1/", "127.0.0.1", "443");
    assert_origin("https://host./", "host.", "443");
    assert_origin("https://host/@other.example/", "host", "443");
    assert_origin("https://host?@other.example/", "host", "443");
}
END_TEST

START_TEST(what_is_no_origin_is_refused)
{
    static const char *const urls[] = {"",
                                       "host",
                                       "http://host/",
                                       "ftp://host/",
                                       "https://",

                                       "https://user@host/",
                                       "https://user:pw@host/",
                                       "https://:pw@host/",
                                       "https://host:0x50/",
                                       "https://host:65536/",
                                       "https://ho st/",
                                       "https://host\r\n/",
                                       "javascript:alert(1)",
                                       "file:///etc/passwd"};
    ek_origin origin;

    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        ekmotp_error err = {0};

        ck_assert_msg(ek_origin_parse(urls[i], &origin, &err) == EKMOTP_E_INVAL, "%s was taken", urls[i]);
        ck_assert_int_gt(strlen(err.message), 0);
    }
}
END_TEST

START_TEST(same_origin_is_host_and_port)
{
    static const struct {
        const char *a, *b;
        int same;
    } cases[] = {
        {"https://host/", "https://HOST:443/other", 1}, {"https://host/", "https://host:8443/", 0},
        {"https://host/", "https://host.example/", 0},  {"https://host/", "https://host./", 0},
        {"https://host/", "https://www.host/", 0},      {"https://127.0.0.1/", "https://localhost/", 0},
        {"https://[::1]/", "https://[::1]:443/", 1}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ek_origin a, b;

        ck_assert_int_eq(ek_origin_parse(cases[i].a, &a, NULL), 0);
        ck_assert_int_eq(ek_origin_parse(cases[i].b, &b, NULL), 0);
        ck_assert_int_eq(ek_origin_same(&a, &b), cases[i].same);
    }
}
END_TEST

START_TEST(fields_with_proofs_are_not_shown)
{
    static const struct {
        const char *line, *shown;
    } cases[] = {{"Authorization: EKMOTP p=x", "Authorization:"},
                 {"authorization: Bearer x", "authorization:"},
                 {"[HTTP/2] [1] [authorization: EKMOTP p=x]", "[HTTP/2] [1] [authorization:"},
                 {"Proxy-Authorization: Basic x", "Proxy-Authorization:"},
                 {"APIKEY: x", "APIKEY:"},
                 {"Authentication-Info: p=x", "Authentication-Info:"},
                 {"Set-Cookie: x", "Set-Cookie:"},
                 {"Content-Length: 2", "Content-Length: 2"},
                 {"WWW-Authenticate: EKMOTP realm=\"x\"", "WWW-Authenticate: EKMOTP realm=\"x\""},
                 {"authorization", "authorization"},
                 {"", ""}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t len = ek_redact_length(cases[i].line, strlen(cases[i].line));

        ck_assert_uint_eq(len, strlen(cases[i].shown));
        ck_assert_int_eq(strncmp(cases[i].line, cases[i].shown, len), 0);
    }
    /* Not a byte beyond the line is looked at. */
    ck_assert_uint_eq(ek_redact_length("authorization: x", strlen("authorization")), strlen("authorization"));
}
END_TEST

START_TEST(ids_are_read_and_shown)
{
    uint8_t id[EKMOTP_ID_MAX], every[EKMOTP_ID_MAX];
    char text[EK_TEXT_ID_SIZE], long_id[EKMOTP_ID_MAX + 2];
    size_t len;

    ck_assert_int_eq(ek_text_id("a%00b%fF%25", id, &len, NULL), 0);
    ck_assert_uint_eq(len, 5);
    ck_assert_int_eq(memcmp(id, "a\0b\xff%", 5), 0);
    ek_text_show_id(id, len, text);
    ck_assert_str_eq(text, "a%00b%FF%25");
    for (size_t i = 0; i < sizeof(every); i++)
        every[i] = (uint8_t)(i + 1);
    ek_text_show_id(every, sizeof(every), text);
    ck_assert_int_eq(ek_text_id(text, id, &len, NULL), 0);
    ck_assert_uint_eq(len, sizeof(every));
    ck_assert_int_eq(memcmp(id, every, len), 0);
    memset(long_id, 'a', sizeof(long_id));
    long_id[sizeof(long_id) - 1] = '\0';
    ck_assert_int_eq(ek_text_id(long_id, id, &len, NULL), EKMOTP_E_INVAL);
    long_id[sizeof(long_id) - 2] = '\0';
    ck_assert_int_eq(ek_text_id(long_id, id, &len, NULL), 0);
    ck_assert_int_eq(ek_text_id("", id, &len, NULL), EKMOTP_E_INVAL);
    ck_assert_int_eq(ek_text_id("%", id, &len, NULL), EKMOTP_E_INVAL);
    ck_assert_int_eq(ek_text_id("a%1", id, &len, NULL), EKMOTP_E_INVAL);
    ck_assert_int_eq(ek_text_id("a%1g", id, &len, NULL), EKMOTP_E_INVAL);
    ck_assert_int_eq(ek_text_id("%-1", id, &len, NULL), EKMOTP_E_INVAL);
}
END_TEST

START_TEST(numbers_are_read)
{
    static const char *const bad_times[] = {"", "0", "-1", "1x", "nan", "inf", "1e9", "86401", " ", "0.0001"};
    static const char *const bad_counts[] = {
        "", "0", "-1", "+1", " 1", "1 ", "1x", "11", "99999999999999999999"};
    unsigned long count;
    long ms;

    ck_assert_int_eq(ek_text_seconds("1.5", &ms, NULL), 0);
    ck_assert_int_eq(ms, 1500);
    ck_assert_int_eq(ek_text_seconds("0.001", &ms, NULL), 0);
    ck_assert_int_eq(ms, 1);
    for (size_t i = 0; i < sizeof(bad_times) / sizeof(bad_times[0]); i++)
        ck_assert_msg(ek_text_seconds(bad_times[i], &ms, NULL) == EKMOTP_E_INVAL, "'%s'", bad_times[i]);
    ck_assert_int_eq(ek_text_count("10", 10, &count, NULL), 0);
    ck_assert_uint_eq(count, 10);
    for (size_t i = 0; i < sizeof(bad_counts) / sizeof(bad_counts[0]); i++)
        ck_assert_msg(ek_text_count(bad_counts[i], 10, &count, NULL) == EKMOTP_E_INVAL, "'%s'",
                      bad_counts[i]);
}
END_TEST

/* Every code has the exit code that ekmotp(1) promises for its kind. */
START_TEST(exit_codes_stand_for_kinds)
{
    ck_assert_int_eq(ek_exit_of(0), EK_EXIT_OK);
    for (int code = EKMOTP_E_CHANNEL_VERSION; code >= EKMOTP_E_CHANNEL_EXPORT; code--)
        ck_assert_int_eq(ek_exit_of(code), EK_EXIT_TLS);
    ck_assert_int_eq(ek_exit_of(EKMOTP_E_URI), EK_EXIT_USAGE);
    for (int code = EKMOTP_E_MODULE; code >= EKMOTP_E_AGENT_POLICY; code--)
        ck_assert_int_eq(ek_exit_of(code), EK_EXIT_TOKEN);
    ck_assert_int_eq(ek_exit_of(EKMOTP_E_INVAL), EK_EXIT_USAGE);
    ck_assert_int_eq(ek_exit_of(EKMOTP_E_PROFILE), EK_EXIT_USAGE);
    ck_assert_int_eq(ek_exit_of(EKMOTP_E_KEY_LENGTH), EK_EXIT_TOKEN);
    ck_assert_int_eq(ek_exit_of(EKMOTP_E_SERVER_PROOF), EK_EXIT_SERVER_PROOF);
    ck_assert_int_eq(ek_exit_of(EKMOTP_E_NOMEM), EK_EXIT_INTERNAL);
    ck_assert_int_eq(ek_exit_of(EKMOTP_E_CRYPTO), EK_EXIT_INTERNAL);
    ck_assert_int_eq(ek_exit_of(-9999), EK_EXIT_INTERNAL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client parts");
    TCase *parts = tcase_create("parts");
    SRunner *runner;
    int failed;

    tcase_add_test(parts, origins_are_read);
    tcase_add_test(parts, what_is_no_origin_is_refused);
    tcase_add_test(parts, same_origin_is_host_and_port);
    tcase_add_test(parts, fields_with_proofs_are_not_shown);
    tcase_add_test(parts, ids_are_read_and_shown);
    tcase_add_test(parts, numbers_are_read);
    tcase_add_test(parts, exit_codes_stand_for_kinds);
    suite_add_tcase(suite, parts);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
