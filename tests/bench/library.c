/* How long lca_is_primary() takes beside the clock that it reads.
 *
 *   bench_library primary ROUNDS    lines "clock NS" and "primary NS", by turns: the mean of one call in each of ROUNDS rounds
 *   bench_library hold COUNT        asks COUNT times and ends: what strace looks at, between two marks on standard error
 *
 * It is its own agent: it lets the library register over a socket of its own, grants it the role, and writes a lease word that lasts. Both are called through a
 * pointer that the compiler cannot see through, as another program would call them. */
#include "lca.h"

#include "common/base/lease_word.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CALLS 200000 /* of one round */
#define START_ID UINT64_C(0x1234)

/* Registered as backup; Role 1: primary, epoch 5.1 (proto/app.proto). */
static const uint8_t registered[] = {0x82, 0x01, 0x02, 0x08, 0x01}, role[] = {0x92, 0x01, 0x08, 0x08, 0x01, 0x10, 0x02, 0x18, 0x05, 0x20, 0x01};

static struct lca *lca;

static void need(int ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void word_write(const char *path)
{
    struct lease_word w = {.end_ns = now_ns() + INT64_C(3600000000000), .term = 5, .n = 1, .start_id = START_ID};
    char text[64];
    struct stat st;
    int boot = open("/proc/sys/kernel/random/boot_id", O_RDONLY), fd = open(path, O_RDWR | O_CREAT, 0600);
    ssize_t n = read(boot, text, sizeof text);
    need(fd >= 0 && n > 0 && boot_id_parse(text, (size_t)n, w.boot_id) && stat("/proc/self/ns/time", &st) == 0 && ftruncate(fd, LEASE_WORD_SIZE) == 0, path);
    w.time_namespace = st.st_ino;
    void *page = mmap(NULL, LEASE_WORD_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    need(page != MAP_FAILED, "mmap");
    lease_word_write(page, &w);
}

/* Until the library gives this event. */
static void await(enum lca_event_type type, struct lca_event *e)
{
    for (int i = 0; i < 1000; i++) {
        lca_process(lca);
        if (lca_next(lca, e) == 1 && e->type == type)
            return;
        poll(NULL, 0, 1);
    }
    need(0, "no answer of the library");
}

static void become_primary(void)
{
    char dir[] = "/tmp/us-bench-XXXXXX", path[80], word[80], packet[8192];
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct lca_event e;
    need(mkdtemp(dir) != NULL, "mkdtemp");
    snprintf(path, sizeof path, "%s/app.sock", dir);
    snprintf(word, sizeof word, "%s/word", dir);
    strcpy(a.sun_path, path);
    int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    need(bind(listener, (struct sockaddr *)&a, sizeof a) == 0 && listen(listener, 1) == 0, path);
    word_write(word);
    setenv("LCA_APPLICATION", "bench", 1);
    setenv("LCA_START_ID", "1234", 1);
    setenv("LCA_SOCKET", path, 1);
    setenv("LCA_LEASE_WORD", word, 1);
    setenv("LCA_ROLE", "backup", 1);
    need(lca_open(&lca) == 0, "lca_open");
    int peer = accept(listener, NULL, NULL);
    need(recv(peer, packet, sizeof packet, 0) > 0 && send(peer, registered, sizeof registered, 0) > 0, "Register");
    await(LCA_EVENT_REGISTERED, &e);
    need(send(peer, role, sizeof role, 0) > 0, "Role");
    await(LCA_EVENT_ROLE, &e);
    need(lca_answer(lca, e.id, LCA_ACCEPT, NULL) == 0 && lca_is_primary(lca, NULL), "not primary");
    unlink(path);
    unlink(word);
    rmdir(dir);
}

static double clock_round(int (*volatile get)(clockid_t, struct timespec *))
{
    struct timespec t;
    int64_t began = now_ns();
    for (int i = 0; i < CALLS; i++)
        get(CLOCK_BOOTTIME, &t);
    return (double)(now_ns() - began) / CALLS;
}

static double primary_round(bool (*volatile is)(struct lca *, struct lca_epoch *))
{
    struct lca_epoch e;
    int64_t began = now_ns();
    unsigned yes = 0;
    for (int i = 0; i < CALLS; i++)
        yes += is(lca, &e);
    need(yes == CALLS, "it said no");
    return (double)(now_ns() - began) / CALLS;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: bench_library primary ROUNDS | hold COUNT\n", stderr);
        return 2;
    }
    become_primary();
    int count = atoi(argv[2]);
    if (strcmp(argv[1], "hold") == 0) {
        (void)!write(2, "begin\n", 6);
        for (int i = 0; i < count; i++)
            need(lca_is_primary(lca, NULL), "it said no");
        (void)!write(2, "end\n", 4);
        return 0;
    }
    for (int i = 0; i < count; i++)
        printf("clock %.3f\nprimary %.3f\n", clock_round(clock_gettime), primary_round(lca_is_primary));
    return 0;
}
