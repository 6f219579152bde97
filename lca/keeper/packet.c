/* The one reader of the agent's packets.
 *
 * It owns the shape of every request: exact length, known type, a proper name, a start id where one is meant, counted
 * and terminated texts. It refuses to know whether a request makes sense at present (request.c). Invariant: after NULL
 * every text of the packet ends with a NUL inside it. */
#include "lca/keeper/packet.h"

#include <signal.h>
#include <string.h>

static const char *check_size(size_t n, size_t expected)
{
    return n == expected ? NULL : "its length is not that of its type";
}

/* Exactly `count` texts, each with its NUL, fill the room. */
static bool texts_fill(const char *text, size_t room, size_t count)
{
    while (count > 0 && room > 0) {
        const char *end = memchr(text, 0, room);
        if (!end)
            return false;
        room -= (size_t)(end + 1 - text);
        text = end + 1;
        count--;
    }
    return count == 0 && room == 0;
}

static bool environment_is_sound(const char *text, unsigned count)
{
    static const char *const ours[] = {"LCA_START_ID=", "NOTIFY_SOCKET=", "LCA_LEASE_WORD=", "LCA_SOCKET=",
                                       "WATCHDOG_PID="};
    for (; count > 0; count--, text += strlen(text) + 1) {
        const char *equals = strchr(text, '=');
        if (!equals || equals == text)
            return false;
        for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
            if (strncmp(text, ours[i], strlen(ours[i])) == 0)
                return false;
    }
    return true;
}

static bool signal_is_allowed(int signal)
{
    static const int allowed[] = {SIGTERM, SIGHUP,   SIGINT,  SIGQUIT, SIGUSR1,
                                  SIGUSR2, SIGWINCH, SIGCONT, SIGABRT, SIGKILL};
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
        if (signal == allowed[i])
            return true;
    return false;
}

static const char *check_setup(const struct keeper_start *p)
{
    static char text[160];
    struct strbuf why;
    strbuf_init(&why, text, sizeof text);
    if (p->kill_signal && !signal_is_allowed(p->kill_signal))
        return "its stop signal is not one that may be sent";
    return exec_setup_check(&p->setup, &why) ? NULL : text;
}

static const char *check_start(const struct keeper_start *p, size_t n)
{
    if (n < offsetof(struct keeper_start, text) || p->text_len > KEEPER_TEXT_MAX)
        return "its length is not that of its type";
    if (n != offsetof(struct keeper_start, text) + p->text_len)
        return "its length is not that of its text";
    if ((p->argc == 0 && p->h.type != KM_FENCE) || p->argc + p->envc > KEEPER_WORDS_MAX)
        return "it has no argument, or too many arguments and variables";
    if (p->more > 1 || p->find > (KEEPER_BY_PID_FILE | KEEPER_BY_COMMAND) || (p->find && !p->more))
        return "its flags are not what they can be";
    if (!texts_fill(p->text, p->text_len, (size_t)p->argc + p->envc + (p->more ? 7 : 3)))
        return "its texts are not as many as it says";
    const char *why = p->more ? check_setup(p) : NULL;
    if (why)
        return why;
    const char *environment = p->text;
    for (unsigned i = 0; i < p->argc; i++)
        environment += strlen(environment) + 1;
    return environment_is_sound(environment, p->envc)
               ? NULL
               : "its environment has an entry that is not NAME=value, or one that the keeper sets";
}

static const char *check_signal(const struct keeper_signal *p, size_t n)
{
    if (n != sizeof *p)
        return "its length is not that of its type";
    if (p->whole > 1)
        return "its flags are not what they can be";
    return signal_is_allowed(p->signal) ? NULL : "its signal is not one that may be sent";
}

static const char *check_lease(const struct keeper_lease *p, size_t n)
{
    if (n != sizeof *p)
        return "its length is not that of its type";
    return p->end_boot_ns < 0 || p->fencing_ms > KEEPER_FENCING_MAX_MS ? "its end or its fencing time is out of range"
                                                                       : NULL;
}

static const char *check_blob(const struct keeper_blob *p, size_t n)
{
    if (n < offsetof(struct keeper_blob, data) || p->length > KEEPER_BLOB_MAX)
        return "its length is not that of its type";
    return check_size(n, offsetof(struct keeper_blob, data) + p->length);
}

static const char *check_name(const struct keeper_header *h, bool host, bool start)
{
    const char *end = memchr(h->app, 0, sizeof h->app);
    if (!end || (host ? end != h->app : !str_is_name(h->app, (size_t)(end - h->app))))
        return "its application has no proper name";
    return start && h->start_id == 0 ? "it has no start id" : NULL;
}

static const char *check_body(const void *bytes, size_t n, uint32_t type)
{
    switch (type) {
    case KM_HELLO:
        return check_size(n, sizeof(struct keeper_hello));
    case KM_START:
    case KM_ROLE:
    case KM_PROBE:
    case KM_FENCE:
    case KM_FIND:
        return check_start(bytes, n);
    case KM_SIGNAL:
        return check_signal(bytes, n);
    case KM_KILL_TREE:
    case KM_KILL_ROLE:
    case KM_KILL_PROBE:
    case KM_LOOK:
    case KM_EXIT_SEEN:
    case KM_FORGET:
        return check_size(n, sizeof(struct keeper_ref));
    case KM_NOTIFY_SEEN:
        return check_size(n, sizeof(struct keeper_seen));
    case KM_LEASE:
        return check_lease(bytes, n);
    case KM_PEER:
        return check_size(n, sizeof(struct keeper_peer));
    case KM_STORE:
    case KM_STORE_HOST:
        return check_blob(bytes, n);
    default: /* any number may come */
        return "its type is unknown";
    }
}

const char *packet_check(const void *bytes, size_t n)
{
    const struct keeper_header *h = bytes;
    if (n < sizeof *h || h->size != n)
        return "its length is not the one it says";
    const char *why = check_body(bytes, n, h->type);
    if (why)
        return why;
    bool host = h->type == KM_HELLO || h->type == KM_STORE_HOST;
    bool start = !host && h->type != KM_STORE && h->type != KM_FORGET && h->type != KM_NOTIFY_SEEN;
    return check_name(h, host, start);
}
