/* The command that every figure starts: it writes down when it began to run, and with what word.
 *
 *   bench_stamp FILE WORD         writes one line and ends
 *   bench_stamp FILE WORD stay    writes one line and waits to be ended
 *
 * A line is CLOCK_BOOTTIME in ns, the pid, the word; appended with one write, so that lines of several processes never
 * mix. The clock is read before anything else. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct timespec t;
    char line[200];
    clock_gettime(CLOCK_BOOTTIME, &t);
    if (argc < 3) {
        fprintf(stderr, "usage: %s FILE WORD [stay]\n", argv[0]);
        return 2;
    }
    int n = snprintf(line, sizeof line, "%" PRId64 " %d %.100s\n", t.tv_sec * INT64_C(1000000000) + t.tv_nsec,
                     (int)getpid(), argv[2]);
    int fd = open(argv[1], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || write(fd, line, (size_t)n) != n) {
        perror(argv[1]);
        return 1;
    }
    close(fd);
    while (argc > 3)
        pause();
    return 0;
}
