/* SPDX-License-Identifier: Apache-2.0 */
/* The small tools of lib/common, and names and parsers of the core. */
#include "lib/common/base64.h"
#include "lib/common/cursor.h"
#include "lib/common/file.h"
#include "lib/common/secret.h"
#include "lib/core/auth_params.h"
#include "lib/core/window.h"
#include "tests/unit/suite.h"

#include <ekmotp/profile.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* RFC 4648 section 10 */
static const char *const rfc4648[][2] = {{"", ""},
                                         {"f", "Zg=="},
                                         {"fo", "Zm8="},
                                         {"foo", "Zm9v"},
                                         {"foob", "Zm9vYg=="},
                                         {"fooba", "Zm9vYmE="},
                                         {"foobar", "Zm9vYmFy"}};

START_TEST(base64_rfc4648)
{
    char text[32];
    uint8_t bytes[32];
    size_t len;

    for (size_t i = 0; i < sizeof(rfc4648) / sizeof(rfc4648[0]); i++) {
        const char *plain = rfc4648[i][0], *coded = rfc4648[i][1];
        size_t bare = strcspn(coded, "=");

        ck_assert_int_eq(
            ek_base64_encode(EK_BASE64, (const uint8_t *)plain, strlen(plain), text, sizeof(text)), 0);
        ck_assert_str_eq(text, coded);
        ck_assert_int_eq(ek_base64_decode(EK_BASE64, coded, strlen(coded), bytes, sizeof(bytes), &len), 0);
        ck_assert_uint_eq(len, strlen(plain));
        ck_assert_mem_eq(bytes, plain, len);
        ck_assert_int_eq(
            ek_base64_encode(EK_BASE64URL, (const uint8_t *)plain, strlen(plain), text, sizeof(text)), 0);
        ck_assert_uint_eq(strlen(text), bare);
        ck_assert_mem_eq(text, coded, bare);
        ck_assert_int_eq(ek_base64_decode(EK_BASE64URL, coded, bare, bytes, sizeof(bytes), &len), 0);
        ck_assert_uint_eq(len, strlen(plain));
        if (bare != strlen(coded)) {
            ck_assert_int_eq(ek_base64_decode(EK_BASE64, coded, bare, bytes, sizeof(bytes), &len),
                             EKMOTP_E_SYNTAX);
            ck_assert_int_eq(ek_base64_decode(EK_BASE64URL, coded, strlen(coded), bytes, sizeof(bytes), &len),
                             EKMOTP_E_SYNTAX);
        }
    }
}
END_TEST

START_TEST(base64_refuses)
{
    static const char *const standard[] = {
        "Zg=",  "Zg",   "Z",    "Zm9v=", "====",  "Zm9v\n", " Zm9v", "Zm-v",
        "Zm_v", "Zh==", "Zm9=", "Z===",  "Zm9vZ", "=m9v",   "Zm=v",  "Zm9v===="};
    static const char *const url[] = {"Zg==", "Z", "Zm8=", "Zm+v", "Zm/v", "Zh", "Zm9", "Zm9v Zm9v", "Zm9vZ"};
    uint8_t bytes[32];
    char text[8];
    size_t len;

    for (size_t i = 0; i < sizeof(standard) / sizeof(standard[0]); i++)
        ck_assert_msg(ek_base64_decode(EK_BASE64, standard[i], strlen(standard[i]), bytes, sizeof(bytes),
                                       &len) == EKMOTP_E_SYNTAX,
                      "taken: %s", standard[i]);
    for (size_t i = 0; i < sizeof(url) / sizeof(url[0]); i++)
        ck_assert_msg(ek_base64_decode(EK_BASE64URL, url[i], strlen(url[i]), bytes, sizeof(bytes), &len) ==
                          EKMOTP_E_SYNTAX,
                      "taken: %s", url[i]);
    ck_assert_int_eq(ek_base64_decode(EK_BASE64, "Zm9v", 4, bytes, 2, &len), EKMOTP_E_LIMIT);
    ck_assert_int_eq(ek_base64_encode(EK_BASE64, bytes, 6, text, 8), EKMOTP_E_LIMIT);
    ck_assert_int_eq(ek_base64_encode(EK_BASE64URL, bytes, 6, text, 8), EKMOTP_E_LIMIT);
}
END_TEST

