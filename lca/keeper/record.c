/* Records on disk: the keeper's memory of its applications, for the keeper that comes after it.
 *
 * It owns the two file formats and their writing. A blob is written whole to a temporary name, then renamed, so that a
 * reader sees the old or the new one; where the disk has no room for both it is written over the old one, because an old
 * one names a role that was given away, or a primary a backup. A record is made so, too, and then written in place: it lies in one page, so that
 * a keeper killed while it writes leaves the old or the new one as well, a full disk cannot stop it, and a start does
 * not wait for a rename. No fsync: the directory is on a file system that lives as long as the boot, and the boot id in
 * every file says whether a record means this one. It refuses to judge what a record says about processes (adopt.c
 * does).
 *
 * Invariants: a file with a wrong magic, size, checksum, name or boot id is removed and never believed; a disk that
 * refuses a write costs nothing but the record: it is tried again every RETRY, and the agent's bytes are held in memory
 * until then. Blobs are otherwise not held in memory.
 *
 * Units: start ticks as /proc has them, instants in nanoseconds on CLOCK_BOOTTIME. */
#include "lca/keeper/record.h"

#include "common/base/bytes.h"
#include "lca/keeper/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC UINT64_C(0x6c63615265633032) /* lcaRec02 */
#define RETRY SPAN_S(1)
#define CGROUP_SIZE 400

struct record_tree {
    uint64_t start_id, start_ticks, leader_ticks;
    int64_t exit_at_ns;
    int32_t pid, leader;
    uint32_t uid, state, how;
    int32_t code, signal;
    uint32_t core, unseen, oom, found;
    int32_t kill_signal;
    uint32_t zero;
    char cgroup[CGROUP_SIZE];
};

struct record_file {
    uint64_t magic;
    uint8_t boot_id[16];
    char name[NAME_SIZE];
    uint32_t wants_notify, ready;
    struct record_tree main, role;
    uint64_t checksum; /* of everything before it */
};

_Static_assert(sizeof(struct record_file) <= 4096, "one write into one page");

struct blob_file {
    uint64_t magic;
    uint8_t boot_id[16];
    uint32_t length, zero;
    uint64_t checksum; /* of the bytes */
};

/* ---- files ---- */

/* Two parts become one file. Names of applications never start with a dot, so the temporary one is nobody's. */
static int file_write(int dir, const char *name, const void *head, size_t head_n, const void *tail, size_t tail_n)
{
    char temporary[NAME_SIZE + 16];
    snprintf(temporary, sizeof temporary, ".%s", name);
    int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int r = write(fd, head, head_n) == (ssize_t)head_n && (tail_n == 0 || write(fd, tail, tail_n) == (ssize_t)tail_n)
                ? 0
                : (errno ? -errno : -ENOSPC);
    if (close(fd) < 0 && r == 0)
        r = -errno;
    if (r == 0 && renameat(dir, temporary, dir, name) < 0)
        r = -errno;
    if (r < 0)
        unlinkat(dir, temporary, 0);
    return r;
}

