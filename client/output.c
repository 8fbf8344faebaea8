/* SPDX-License-Identifier: Apache-2.0 */
#include "client/output.h"

#include <errno.h>
#include <string.h>

static int open_output(ek_output *output, ekmotp_error *err)
{
    if (output->file)
        return 0;
    output->file = output->path && strcmp(output->path, "-") != 0 ? fopen(output->path, "wbe") : stdout;
    if (!output->file)
        return ekmotp_error_set(err, EKMOTP_E_IO, "%.300s: %s", output->path, strerror(errno));
    return 0;
}

int ek_output_write(ek_output *output, const char *bytes, size_t len, ekmotp_error *err)
{
    int rc = open_output(output, err);

    if (rc == 0 && fwrite(bytes, 1, len, output->file) != len)
        rc = ekmotp_error_set(err, EKMOTP_E_IO, "the answer cannot be written: %s", strerror(errno));
    return rc;
}

int ek_output_close(ek_output *output, ekmotp_error *err)
{
    int bad = 0;

    if (output->file == stdout)
        bad = fflush(stdout) != 0 || ferror(stdout);
    else if (output->file)
        bad = fclose(output->file) != 0;
    output->file = NULL;
    return bad ? ekmotp_error_set(err, EKMOTP_E_IO, "the answer cannot be written: %s", strerror(errno)) : 0;
}