START_TEST(base64_flavours_differ)
{
    static const uint8_t bytes[] = {0xfb, 0xff, 0xbf};
    char text[8];

    ck_assert_int_eq(ek_base64_encode(EK_BASE64, bytes, 3, text, sizeof(text)), 0);
    ck_assert_str_eq(text, "+/+/");
    ck_assert_int_eq(ek_base64_encode(EK_BASE64URL, bytes, 3, text, sizeof(text)), 0);
    ck_assert_str_eq(text, "-_-_");
}
END_TEST

START_TEST(cursor_takes_all_or_nothing)
{
    static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const uint8_t *rest;
    ek_cursor c;
    uint8_t b;
    uint16_t w;
    uint32_t d;
    uint64_t q;

    ek_cursor_init(&c, bytes, sizeof(bytes));
    ck_assert_int_eq(ek_cursor_u8(&c, &b), 0);
    ck_assert_uint_eq(b, 1);
    ck_assert_int_eq(ek_cursor_u16(&c, &w), 0);
    ck_assert_uint_eq(w, 0x0203);
    ck_assert_int_eq(ek_cursor_u32(&c, &d), 0);
    ck_assert_uint_eq(d, 0x04050607);
    ck_assert_int_eq(ek_cursor_u64(&c, &q), 0);
    ck_assert_uint_eq(q, 0x08090a0b0c0d0e0fULL);
    ck_assert_int_eq(ek_cursor_end(&c), 0);
    ck_assert_int_eq(ek_cursor_u8(&c, &b), EKMOTP_E_SYNTAX);
    ek_cursor_init(&c, bytes, 3);
    ck_assert_int_eq(ek_cursor_u32(&c, &d), EKMOTP_E_SYNTAX);
    ck_assert_int_eq(ek_cursor_u64(&c, &q), EKMOTP_E_SYNTAX);
    ck_assert_int_eq(ek_cursor_bytes(&c, 4, &rest), EKMOTP_E_SYNTAX);
    ck_assert_uint_eq(c.left, 3);
    ck_assert_int_eq(ek_cursor_end(&c), EKMOTP_E_SYNTAX);
    ck_assert_int_eq(ek_cursor_bytes(&c, 3, &rest), 0);
    ck_assert_ptr_eq(rest, bytes);
}
END_TEST

START_TEST(writer_stays_failed)
{
    uint8_t bytes[6];
    size_t len = 99;
    ek_writer w;

    ek_writer_init(&w, bytes, sizeof(bytes));
    ek_writer_u16(&w, 0x0102);
    ek_writer_u32(&w, 0x03040506);
    ck_assert_int_eq(ek_writer_end(&w, &len), 0);
    ck_assert_uint_eq(len, 6);
    ck_assert_mem_eq(bytes, "\1\2\3\4\5\6", 6);
    ek_writer_init(&w, bytes, sizeof(bytes));
    ek_writer_u64(&w, 1);
    ek_writer_u8(&w, 1);
    ck_assert_int_eq(ek_writer_end(&w, &len), EKMOTP_E_LIMIT);
    ek_writer_init(&w, bytes, sizeof(bytes));
    ek_writer_bytes(&w, "1234567", 7);
    ck_assert_int_eq(ek_writer_end(&w, &len), EKMOTP_E_LIMIT);
    ck_assert_uint_eq(len, 6);
}
END_TEST

START_TEST(secret_is_capped_and_compared)
{
    ek_secret *s = ek_secret_new("secret", 6);

    ck_assert_ptr_nonnull(s);
    ck_assert_int_eq(ek_equal(s->bytes, "secret", 6), 1);
    ck_assert_int_eq(ek_equal(s->bytes, "secreT", 6), 0);
    ck_assert_int_eq(ek_equal(s->bytes, "Secret", 6), 0);
    ek_secret_free(&s);
    ck_assert_ptr_null(s);
    ek_secret_free(&s);
    ck_assert_ptr_null(ek_secret_new(NULL, EK_SECRET_MAX + 1));
}
END_TEST