/* Over the file that is there; what it has beyond `n` stays behind. */
static int file_overwrite(int dir, const char *name, const void *bytes, size_t n)
{
    int fd = openat(dir, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = write(fd, bytes, n) == (ssize_t)n ? 0 : -EIO;
    close(fd);
    return r;
}

static ssize_t file_read(int dir, const char *name, void *out, size_t size)
{
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = read(fd, out, size);
    int error = errno;
    close(fd);
    return n < 0 ? -error : n;
}

static void disk_refuses(struct keeper *k, int error)
{
    if (k->retry_records_at.ns == INT64_MAX)
        keeper_log(k, REC_RECORDS_FAILED, "directory", k->run, "reason", strerror(-error), NULL);
    k->retry_records_at = mono_add(loop_now(k->loop), RETRY);
}

/* ---- records ---- */

static void tree_to_record(const struct tree *t, struct record_tree *r)
{
    *r = (struct record_tree){
        .start_id = t->start_id,
        .start_ticks = t->start_ticks,
        .leader_ticks = t->leader_ticks,
        .leader = t->leader,
        .exit_at_ns = t->exit.at_ns,
        .pid = t->pid,
        .uid = t->uid,
        .state = (uint32_t)t->state,
        .how = t->exit.how,
        .code = t->exit.code,
        .signal = t->exit.signal,
        .core = t->exit.core,
        .unseen = t->unseen,
        .oom = t->exit.oom,
        .found = t->found,
        .kill_signal = t->kill_signal,
    };
    str_copy(r->cgroup, sizeof r->cgroup, t->cgroup ? t->cgroup : "");
}

static int record_write(struct app *a)
{
    struct record_file f = {.magic = MAGIC, .wants_notify = a->wants_notify, .ready = a->main.ready};
    char name[NAME_SIZE + 8];
    memcpy(f.boot_id, a->keeper->boot_id, sizeof f.boot_id);
    str_copy(f.name, sizeof f.name, a->name);
    tree_to_record(&a->main, &f.main);
    tree_to_record(&a->role, &f.role);
    f.checksum = byte_hash(BYTE_HASH, &f, offsetof(struct record_file, checksum));
    snprintf(name, sizeof name, "%s.rec", a->name);
    int r = file_overwrite(a->keeper->apps_fd, name, &f, sizeof f);
    return r == 0 ? 0 : file_write(a->keeper->apps_fd, name, &f, sizeof f, NULL, 0);
}

void record_dirty(struct app *a)
{
    a->dirty = true;
    a->keeper->dirty = true;
}

void record_write_intent(struct app *a)
{
    int r = record_write(a);
    if (r < 0)
        disk_refuses(a->keeper, r);
}

static int flush_app(struct app *a)
{
    int r = a->dirty ? record_write(a) : 0;
    if (r < 0)
        return r;
    a->dirty = false;
    if (a->blob) {
        uint8_t *bytes = a->blob;
        a->blob = NULL;
        blob_store(a->keeper, a, bytes, a->blob_len);
        free(bytes);
        if (a->blob)
            return -EAGAIN; /* said by blob_store() */
    }
    return 0;
}

static int flush_all(struct keeper *k)
{
    int worst = 0;
    LIST_EACH(it, &k->apps)
    {
        int r = flush_app(LIST_ENTRY(it, struct app, link));
        if (r < 0)
            worst = r;
    }
    if (k->host_blob) {
        uint8_t *bytes = k->host_blob;
        k->host_blob = NULL;
        blob_store(k, NULL, bytes, k->host_blob_len);
        free(bytes);
        worst = k->host_blob ? -EAGAIN : worst;
    }
    return worst;
}

mono_t records_flush(struct keeper *k, mono_t now)
{
    bool failing = k->retry_records_at.ns != INT64_MAX;
    if (failing ? !mono_reached(k->retry_records_at, now) : !k->dirty)
        return k->retry_records_at;
    int r = flush_all(k);
    if (r < 0) {
        disk_refuses(k, r);
        return k->retry_records_at;
    }
    k->dirty = false;
    k->retry_records_at = MONO_NEVER;
    if (failing)
        keeper_log(k, REC_RECORDS_WORK, "directory", k->run, NULL);
    return MONO_NEVER;
}

void record_remove(struct app *a)
{
    char name[NAME_SIZE + 8];
    snprintf(name, sizeof name, "%s.rec", a->name);
    unlinkat(a->keeper->apps_fd, name, 0);
    snprintf(name, sizeof name, "%s.blob", a->name);
    unlinkat(a->keeper->apps_fd, name, 0);
}

/* ---- reading them back ---- */

static void tree_from_record(struct tree *t, const struct record_tree *r)
{
    t->start_id = r->start_id;
    t->start_ticks = r->start_ticks;
    t->leader_ticks = r->leader_ticks;
    t->leader = r->leader;
    t->pid = r->pid;
    t->uid = r->uid;
    t->state = r->state <= TREE_ENDING ? (enum tree_state)r->state : TREE_NONE;
    t->unseen = r->unseen;
    t->found = r->found != 0;
    t->kill_signal = r->kill_signal;
    t->exit = (struct tree_exit){.how = r->how,
                                 .code = r->code,
                                 .signal = r->signal,
                                 .core = r->core != 0,
                                 .oom = r->oom != 0,
                                 .at_ns = r->exit_at_ns};
    if (r->cgroup[0] && memchr(r->cgroup, 0, sizeof r->cgroup))
        t->cgroup = strdup(r->cgroup);
}

static bool record_is_sound(const struct keeper *k, const char *name, const struct record_file *f, ssize_t n)
{
    return n == (ssize_t)sizeof *f && f->magic == MAGIC && memcmp(f->boot_id, k->boot_id, sizeof f->boot_id) == 0 &&
           f->checksum == byte_hash(BYTE_HASH, f, offsetof(struct record_file, checksum)) &&
           strncmp(f->name, name, sizeof f->name) == 0;
}

static bool blob_is_sound(const struct keeper *k, const uint8_t *bytes, ssize_t n)
{
    struct blob_file f;
    if (n < (ssize_t)sizeof f)
        return false;
    memcpy(&f, bytes, sizeof f);
    return f.magic == MAGIC && memcmp(f.boot_id, k->boot_id, sizeof f.boot_id) == 0 &&
           f.length <= (size_t)n - sizeof f && f.checksum == byte_hash(BYTE_HASH, bytes + sizeof f, f.length);
}

/* Splits "NAME.rec"; false when it is something else. */
static bool name_of(const char *file, const char *suffix, char name[NAME_SIZE])
{
    size_t n = strlen(file), tail = strlen(suffix);
    return n > tail && strcmp(file + n - tail, suffix) == 0 && str_is_name(file, n - tail) &&
           str_copy_bytes(name, NAME_SIZE, file, n - tail);
}

static void load_record(struct keeper *k, const char *file, const char *name)
{
    struct record_file f;
    struct app *a;
    ssize_t n = file_read(k->apps_fd, file, &f, sizeof f);
    if (!record_is_sound(k, name, &f, n)) {
        unlinkat(k->apps_fd, file, 0);
        return;
    }
    if (keeper_add_app(k, name, &a) < 0)
        return;
    a->wants_notify = f.wants_notify;
    a->main.ready = f.ready != 0;
    tree_from_record(&a->main, &f.main);
    tree_from_record(&a->role, &f.role);
}

static void load_blob(struct keeper *k, const char *file, const char *name)
{
    static uint8_t bytes[sizeof(struct blob_file) + KEEPER_BLOB_MAX + 1];
    struct app *a;
    ssize_t n = file_read(k->apps_fd, file, bytes, sizeof bytes);
    if (!blob_is_sound(k, bytes, n))
        unlinkat(k->apps_fd, file, 0);
    else if (keeper_add_app(k, name, &a) == 0)
        a->has_blob = true;
}

int records_load(struct keeper *k)
{
    int fd = openat(k->apps_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        int r = -errno;
        if (fd >= 0)
            close(fd);
        return r;
    }
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        char name[NAME_SIZE];
        if (name_of(e->d_name, ".rec", name))
            load_record(k, e->d_name, name);
        else if (name_of(e->d_name, ".blob", name))
            load_blob(k, e->d_name, name);
        else if (e->d_name[0] == '.' && name_of(e->d_name + 1, "", name))
            unlinkat(k->apps_fd, e->d_name, 0); /* a write that was cut short */
    }
    closedir(dir);
    return 0;
}

