/* An application's output through a pipe into files of bounded size.
 *
 * It owns the start of lca-output, one process per start, which runs as the application's user, so that it opens
 * nothing that the application could not. It refuses to read the bytes itself: a slow disk would hold up leases. The
 * program ends by itself when the last writer has gone, outlives the keeper, and is nobody's child to wait for: the
 * keeper reaps it like an orphan.
 *
 * Invariant: without the program there is no start: output that was asked to be bounded is neither dropped nor let
 * grow. */
#include "lca/keeper/output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int start_program(struct tree *t, const struct spawn *app, int input_fd)
{
    static char *const no_environment[] = {NULL};
    static struct spawn s;
    const struct exec_setup *setup = app->setup;
    char size[24], keep[12];
    int pidfd, exec_fd;
    snprintf(size, sizeof size, "%" PRIu64, setup->output_max_size);
    snprintf(keep, sizeof keep, "%" PRIu32, setup->output_keep);
    char *const argv[] = {(char[]){"lca-output"}, (char *)(uintptr_t)app->output, size, keep, NULL};
    s = *app;
    s.path = t->app->keeper->output_program;
    s.argv = argv;
    s.envp = no_environment;
    s.directory = "/";
    s.output = "";
    s.setup = NULL;
    s.environment_file = NULL;
    s.dies_with_keeper = false;
    s.cgroup_fd = -1;
    s.input_fd = input_fd;
    s.output_fd = s.give_fd = -1;
    pid_t pid = spawn_process(&s, &pidfd, &exec_fd);
    if (pid < 0)
        return (int)pid;
    close(pidfd);
    close(exec_fd);
    return 0;
}

int output_begin(struct tree *t, struct spawn *s, struct strbuf *why)
{
    int ends[2];
    if (t->is_role || !s->setup || s->setup->output_max_size == 0 || s->output[0] != '/')
        return 0;
    if (!t->app->keeper->output_program) {
        strbuf_add(why, "output-max-size: the program lca-output is not found");
        return -ENOENT;
    }
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    int r = start_program(t, s, ends[0]);
    close(ends[0]);
    if (r < 0) {
        close(ends[1]);
        strbuf_printf(why, "lca-output: %s", strerror(-r));
        return r;
    }
    s->output_fd = ends[1];
    return 0;
}

void output_handed_over(struct spawn *s)
{
    if (s->output_fd >= 0)
        close(s->output_fd);
    s->output_fd = -1;
}
