/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over its corpus in the tree: each file, each of its beginnings, and each with one bit
 * flipped. The corpus is the folder FUZZ_CORPUS under the source folder, or the arguments.
 */
#include "tests/fuzz/target.h"

#include <dirent.h>
#include <string.h>

#define FILE_MAX 65536
#define FLIP_MAX 4096 /* bytes of a file in which bits are flipped */

static size_t runs;

/* A copy of its own, so that a sanitizer sees the first byte behind the end. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);

    if (!copy)
        abort();
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    runs++;
}

static int replay_file(const char *path)
{
    static uint8_t data[FILE_MAX];
    FILE *file = fopen(path, "rb");
    size_t size;

    if (!file) {
        perror(path);
        return 0;
    }
    size = fread(data, 1, sizeof(data), file);
    fclose(file);
    for (size_t n = 0; n <= size; n++)
        run(data, n);
    for (size_t bit = 0; bit < 8 * size && size <= FLIP_MAX; bit++) {
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        run(data, size);
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    return 1;
}

static int replay_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    char path[4096];
    int files = 0;

    if (!dir) {
        perror(folder);
        return 0;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        files += replay_file(path);
    }
    closedir(dir);
    return files;
}

int main(int argc, char **argv)
{
    const char *srcdir = getenv("srcdir");
    char folder[2048];
    int files = 0;

    snprintf(folder, sizeof(folder), "%s/tests/fuzz/corpus/%s", srcdir ? srcdir : ".", FUZZ_CORPUS);
    if (argc == 1)
        files = replay_folder(folder);
    for (int i = 1; i < argc; i++)
        files += replay_file(argv[i]);
    printf("%s: %d files, %zu runs\n", FUZZ_CORPUS, files, runs);
    return files > 0 ? 0 : 1;
}
