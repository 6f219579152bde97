/* An agent without a core: enough of one to see how the keeper treats its agent.
 *
 * `-f FILE`: what it does is one word in FILE.mode (live, die, refuse, deaf), what `-t` says is one in FILE.check
 * (good, bad). Each start adds "start GENERATION PID" to FILE.agents. */
#include "lca/keeper/message.h"

#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char mode[32];
static const char *file;
static unsigned running;
static char names[64][NAME_SIZE];
static uint64_t ids[64];

static void read_word(const char *suffix, char *out, size_t size)
{
    char path[256];
    snprintf(path, sizeof path, "%s.%s", file, suffix);
    FILE *f = fopen(path, "re");
    if (!f || !fgets(out, (int)size, f))
        out[0] = 0;
    out[strcspn(out, "\n")] = 0;
    if (f)
        fclose(f);
}

static void note(const char *what, unsigned number)
{
    char path[256];
    snprintf(path, sizeof path, "%s.agents", file);
    FILE *f = fopen(path, "ae");
    if (!f)
        exit(3);
    fprintf(f, "%s %u %d\n", what, number, getpid());
    fclose(f);
}

static void say(void *packet, size_t n, uint32_t type, const char *app, uint64_t start_id)
{
    struct keeper_header *h = packet;
    *h = (struct keeper_header){.type = type, .size = (uint32_t)n, .start_id = start_id};
    str_copy(h->app, sizeof h->app, app);
    if (send(KEEPER_AGENT_FD, packet, n, 0) != (ssize_t)n)
        exit(4);
}

/* Takes what a packet says; the exit code that it brings, or -1. */
static int take(const void *packet)
{
    const struct keeper_header *h = packet;
    const struct keeper_record *record = packet;
    struct keeper_ref ref;
    switch (h->type) {
    case KM_WELCOME:
        note("start", ((const struct keeper_welcome *)packet)->generation);
        return -1;
    case KM_RECORD:
        if (record->pid && running < 64) {
            str_copy(names[running], NAME_SIZE, h->app);
            ids[running++] = h->start_id;
        }
        return -1;
    case KM_RESUMED:
        note("resumed", running);
        return -1;
    case KM_STOP_ALL:
        for (unsigned i = 0; i < running; i++)
            say(&ref, sizeof ref, KM_KILL_TREE, names[i], ids[i]);
        return running ? -1 : KEEPER_AGENT_ALL_STOPPED;
    case KM_TREE_GONE:
        return running && --running == 0 ? KEEPER_AGENT_ALL_STOPPED : -1;
    case KM_END:
        note("end", 0);
        return 0;
    default:
        return -1;
    }
}

int main(int argc, char **argv)
{
    static union {
        struct keeper_header align;
        char bytes[KEEPER_PACKET_MAX];
    } in;
    struct keeper_hello hello = {.version = KEEPER_VERSION};
    int code = -1;
    if (argc < 3 || strcmp(argv[1], "-f") != 0)
        return 2;
    file = argv[2];
    if (argc == 4) {
        read_word("check", mode, sizeof mode);
        fprintf(stderr, "this is what the check says\n");
        return strcmp(mode, "bad") == 0;
    }
    read_word("mode", mode, sizeof mode);
    if (strcmp(mode, "die") == 0)
        return note("died", 0), 1;
    if (strcmp(mode, "refuse") == 0)
        return KEEPER_AGENT_REFUSED;
    say(&hello, sizeof hello, KM_HELLO, "", 0);
    while (strcmp(mode, "deaf") == 0) {
        note("deaf", 0);
        pause();
    }
    while (code < 0) {
        struct pollfd p = {.fd = KEEPER_AGENT_FD, .events = POLLIN};
        poll(&p, 1, -1);
        ssize_t n = recv(KEEPER_AGENT_FD, in.bytes, sizeof in.bytes, 0);
        code = n > 0 ? take(in.bytes) : 5;
    }
    return code;
}
