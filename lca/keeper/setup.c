/* The run directory: made, checked, locked.
 *
 * It owns the layout: lca.lock, control.sock, host.blob, apps/ (0700, records), notify/ (0755, sockets that
 * applications reach), lease/ (0711, lease words that they read). It refuses a directory that somebody else could have prepared. Invariant: one keeper per run
 * directory; the lock is a flock, so it ends with its holder. */
#include "lca/keeper/keeper.h"

#include "common/base/lease_word.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_TRIES 40 /* of 50 ms: a child of a killed keeper holds the lock until its exec */

/* Opens a directory of ours below `at`, made when it is not there. */
static int directory_open(int at, const char *path, mode_t mode)
{
    struct stat st;
    if (mkdirat(at, path, mode) < 0 && errno != EEXIST)
        return -errno;
    int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = fstat(fd, &st) < 0 ? -errno : st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)) ? -EPERM : 0;
    if (r == 0)
        r = fchmod(fd, mode) < 0 ? -errno : 0;
    if (r == 0)
        return fd;
    close(fd);
    return r;
}

int run_directory_open(struct keeper *k, struct strbuf *why)
{
    const char *failed = "";
    k->run_fd = directory_open(AT_FDCWD, k->run, 0755);
    int r = k->run_fd;
    if (r >= 0) {
        failed = "/apps";
        r = k->apps_fd = directory_open(k->run_fd, "apps", 0700);
    }
    if (r >= 0) {
        failed = "/notify";
        r = k->notify_fd = directory_open(k->run_fd, "notify", 0755);
    }
    if (r >= 0) {
        failed = "/lease";
        r = k->lease_fd = directory_open(k->run_fd, "lease", 0711);
    }
    if (r == -EPERM)
        strbuf_printf(why, "run-directory %s%s is refused: it belongs to somebody else, or others can write to it",
                      k->run, failed);
    else if (r < 0)
        strbuf_printf(why, "run-directory %s%s: %s", k->run, failed, strerror(-r));
    return r < 0 ? r : 0;
}

static int holder(int fd)
{
    char text[32];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = 0;
    return (int)strtol(text, NULL, 10);
}

/* A holder that has died leaves the lock to a child that has not come to its exec: worth a moment. */
static bool take_lock(int fd)
{
    const struct timespec pause = {.tv_nsec = 50000000};
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return true;
        int pid = holder(fd);
        if (pid > 0 && (kill(pid, 0) == 0 || errno != ESRCH))
            return false;
        nanosleep(&pause, NULL);
    }
    return false;
}

int run_directory_lock(struct keeper *k, struct strbuf *why)
{
    char text[32];
    k->lock_fd = openat(k->run_fd, "lca.lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (k->lock_fd < 0) {
        int r = -errno;
        strbuf_printf(why, "%s/lca.lock: %s", k->run, strerror(-r));
        return r;
    }
    if (!take_lock(k->lock_fd)) {
        strbuf_printf(why, "another lca, pid %d, has run-directory %s: one host has one lca", holder(k->lock_fd),
                      k->run);
        return -EBUSY;
    }
    int n = snprintf(text, sizeof text, "%d\n", getpid());
    if (ftruncate(k->lock_fd, 0) < 0 || pwrite(k->lock_fd, text, (size_t)n, 0) != n)
        return 0; /* a full disk: the lock holds without the name */
    return 0;
}

int boot_id_read(uint8_t ret_id[16])
{
    char text[64];
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    return n > 0 && boot_id_parse(text, (size_t)n, ret_id) ? 0 : -EBADMSG;
}

int time_namespace_read(uint64_t *ret_inode)
{
    struct stat st;
    if (stat("/proc/self/ns/time", &st) < 0)
        return -errno;
    *ret_inode = st.st_ino;
    return 0;
}
