/* The rig of the link tests: runs the loop, remembers events. */
#include "rig.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#define GIVE_UP SPAN_S(30)

static void remember(struct rig *r, enum rig_side side, const struct link_event *e)
{
    assert_true(r->n_seen < SEEN_MAX);
    struct seen *s = &r->seen[r->n_seen++];
    *s = (struct seen){.side = side, .type = e->type, .down = e->down, .link = e->link, .length = e->length};
    if (e->type == LINK_MESSAGE)
        str_copy_bytes(s->text, sizeof s->text, e->payload,
                       e->length < sizeof s->text - 1 ? e->length : sizeof s->text - 1);
    else if (e->reason)
        str_copy(s->text, sizeof s->text, e->reason);
    str_copy(s->source, sizeof s->source, link_source(e->link));
}

static void drain(struct rig *r, enum rig_side side, mono_t now)
{
    struct link_event e;
    for (links_next(r->sets[side], now, &e); e.type != LINK_NONE; links_next(r->sets[side], now, &e)) {
        if (e.type == LINK_MESSAGE) {
            r->bytes[side] += e.length;
            r->messages[side]++;
            if (r->echo && side == SERVER)
                assert_int_equal(link_send(e.link, e.payload, e.length), 0);
            if (e.length > 1000)
                continue;
        }
        remember(r, side, &e);
    }
}

static mono_t rig_turn(void *arg, mono_t now)
{
    struct rig *r = arg;
    drain(r, SERVER, now);
    drain(r, CLIENT, now);
    if (r->each_turn)
        r->each_turn(r);
    mono_t next = mono_min(links_turn(r->sets[SERVER], now), links_turn(r->sets[CLIENT], now));
    if (r->done && r->done(r))
        loop_stop(r->loop, 0);
    if (mono_reached(r->give_up, now)) {
        r->gave_up = true;
        loop_stop(r->loop, 1);
    }
    return mono_min(next, r->give_up);
}

void rig_open(struct rig *r, const struct links_limits *limits)
{
    memset(r, 0, sizeof *r);
    assert_int_equal(loop_open(rig_turn, r, &r->loop), 0);
    assert_int_equal(links_open(r->loop, limits, &r->sets[SERVER]), 0);
    assert_int_equal(links_open(r->loop, NULL, &r->sets[CLIENT]), 0);
}

void rig_close(struct rig *r)
{
    links_close(r->sets[CLIENT]);
    links_close(r->sets[SERVER]);
    loop_close(r->loop);
}

static void print_seen(const struct rig *r)
{
    for (unsigned i = 0; i < r->n_seen; i++)
        fprintf(stderr, "seen %u: %s type %d down %s '%.100s'\n", i, r->seen[i].side == SERVER ? "server" : "client",
                (int)r->seen[i].type, link_down_name(r->seen[i].down), r->seen[i].text);
}

void rig_run(struct rig *r, bool (*done)(struct rig *r))
{
    r->done = done;
    r->give_up = mono_add(clock_boot(), GIVE_UP);
    r->gave_up = false;
    loop_run(r->loop);
    if (r->gave_up) {
        print_seen(r);
        fail_msg("the condition was not met within 30 s");
    }
}

static enum rig_side until_side;
static enum link_event_type until_type;

static bool until_done(struct rig *r)
{
    return rig_count(r, until_side, until_type) >= r->wanted;
}

void rig_until(struct rig *r, enum rig_side side, enum link_event_type type, unsigned n)
{
    until_side = side;
    until_type = type;
    r->wanted = n;
    rig_run(r, until_done);
}

void rig_idle(struct rig *r, span_t d)
{
    r->done = NULL;
    r->give_up = mono_add(clock_boot(), d);
    loop_run(r->loop);
    r->gave_up = false;
}

unsigned rig_count(const struct rig *r, enum rig_side side, enum link_event_type type)
{
    unsigned n = 0;
    for (unsigned i = 0; i < r->n_seen; i++)
        n += r->seen[i].side == side && r->seen[i].type == type;
    return n;
}

const struct seen *rig_seen(const struct rig *r, enum rig_side side, enum link_event_type type, unsigned nth)
{
    for (unsigned i = 0; i < r->n_seen; i++)
        if (r->seen[i].side == side && r->seen[i].type == type && nth-- == 0)
            return &r->seen[i];
    return NULL;
}

struct session_config rig_caller(void)
{
    return (struct session_config){
        .self = {"test", ROLE_SCS, "s1"}, .caller = true, .expect = {"test", ROLE_LCA, "h1"}, .software = "rig 1"};
}

struct session_config rig_acceptor(void)
{
    return (struct session_config){.self = {"test", ROLE_LCA, "h1"},
                                   .expect = {"test", ROLE_NONE, ""},
                                   .accept_roles = 1u << ROLE_SCS,
                                   .software = "rig 2"};
}

uint16_t rig_listen(struct rig *r, struct tls_context *tls)
{
    struct session_config config = rig_acceptor();
    assert_int_equal(links_listen(r->sets[SERVER], "127.0.0.1", 0, 0, &config, tls, &r->listener), 0);
    uint16_t port = listener_port(r->listener);
    assert_int_not_equal(port, 0);
    return port;
}

struct link *rig_dial(struct rig *r, uint16_t port, struct tls_context *tls)
{
    struct session_config config = rig_caller();
    struct link *l;
    assert_int_equal(links_dial(r->sets[CLIENT], "127.0.0.1", port, &config, tls, SPAN_S(10), NULL, &l), 0);
    return l;
}

int raw_connect(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval timeout = {.tv_sec = 20};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

char *temp_dir(void)
{
    char *dir = strdup("/tmp/understudy-test-XXXXXX");
    assert_non_null(dir);
    assert_non_null(mkdtemp(dir));
    return dir;
}

void temp_rmdir(char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    while (d && (e = readdir(d)))
        if (e->d_name[0] != '.')
            unlink(temp_path(dir, e->d_name));
    if (d)
        closedir(d);
    rmdir(dir);
    free(dir);
}

char *temp_disk(const char *options)
{
    char *dir = temp_dir();
    if (mount("tmpfs", dir, "tmpfs", 0, options) == 0)
        return dir;
    temp_rmdir(dir);
    return NULL;
}

void temp_disk_remove(char *dir)
{
    umount2(dir, MNT_DETACH);
    temp_rmdir(dir);
}

char *case_dir;

int case_dir_make(void **state)
{
    case_dir = temp_dir();
    return 0;
}

int case_dir_remove(void **state)
{
    temp_rmdir(case_dir);
    return 0;
}

const char *temp_path(const char *dir, const char *name)
{
    static char paths[8][512];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

unsigned open_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    unsigned n = 0;
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}
