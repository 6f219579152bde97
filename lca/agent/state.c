/* The durable record of the agent: opened, told to the core, written when the core asks (SAFETY section 8).
 *
 * Owns the state directory and the slots in it (common/io/slots.h). It refuses to know what a record says. The directory
 * is made and handed to agent-user while the agent is root; the file is opened as agent-user, so that nothing in a
 * directory of that user can lead root elsewhere. Invariants: the core hears of the record once, before it hears of the
 * keeper; every ticket is answered once, also where there is no file to write to; the thread that writes is started
 * between the two halves of the confinement, and both hold for it. */
#include "lca/agent/agent.h"

#include "common/io/slots.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "record"

static int hand_over(int fd, const char *user)
{
    struct stat st;
    const struct passwd *p = geteuid() == 0 ? getpwnam(user) : NULL;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_uid != geteuid() && (!p || st.st_uid != p->pw_uid))
        return -EPERM; /* somebody else's: what he wrote there would be believed */
    if (p && fchown(fd, p->pw_uid, p->pw_gid) < 0)
        return -errno;
    return fchmod(fd, 0700) < 0 ? -errno : 0;
}

/* Its parent is made as well: /var/lib/understudy is there only where the controller runs, too. */
static int directory_open(const char *path)
{
    char parent[LCA_PATH_SIZE];
    str_copy(parent, sizeof parent, path);
    char *slash = strrchr(parent, '/');
    if (slash && slash != parent) {
        *slash = '\0';
        if (mkdir(parent, 0755) == 0)
            (void)chmod(parent, 0755); /* the umask is narrower */
    }
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return -errno;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static void say(struct agent *a, const char *what)
{
    char text[LCA_PATH_SIZE + 400];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    strbuf_printf(&b, "state-directory %s: %s: no lease is accepted here and no vote given", a->config->state_directory,
                  what);
    agent_log(a, REC_PRIVILEGES, "detail", text, NULL);
}

void state_prepare(struct agent *a)
{
    struct durable_file *d = &a->durable;
    int r = d->directory = directory_open(a->config->state_directory);
    if (r >= 0)
        r = hand_over(d->directory, a->config->agent_user);
    d->error = r < 0 ? -r : 0;
    if (r == -EPERM)
        say(a, "it belongs to another user than agent-user");
    else if (r < 0)
        say(a, strerror(-r));
}

static void done_ready(void *arg, unsigned ready, mono_t now)
{
    struct agent *a = arg;
    struct slots_done done;
    (void)ready;
    while (!a->ending && slots_next(a->durable.slots, &done)) {
        const struct lca_event e = {.type = LCA_EV_DURABLE_WRITTEN,
                                    .durable_written = {.ticket = done.ticket, .error = done.error}};
        agent_step(a, &e, now);
    }
}

static int slots_take(struct agent *a, struct strbuf *why)
{
    struct durable_file *d = &a->durable;
    int r = slots_open(d->directory, FILE_NAME, LCA_DURABLE_MAX, NULL, why, &d->slots);
    if (r < 0)
        return r;
    d->io = (struct loop_io){.fd = slots_fd(d->slots), .want = LOOP_READ, .fn = done_ready, .arg = a};
    return loop_add(a->loop, &d->io);
}

void state_read(struct agent *a, mono_t now)
{
    struct durable_file *d = &a->durable;
    struct lca_event e = {.type = LCA_EV_DURABLE_READ};
    char text[200];
    struct strbuf why;
    strbuf_init(&why, text, sizeof text);
    if (d->error == 0 && (d->error = -slots_take(a, &why)) != 0) {
        say(a, why.len ? text : strerror(d->error));
        slots_close(d->slots);
        d->slots = NULL;
    }
    if (d->directory >= 0)
        close(d->directory);
    d->directory = -1;
    e.durable_read.error = d->error;
    const uint8_t *bytes;
    ssize_t n = d->slots ? slots_read(d->slots, &bytes) : -ENODATA;
    if (n >= 0) {
        e.durable_read.bytes = bytes;
        e.durable_read.length = (size_t)n;
    }
    agent_step(a, &e, now);
}

int state_start(struct agent *a)
{
    return a->durable.slots ? slots_start(a->durable.slots) : 0;
}

void state_write(struct agent *a, uint64_t ticket)
{
    static uint8_t bytes[LCA_DURABLE_MAX];
    struct durable_file *d = &a->durable;
    int r = d->slots ? 0 : -d->error;
    if (r == 0) {
        size_t n = lca_core_durable(a->core, bytes, sizeof bytes);
        r = slots_write(d->slots, ticket, bytes, n);
    }
    if (r < 0) {
        d->lost[d->n_lost] = ticket;
        d->lost_errors[d->n_lost++] = -r;
    }
}

bool state_next_lost(struct agent *a, struct lca_event *ret_event)
{
    struct durable_file *d = &a->durable;
    if (d->n_lost == 0)
        return false;
    *ret_event = (struct lca_event){.type = LCA_EV_DURABLE_WRITTEN,
                                    .durable_written = {.ticket = d->lost[0], .error = d->lost_errors[0]}};
    d->n_lost--;
    memmove(d->lost, d->lost + 1, d->n_lost * sizeof *d->lost);
    memmove(d->lost_errors, d->lost_errors + 1, d->n_lost * sizeof *d->lost_errors);
    return true;
}

void state_close(struct agent *a)
{
    loop_remove(a->loop, &a->durable.io);
    slots_close(a->durable.slots);
    a->durable.slots = NULL;
}
