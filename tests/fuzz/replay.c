/* Replays a folder of stored inputs into one fuzz target: the ordinary test run's half of fuzzing.
 *
 * Every file is given whole, and small ones also cut at every length, since a truncated input is the commonest hostile one. An empty folder is a
 * failure: it would test nothing. */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#define INPUT_MAX (256 * 1024)
#define CUTS_UP_TO 600

static uint8_t *file_read(const char *path, size_t *ret_n)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(INPUT_MAX);
    if (!f || !data) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(1);
    }
    *ret_n = fread(data, 1, INPUT_MAX, f);
    fclose(f);
    return data;
}

/* Each input lies in a block of its own size, so that a sanitizer sees a read past its end. */
static void give(const uint8_t *data, size_t n)
{
    uint8_t *exact = malloc(n ? n : 1);
    if (!exact)
        exit(1);
    memcpy(exact, data, n);
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
}

static unsigned replay(const char *path)
{
    size_t n;
    unsigned runs = 1;
    uint8_t *data = file_read(path, &n);
    give(data, n);
    for (size_t cut = 0; n <= CUTS_UP_TO && cut < n; cut++, runs++)
        give(data, cut);
    free(data);
    return runs;
}

static int is_file(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
    struct dirent **entries;
    unsigned runs = 0;
    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS-FOLDER\n", argv[0]);
        return 2;
    }
    int count = scandir(argv[1], &entries, is_file, alphasort);
    if (count <= 0) {
        fprintf(stderr, "%s: no inputs\n", argv[1]);
        return 1;
    }
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", argv[1], entries[i]->d_name);
        fprintf(stderr, "%s\n", path); /* the last line names a culprit */
        runs += replay(path);
        free(entries[i]);
    }
    free(entries);
    printf("%d inputs, %u runs\n", count, runs);
    return 0;
}
