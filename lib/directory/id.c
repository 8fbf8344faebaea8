/* SPDX-License-Identifier: Apache-2.0 */
/* id.c: client ids as text. */
#include <ekmotp/directory.h>

#include <string.h>

void ekmotp_id_print(const uint8_t *id, size_t id_len, char text[EKMOTP_ID_TEXT_SIZE])
{
    static const char digits[] = "0123456789ABCDEF";
    char *at = text;

    for (size_t i = 0; i < id_len && i < EKMOTP_ID_MAX; i++) {
        if (id[i] > 0x20 && id[i] < 0x7f && id[i] != '%') {
            *at++ = (char)id[i];
        } else {
            *at++ = '%';
            *at++ = digits[id[i] >> 4];
            *at++ = digits[id[i] & 15];
        }
    }
    *at = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

int ekmotp_id_parse(const char *text, size_t text_len, uint8_t id[EKMOTP_ID_MAX], size_t *id_len,
                    ekmotp_error *err)
{
    uint8_t bytes[EKMOTP_ID_MAX];
    size_t n = 0;

    for (size_t i = 0; i < text_len; i++) {
        int byte = (unsigned char)text[i];

        if (n == sizeof(bytes))
            return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "client id: longer than %d bytes", EKMOTP_ID_MAX);
        if (byte == '%') {
            int high = i + 1 < text_len ? hex_digit(text[i + 1]) : -1;
            int low = i + 2 < text_len ? hex_digit(text[i + 2]) : -1;

            if (high < 0 || low < 0)
                return ekmotp_error_set(err, EKMOTP_E_SYNTAX,
                                        "client id: '%%' at byte %zu wants two hex digits (%%25 is a '%%')",
                                        i + 1);
            byte = high << 4 | low;
            i += 2;
        }
        bytes[n++] = (uint8_t)byte;
    }
    if (n == 0)
        return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "client id: is empty (1 to %d bytes)", EKMOTP_ID_MAX);
    memcpy(id, bytes, n);
    *id_len = n;
    return 0;
}