/* ---- blobs ---- */

static void blob_file_name(const struct app *a, char *out, size_t size)
{
    snprintf(out, size, "%s.blob", a ? a->name : "host");
}

static void keep_in_memory(struct keeper *k, struct app *a, const uint8_t *bytes, uint32_t n)
{
    uint8_t **place = a ? &a->blob : &k->host_blob;
    uint8_t *copy = malloc(n ? n : 1);
    if (!copy)
        return; /* neither disk nor memory: the former bytes stay */
    memcpy(copy, bytes, n);
    free(*place);
    *place = copy;
    *(a ? &a->blob_len : &k->host_blob_len) = n;
}

/* One write: a keeper that is killed has done all of it or, across a page's end, left a file that is not sound. */
static int blob_overwrite(int dir, const char *name, const struct blob_file *head, const uint8_t *bytes)
{
    static uint8_t file[sizeof *head + KEEPER_BLOB_MAX];
    memcpy(file, head, sizeof *head);
    memcpy(file + sizeof *head, bytes, head->length);
    return file_overwrite(dir, name, file, sizeof *head + head->length);
}

void blob_store(struct keeper *k, struct app *a, const uint8_t *bytes, uint32_t n)
{
    struct blob_file f = {.magic = MAGIC, .length = n, .checksum = byte_hash(BYTE_HASH, bytes, n)};
    char name[NAME_SIZE + 8];
    memcpy(f.boot_id, k->boot_id, sizeof f.boot_id);
    blob_file_name(a, name, sizeof name);
    int dir = a ? k->apps_fd : k->run_fd, r = file_write(dir, name, &f, sizeof f, bytes, n);
    if (r < 0 && blob_overwrite(dir, name, &f, bytes) == 0)
        r = 0;
    if (a)
        a->has_blob = true;
    if (r < 0) {
        keep_in_memory(k, a, bytes, n);
        disk_refuses(k, r);
        return;
    }
    uint8_t **place = a ? &a->blob : &k->host_blob;
    free(*place);
    *place = NULL;
}

uint32_t blob_load(struct keeper *k, const struct app *a, uint8_t *out)
{
    static uint8_t bytes[sizeof(struct blob_file) + KEEPER_BLOB_MAX + 1];
    const uint8_t *held = a ? a->blob : k->host_blob;
    char name[NAME_SIZE + 8];
    if (held) {
        uint32_t n = a ? a->blob_len : k->host_blob_len;
        memcpy(out, held, n);
        return n;
    }
    blob_file_name(a, name, sizeof name);
    ssize_t n = file_read(a ? k->apps_fd : k->run_fd, name, bytes, sizeof bytes);
    if (!blob_is_sound(k, bytes, n))
        return 0;
    struct blob_file f;
    memcpy(&f, bytes, sizeof f);
    memcpy(out, bytes + sizeof f, f.length);
    return f.length;
}
