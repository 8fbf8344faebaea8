/* SPDX-License-Identifier: Apache-2.0 */
/* A record of the directory as it stands in an export, and its seal. */
#include "lib/directory/record.h"
#include "tests/fuzz/target.h"

#include <ekmotp/openssl.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ek_seal_kind kinds[] = {EK_SEAL_DIRECTORY, EK_SEAL_CLIENT, EK_SEAL_RETIRED, EK_SEAL_EXPORT};
    static const uint8_t kek[32] = "a key-encryption key";

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        static ek_record record;
        uint8_t again[EK_RECORD_FIELDS_MAX];
        ekmotp_client_info info;
        ekmotp_error err = {0};
        size_t len = 0;

        if (ek_record_parse(kinds[i], data, size, &record, &err) != 0) {
            PROMISE(err.code == EKMOTP_E_SYNTAX && err.message[0] != '\0');
            continue;
        }
        /* One record, one text: what is read is written the same. */
        PROMISE(ek_record_fields(kinds[i], &record, again, &len, NULL) == 0);
        PROMISE(len == size && memcmp(again, data, size) == 0);
        if (ek_record_check(&record, &err) == 0)
            ek_record_info(&record, &info);
        else
            PROMISE(err.message[0] != '\0');
        /* No bytes are a seal. */
        PROMISE(ek_record_open(ekmotp_openssl_crypto(), kek, kinds[i], data, size, &record, NULL) != 0);
        ek_record_wipe(&record);
    }
    return 0;
}
