/* respawn W…: the floor under a restart: starts W…, waits for its death by pidfd, starts it again; for ever. Tells each pid on standard output. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    for (;;) {
        pid_t pid = vfork();
        if (pid == 0) {
            execv(argv[1], argv + 1);
            _exit(127);
        }
        int fd = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
        if (fd < 0) {
            perror("respawn");
            return 1;
        }
        printf("%d\n", (int)pid);
        fflush(stdout);
        struct pollfd wait_for = {.fd = fd, .events = POLLIN};
        poll(&wait_for, 1, -1);
        waitpid(pid, NULL, 0);
        close(fd);
    }
}
