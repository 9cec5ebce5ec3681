/* Runs a target on each file of the directories and on each file that it is given: the corpus as a test, and
 * a reproducer without libFuzzer. */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t runs;

static uint8_t *load(const char *path, size_t size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(size ? size : 1);
    if (!file || !data || fread(data, 1, size, file) != size) {
        fprintf(stderr, "%s: can't be read\n", path);
        exit(EXIT_FAILURE);
    }
    fclose(file);
    return data;
}

/* The block is no larger than the input, so that sanitizers see a look behind its end. */
static int run_file(const char *path, const struct stat *about, int type, struct FTW *position)
{
    (void)position;
    if (type != FTW_F)
        return 0;
    fprintf(stderr, "%s\n", path);
    size_t size = (size_t)about->st_size;
    uint8_t *data = load(path, size);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    runs++;
    return 0;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (nftw(argv[i], run_file, 8, FTW_PHYS) != 0) {
            fprintf(stderr, "%s: %s\n", argv[i], strerror(errno));
            return EXIT_FAILURE;
        }
    if (!runs) {
        fprintf(stderr, "%s: no input, expected files or directories of them\n", argv[0]);
        return 2;
    }
    printf("%zu inputs\n", runs);
    return EXIT_SUCCESS;
}
