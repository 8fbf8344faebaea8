/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_channel.h: a channel that exports HMAC(seed, label || 0 || context || length), so that two ends with
 * one seed agree and the state of a connection can be set at will.
 */
#ifndef UNIT_FAKE_CHANNEL_H
#define UNIT_FAKE_CHANNEL_H

#include <ekmotp/channel.h>

typedef struct fake_session {
    uint8_t seed[32];
    int check;        /* what the channel's check returns */
    unsigned exports; /* how often it exported */
} fake_session;

/* A session with a seed made of one byte. */
fake_session fake_session_make(uint8_t seed);
/* A channel on the session, which is borrowed. */
ekmotp_channel *fake_channel_new(fake_session *session);

#endif
