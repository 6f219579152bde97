/* The mounts of this host, asked one question: may a child that the keeper waits for open its files?
 *
 * It owns the list of file systems that answer without another machine or a process of somebody's. Any other one,
 * anywhere, counts as remote, because symbolic links lead everywhere and looking along them could itself wait.
 * Invariant: the answer is looked up again whenever the kernel says that mounts have changed; without /proc the answer
 * is no. */
#include "lca/keeper/mounts.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const local[] = {
    "autofs",    "bpf",      "binfmt_misc", "btrfs",   "cgroup",  "cgroup2", "configfs", "debugfs", "devpts",
    "devtmpfs",  "efivarfs", "erofs",       "ext2",    "ext3",    "ext4",    "f2fs",     "fusectl", "hugetlbfs",
    "iso9660",   "mqueue",   "nsfs",        "overlay", "proc",    "pstore",  "ramfs",    "rootfs",  "securityfs",
    "selinuxfs", "squashfs", "sysfs",       "tmpfs",   "tracefs", "vfat",    "xfs",      "zfs",
};

static bool line_is_local(const char *line)
{
    char type[64], point[8];
    const char *tail = strstr(line, " - ");
    if (!tail || sscanf(tail, " - %63s", type) != 1 || sscanf(line, "%*s %*s %*s %*s %7s", point) != 1)
        return false;
    if (strcmp(type, "autofs") == 0) /* every host with systemd has one there; elsewhere it mounts what is asked for */
        return strncmp(point, "/proc/", 6) == 0;
    for (size_t i = 0; i < sizeof local / sizeof local[0]; i++)
        if (strcmp(type, local[i]) == 0)
            return true;
    return false;
}

static bool read_all_local(void)
{
    FILE *f = fopen("/proc/self/mountinfo", "re");
    char line[4096];
    bool all = f != NULL;
    while (all && fgets(line, sizeof line, f))
        all = line_is_local(line);
    if (f)
        fclose(f);
    return all;
}

void mounts_open(struct keeper *k)
{
    k->mounts_fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    k->mounts_local = k->mounts_fd >= 0 && read_all_local();
}

bool mounts_are_local(struct keeper *k)
{
    struct pollfd p = {.fd = k->mounts_fd, .events = POLLPRI};
    if (k->mounts_fd >= 0 && poll(&p, 1, 0) > 0 && (p.revents & (POLLPRI | POLLERR)))
        k->mounts_local = read_all_local();
    return k->mounts_local;
}