START_TEST(secret_files)
{
    char dir[] = "/tmp/ekmotp-unit-XXXXXX", path[64];
    ekmotp_error err = {0};
    ek_secret *s = NULL;
    struct stat st;

    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/key", dir);
    ck_ok(ek_file_write_secret(path, (const uint8_t *)"0123456789", 10, &err), err);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    ck_assert_int_eq(ek_file_write_secret(path, (const uint8_t *)"x", 1, &err), EKMOTP_E_IO);
    ck_ok(ek_file_read_secret(path, 10, &s, &err), err);
    ck_assert_uint_eq(s->len, 10);
    ck_assert_mem_eq(s->bytes, "0123456789", 10);
    ek_secret_free(&s);
    ck_assert_int_eq(ek_file_read_secret(path, 9, &s, &err), EKMOTP_E_LIMIT);
    ck_assert_int_eq(chmod(path, 0640), 0);
    ck_assert_int_eq(ek_file_read_secret(path, 10, &s, &err), EKMOTP_E_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "chmod 600"));
    ck_assert_int_eq(ek_file_read_secret(dir, 10, &s, &err), EKMOTP_E_IO);
    ck_assert_int_eq(chmod(path, 0600), 0);
    ck_assert_int_eq(truncate(path, 0), 0);
    ck_assert_int_eq(ek_file_read_secret(path, 10, &s, &err), EKMOTP_E_LIMIT);
    unlink(path);
    ck_assert_int_eq(ek_file_read_secret(path, 10, &s, &err), EKMOTP_E_IO);
    ck_assert_ptr_null(s);
    rmdir(dir);
}
END_TEST

START_TEST(window_of_64)
{
    ek_window w = {0, 0};

    ck_assert_int_eq(ek_window_check(&w, 1), EK_WINDOW_NEW);
    ek_window_take(&w, 1);
    ck_assert_int_eq(ek_window_check(&w, 1), EK_WINDOW_REPLAY);
    ek_window_take(&w, 100);
    ck_assert_int_eq(ek_window_check(&w, 36), EK_WINDOW_TOO_OLD);
    ck_assert_int_eq(ek_window_check(&w, 37), EK_WINDOW_NEW);
    ek_window_take(&w, 37);
    ck_assert_int_eq(ek_window_check(&w, 37), EK_WINDOW_REPLAY);
    ck_assert_int_eq(ek_window_check(&w, 100), EK_WINDOW_REPLAY);
    ck_assert_int_eq(ek_window_check(&w, 99), EK_WINDOW_NEW);
    ek_window_take(&w, 163);
    ck_assert_int_eq(ek_window_check(&w, 100), EK_WINDOW_REPLAY);
    ck_assert_int_eq(ek_window_check(&w, 99), EK_WINDOW_TOO_OLD);
    ek_window_take(&w, UINT64_MAX);
    ck_assert_int_eq(ek_window_check(&w, UINT64_MAX), EK_WINDOW_REPLAY);
    ck_assert_int_eq(ek_window_check(&w, UINT64_MAX - 1), EK_WINDOW_NEW);
    ck_assert_int_eq(ek_window_check(&w, 163), EK_WINDOW_TOO_OLD);
}
END_TEST

/* The names and values that params of a text have, as "name=value;", or the code of the error. */
static int read_params(const char *text, char *out)
{
    ek_auth_params params;
    ek_auth_param param;
    int rc;

    out[0] = '\0';
    ek_auth_params_init(&params, text, strlen(text));
    while ((rc = ek_auth_params_next(&params, &param, NULL)) > 0)
        sprintf(out + strlen(out), "%.*s=%.*s;", (int)param.name_len, param.name, (int)param.len,
                param.value);
    return rc;
}

START_TEST(auth_params_taken)
{
    static const char *const texts[][2] = {
        {"a=b", "a=b;"},
        {"a=b, c=d", "a=b;c=d;"},
        {"a=\"b c\",d=e", "a=b c;d=e;"},
        {"a = b", "a=b;"},
        {"a\t=\tb ,\tc=d ", "a=b;c=d;"},
        {"a=\"x\\\"y\\\\z\"", "a=x\"y\\z;"},
        {",a=b,,c=d,", "a=b;c=d;"},
        {"a=\"\"", "a=;"},
        {"", ""},
    };
    char out[256];

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        ck_assert_msg(read_params(texts[i][0], out) == 0, "refused: %s", texts[i][0]);
        ck_assert_str_eq(out, texts[i][1]);
    }
}
END_TEST

START_TEST(auth_params_refused)
{
    static const char *const texts[] = {"a",       "a=",         "=b",       "a=b c=d", "a=\"b",
                                        "a=\"b\\", "a=b;c=d",    "a=\"b\"c", "a==b",    "a=b=c",
                                        "a b=c",   "a=\"\x01\"", "a=\x80",   "\"a\"=b", "a=\"b\" \"c\""};
    char long_value[EK_AUTH_PARAM_MAX + 8] = "a=", out[1024];

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        ck_assert_msg(read_params(texts[i], out) == EKMOTP_E_SYNTAX, "taken: %s", texts[i]);
    memset(long_value + 2, 'x', EK_AUTH_PARAM_MAX + 1);
    ck_assert_int_eq(read_params(long_value, out), EKMOTP_E_LIMIT);
    long_value[EK_AUTH_PARAM_MAX + 2] = '\0';
    ck_assert_int_eq(read_params(long_value, out), 0);
}
END_TEST

