/* mark FILE [MS | sleep]: what is measured by its start. The first thing it does is to read the clock; then it appends one line to FILE.
 *
 * It stands for an application (with `sleep`, or MS milliseconds of life) and for a role command (without). Linked statically, so that its start costs what a start
 * costs and not what a dynamic linker costs; it is the same program under the product and under the floor. Lines: "NS pid start|end ROLE". Units: ns of
 * CLOCK_MONOTONIC. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static long long clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int write_line(int fd, long long at, const char *what)
{
    char line[160];
    const char *role = getenv("LCA_ROLE");
    int n = snprintf(line, sizeof line, "%lld %d %s %s\n", at, (int)getpid(), what, role ? role : "-");
    return write(fd, line, (size_t)n) == n ? 0 : 1;
}

int main(int argc, char **argv)
{
    long long at = clock_ns();
    if (argc < 2)
        return 2;
    int fd = open(argv[1], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || write_line(fd, at, "start"))
        return 1;
    if (argc == 2)
        return 0;
    if (strcmp(argv[2], "sleep") == 0)
        for (;;)
            pause();
    long ms = strtol(argv[2], NULL, 10);
    struct timespec life = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&life, NULL);
    return write_line(fd, clock_ns(), "end");
}
