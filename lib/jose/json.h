/* SPDX-License-Identifier: Apache-2.0 */
/* json.h: JSON objects from the network and from users, read strictly on top of jansson. */
#ifndef EK_JSON_H
#define EK_JSON_H

#include <ekmotp/error.h>
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define EK_JSON_DEPTH_MAX 8 /* objects and arrays inside each other, the outermost included */

/* A JSON object, once as jansson's tree and once as text. */
typedef struct ek_json {
    json_t *object; /* its member n, where n below is not 0, holds a place-holder */
    char *text;     /* without white space between the tokens: one line, NUL-terminated */
    size_t len;
    uint64_t n; /* the member n where it is written as a plain integer (jansson's end at 2^63-1), else 0 */
} ek_json;

/*
 * Reads one JSON object: nothing after it, no member twice, no NUL in it, no more than
 * EK_JSON_DEPTH_MAX levels. place names it in messages. EKMOTP_E_SYNTAX, _LIMIT, _NOMEM. On success the
 * caller clears json.
 */
int ek_json_read(const char *place, const char *text, size_t len, ek_json *json, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* Releases what json holds and zeroes it. NULL-safe. */
void ek_json_clear(ek_json *json);

/* 1 if value is a string of exactly these bytes. NULL-safe. */
int ek_json_is_string(const json_t *value, const void *bytes, size_t len);

/*
 * A value of unknown origin for a message: at most 40 characters of visible ASCII, others as "?";
 * "(not a string)" and "(missing)" where it is so. buf is the memory for it.
 */
#define EK_JSON_SHOWN_SIZE 44
const char *ek_json_shown(const json_t *value, char buf[EK_JSON_SHOWN_SIZE]);

#endif