START_TEST(auth_scheme)
{
    ekmotp_error err = {0};
    ek_auth_params params;
    size_t len;

    ck_ok(ek_auth_params_scheme("EKMOTP   a=b", 12, &len, &params, &err), err);
    ck_assert_uint_eq(len, 6);
    ck_assert_str_eq(params.at, "a=b");
    ck_assert_int_eq(ek_auth_params_scheme("EKMOTP", 6, &len, &params, &err), EKMOTP_E_SYNTAX);
    ck_assert_int_eq(ek_auth_params_scheme("EKMOTP\ta=b", 10, &len, &params, &err), EKMOTP_E_SYNTAX);
    ck_assert_int_eq(ek_auth_params_scheme("", 0, &len, &params, &err), EKMOTP_E_SYNTAX);
    ck_assert_int_eq(ek_auth_params_scheme(" EKMOTP a=b", 11, &len, &params, &err), EKMOTP_E_SYNTAX);
}
END_TEST

START_TEST(profile_names)
{
    ekmotp_error err = {0};
    ekmotp_profile profile;
    unsigned set = 0;

    for (int i = 0; i < EKMOTP_PROFILE_COUNT; i++) {
        ck_ok(ekmotp_profile_parse(ekmotp_profile_name((ekmotp_profile)i), &profile, &err), err);
        ck_assert_int_eq(profile, i);
    }
    ck_assert_ptr_null(ekmotp_profile_name(EKMOTP_PROFILE_COUNT));
    ck_ok(ekmotp_profile_parse_set("v1,compat-jwe", &set, &err), err);
    ck_assert_uint_eq(set,
                      EKMOTP_PROFILE_BIT(EKMOTP_PROFILE_V1) | EKMOTP_PROFILE_BIT(EKMOTP_PROFILE_COMPAT_JWE));
    ck_assert_int_eq(ekmotp_profile_parse_set("v1,v1", &set, &err), EKMOTP_E_PROFILE);
    ck_assert_int_eq(ekmotp_profile_parse_set("v1,", &set, &err), EKMOTP_E_PROFILE);
    ck_assert_int_eq(ekmotp_profile_parse_set("", &set, &err), EKMOTP_E_PROFILE);
    ck_assert_int_eq(ekmotp_profile_parse_set("v1 ", &set, &err), EKMOTP_E_PROFILE);
    ck_assert_int_eq(ekmotp_profile_parse("v2", &profile, &err), EKMOTP_E_PROFILE);
    ck_assert_ptr_nonnull(strstr(err.message, "compat-apikey-hmac"));
}
END_TEST

START_TEST(hash_names)
{
    ekmotp_hash hash;

    ck_assert_int_eq(ekmotp_hash_parse("sha256", &hash, NULL), 0);
    ck_assert_int_eq(hash, EKMOTP_HASH_SHA256);
    ck_assert_int_eq(ekmotp_hash_parse("SHA-512", &hash, NULL), 0);
    ck_assert_int_eq(hash, EKMOTP_HASH_SHA512);
    ck_assert_int_eq(ekmotp_hash_parse("SHA-1", &hash, NULL), EKMOTP_E_SYNTAX);
    ck_assert_int_eq(ekmotp_hash_parse("", &hash, NULL), EKMOTP_E_SYNTAX);
    ck_assert_uint_eq(ekmotp_hash_size((ekmotp_hash)3), 0);
    ck_assert_ptr_null(ekmotp_hash_name((ekmotp_hash)7));
}
END_TEST

START_TEST(errors_have_words)
{
    static const int codes[][2] = {{-1, -10}, {-20, -26}, {-40, -54}, {-60, -63}};

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        for (int code = codes[i][0]; code >= codes[i][1]; code--)
            ck_assert_str_ne(ekmotp_strerror(code), ekmotp_strerror(-1000));
}
END_TEST

UNIT_MAIN("common", base64_rfc4648, base64_refuses, base64_flavours_differ, cursor_takes_all_or_nothing,
          writer_stays_failed, secret_is_capped_and_compared, secret_files, window_of_64, auth_params_taken,
          auth_params_refused, auth_scheme, profile_names, hash_names, errors_have_words)
