/* The log: one line per record to standard error or a file.
 *
 * Owns the descriptor, the level, the rate windows and the count of what was lost. Refuses to block: a pipe or terminal
 * without room, a socket whose reader sleeps and a full disk all lose the line, and the loss is said as soon as a line
 * can be written again.
 *
 * Invariants: what is written is whole lines; a line that the disk took only half of is ended before the next one. A
 * line is at most LINE_SIZE bytes, which a pipe that polls writable takes without blocking. Each record id has
 * RATE_LINES lines per RATE_WINDOW, so that one noisy peer cannot drown the others.
 *
 * Times printed are UTC of the wall clock; rates are measured on CLOCK_BOOTTIME. */
#include "common/io/log.h"
#include "common/io/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_SIZE 4096
#define RATE_LINES 200
#define RATE_WINDOW SPAN_S(1)

struct rate {
    mono_t since;
    unsigned lines;
};

struct log {
    int fd;
    bool is_file, is_socket, owned;
    bool half; /* the last line was written in part only */
    enum record_level level;
    uint64_t lost_rate, lost_write;
    int write_error; /* errno of the last loss */
    struct rate rates[RECORD_COUNT];
};

static bool is_stderr(const char *path)
{
    return !path || path[0] == '\0' || str_equal(path, "stderr");
}

/* The descriptor for `path`, or negative errno. */
static int sink_open(const char *path)
{
    if (is_stderr(path))
        return STDERR_FILENO;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    return fd < 0 ? -errno : fd;
}

static void sink_take(struct log *l, int fd)
{
    struct stat st;
    bool known = fstat(fd, &st) == 0;
    l->fd = fd;
    l->owned = fd != STDERR_FILENO;
    l->is_socket = known && S_ISSOCK(st.st_mode);
    l->is_file = known && S_ISREG(st.st_mode);
    l->half = false;
}

int log_open(const char *program, const char *path, enum record_level level, struct log **ret_log)
{
    (void)program;
    int fd = sink_open(path);
    if (fd < 0)
        return fd;
    struct log *l = calloc(1, sizeof *l);
    if (!l) {
        if (fd != STDERR_FILENO)
            close(fd);
        return -ENOMEM;
    }
    l->level = level;
    sink_take(l, fd);
    *ret_log = l;
    return 0;
}

int log_reopen(struct log *l, const char *path, enum record_level level)
{
    int fd = sink_open(path);
    if (fd < 0)
        return fd;
    if (l->owned)
        close(l->fd);
    sink_take(l, fd);
    l->level = level;
    return 0;
}

static ssize_t sink_write(struct log *l, const char *text, size_t n)
{
    if (l->is_socket)
        return send(l->fd, text, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (!l->is_file) {
        struct pollfd p = {.fd = l->fd, .events = POLLOUT};
        if (poll(&p, 1, 0) == 1 && !(p.revents & POLLOUT)) {
            errno = EPIPE;
            return -1;
        }
        if (!(p.revents & POLLOUT)) {
            errno = EAGAIN;
            return -1;
        }
    }
    return write(l->fd, text, n);
}

/* False, counted and remembered when the line was lost. */
static bool line_write(struct log *l, const char *line, size_t n)
{
    if (l->half) {
        if (sink_write(l, "\n", 1) != 1) {
            l->write_error = errno;
            l->lost_write++;
            return false;
        }
        l->half = false;
    }
    ssize_t r = sink_write(l, line, n);
    if (r == (ssize_t)n)
        return true;
    l->write_error = r < 0 ? errno : ENOSPC;
    l->half = r > 0;
    l->lost_write++;
    return false;
}

static void add_time(struct strbuf *b, int64_t wall_us)
{
    time_t s = (time_t)(wall_us / 1000000);
    struct tm tm;
    gmtime_r(&s, &tm);
    strbuf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                  tm.tm_min, tm.tm_sec, (int)(wall_us % 1000000));
}

/* A value with blanks, quotes or an equals sign is quoted; quotes inside become \x22, so that a line can be split
 * again. */
static void add_value(struct strbuf *b, const char *value)
{
    if (value[0] != '\0' && !strpbrk(value, " \"=")) {
        strbuf_add_escaped(b, value, strlen(value));
        return;
    }
    strbuf_add(b, "\"");
    for (const char *p = value; *p;) {
        size_t n = strcspn(p, "\"");
        strbuf_add_escaped(b, p, n);
        p += n;
        if (*p == '"') {
            strbuf_add(b, "\\x22");
            p++;
        }
    }
    strbuf_add(b, "\"");
}

static void line_print(struct strbuf *b, const struct record *r)
{
    const struct record_def *def = record_def(r->id);
    add_time(b, clock_wall_us());
    strbuf_printf(b, " %s %u %s ", record_level_name(def->level), (unsigned)def->number, def->name);
    record_sentence(r, b);
    for (unsigned i = 0; i < r->n_fields; i++) {
        strbuf_printf(b, " %s=", r->fields[i].key);
        add_value(b, r->text + r->fields[i].at);
    }
}

static bool record_print(struct log *l, const struct record *r)
{
    char line[LINE_SIZE];
    struct strbuf b;
    strbuf_init(&b, line, sizeof line - 16);
    line_print(&b, r);
    size_t n = b.len;
    if (b.cut) {
        memcpy(line + n, " [cut]", 6);
        n += 6;
    }
    line[n++] = '\n';
    return line_write(l, line, n);
}

/* Says what was lost, once there is room: each reason with its own count, which is forgotten only when it was said. */
static void lost_say(struct log *l)
{
    if (l->lost_write) {
        uint64_t n = l->lost_write;
        struct record r;
        record_init(&r, REC_LOG_LOST);
        record_int(&r, "count", (int64_t)n);
        record_str(&r, "reason", strerror(l->write_error));
        l->lost_write = 0;
        if (!record_print(l, &r)) {
            l->lost_write = n;
            return;
        }
    }
    if (l->lost_rate) {
        uint64_t n = l->lost_rate, failed = l->lost_write;
        struct record r;
        record_init(&r, REC_LOG_LOST);
        record_int(&r, "count", (int64_t)n);
        record_printf(&r, "reason", "more than %d of one kind in a second", RATE_LINES);
        if (record_print(l, &r))
            l->lost_rate = 0;
        else
            l->lost_write = failed;
    }
}

static bool rate_allows(struct log *l, enum record_id id, bool *ret_fresh)
{
    struct rate *rate = &l->rates[id];
    mono_t now = clock_boot();
    *ret_fresh = rate->lines == 0 || mono_reached(mono_add(rate->since, RATE_WINDOW), now);
    if (*ret_fresh) {
        rate->since = now;
        rate->lines = 0;
    }
    if (rate->lines >= RATE_LINES)
        return false;
    rate->lines++;
    return true;
}

void log_write(struct log *l, const struct record *r)
{
    bool fresh;
    if (!l || record_def(r->id)->level < l->level)
        return;
    if (!rate_allows(l, r->id, &fresh)) {
        l->lost_rate++;
        return;
    }
    /* A loss by rate is said when a window begins, not once per line lost. */
    uint64_t held = fresh ? 0 : l->lost_rate;
    l->lost_rate -= held;
    if (l->lost_write || l->lost_rate)
        lost_say(l);
    l->lost_rate += held;
    record_print(l, r);
}

void log_close(struct log *l)
{
    if (!l)
        return;
    if (l->lost_write || l->lost_rate)
        lost_say(l);
    if (l->owned)
        close(l->fd);
    free(l);
}
