/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes that the agent reads from its socket: one frame behind the other. */
#include "p11/agent/wire.h"
#include "tests/fuzz/target.h"

#include <string.h>

/* A whole frame is what its message is written as, and nothing shorter is a frame. */
static void check_frame(const uint8_t *bytes, size_t used, const ek_wire_message *message)
{
    static uint8_t again[EK_WIRE_FRAME_MAX];
    ek_wire_message shorter;
    ek_writer w;
    size_t len = 0;

    PROMISE(!message->data || (message->data >= bytes && message->data + message->len <= bytes + used));
    PROMISE(!message->data2 || (message->data2 >= bytes && message->data2 + message->len2 <= bytes + used));
    PROMISE(used <= ek_wire_size(message));
    ek_writer_init(&w, again, sizeof(again));
    ek_wire_write(&w, message);
    PROMISE(ek_writer_end(&w, &len) == 0);
    PROMISE(len == used && memcmp(again, bytes, used) == 0);
    PROMISE(ek_wire_parse(bytes, used - 1, &shorter, &len, NULL) == EK_WIRE_MORE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    while (size > 0) {
        ek_wire_message message = {0};
        ekmotp_error err = {0};
        size_t used = 0;
        int rc = ek_wire_parse(data, size, &message, &used, &err);

        if (rc == EK_WIRE_MORE)
            break;
        if (rc != 0) {
            PROMISE(rc == EKMOTP_E_AGENT || rc == EKMOTP_E_LIMIT || rc == EKMOTP_E_SYNTAX);
            PROMISE(err.code == rc && err.message[0] != '\0');
            break;
        }
        PROMISE(used >= EK_WIRE_HEADER && used <= size);
        check_frame(data, used, &message);
        data += used;
        size -= used;
    }
    return 0;
}
