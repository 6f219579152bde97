/* The command line of a daemon: the same few options for lca and scs.
 *
 * Owns the words and the usage text. Refuses to act on them beyond printing: the program does what the mode says. The
 * words are few and take no abbreviations, so they are read here directly (getopt_long's struct has the name of our
 * option rows). */
#include "common/io/config.h"

#include <stdio.h>
#include <string.h>

struct line {
    int argc;
    char **argv;
    const struct option_schema *schema;
    const char *default_file;
    bool has_stop_all;
};

static void usage(const struct line *l, FILE *out)
{
    fprintf(out,
            "usage: %s [-f FILE] [-t | -T%s]\n"
            "  -f FILE          read this configuration (default %s)\n"
            "  -t               check the configuration, print every complaint, and exit\n"
            "  -T               print the configuration in effect, and exit\n"
            "%s"
            "  --help-options   print every option of the configuration, and exit\n"
            "  --version        print the version, and exit\n"
            "  -h, --help       print this, and exit\n",
            l->schema->program, l->has_stop_all ? " | --stop-all" : "", l->default_file,
            l->has_stop_all ? "  --stop-all       stop every application of this host, then the daemon\n" : "");
}

/* Prints what `word` asks for; false when it asks for nothing printed. */
static bool prints(const struct line *l, const char *word)
{
    if (str_equal(word, "-h") || str_equal(word, "--help"))
        usage(l, stdout);
    else if (str_equal(word, "--version"))
        printf("%s (understudy) %s\n", l->schema->program, UNDERSTUDY_VERSION);
    else if (str_equal(word, "--help-options"))
        config_help(l->schema, stdout);
    else
        return false;
    return true;
}

/* Takes the argument at `i`. The index of the next one; negative when it is not understood. */
static int take(const struct line *l, int i, struct daemon_args *args)
{
    const char *word = l->argv[i];
    if (str_equal(word, "-t"))
        args->mode = MODE_CHECK;
    else if (str_equal(word, "-T"))
        args->mode = MODE_PRINT;
    else if (l->has_stop_all && str_equal(word, "--stop-all"))
        args->stop_all = true;
    else if (strncmp(word, "-f", 2) == 0 && word[2])
        args->file = word + 2;
    else if (str_equal(word, "-f") && i + 1 < l->argc)
        args->file = l->argv[++i];
    else
        return -1;
    return i + 1;
}

void daemon_args_parse(int argc, char **argv, const char *default_file, const struct option_schema *schema,
                       bool has_stop_all, struct daemon_args *ret_args, int *ret_status)
{
    const struct line l = {
        .argc = argc, .argv = argv, .schema = schema, .default_file = default_file, .has_stop_all = has_stop_all};
    struct daemon_args args = {.file = default_file, .mode = MODE_RUN};
    *ret_status = 0;
    for (int i = 1; i < argc;) {
        if (prints(&l, argv[i])) {
            args.mode = MODE_EXIT;
            break;
        }
        int next = take(&l, i, &args);
        if (next < 0) {
            fprintf(stderr, "%s: '%s' is not understood\n", schema->program, argv[i]);
            usage(&l, stderr);
            args.mode = MODE_EXIT;
            *ret_status = 2;
            break;
        }
        i = next;
    }
    *ret_args = args;
}
