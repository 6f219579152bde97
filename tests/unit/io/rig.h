/* A loop with two sets of links in one process: SERVER listens, CLIENT calls. Every event is remembered; a run ends
 * when a condition holds or fails the test after half a minute. */
#pragma once

#include "common/io/link.h"

#include <stdbool.h>

enum rig_side { SERVER, CLIENT };

struct seen {
    enum rig_side side;
    enum link_event_type type;
    enum link_down down;
    struct link *link;
    size_t length;
    char text[256]; /* of the payload or the reason */
    char source[80];
};

#define SEEN_MAX 4096

struct rig {
    struct loop *loop;
    struct links *sets[2];
    struct listener *listener;
    struct seen seen[SEEN_MAX];
    unsigned n_seen;
    uint64_t bytes[2], messages[2]; /* received by each side */
    bool echo;                      /* the server sends each message back */
    bool (*done)(struct rig *r);
    void (*each_turn)(struct rig *r);
    mono_t give_up;
    bool gave_up;
    unsigned wanted;
    void *arg;
};

void rig_open(struct rig *r, const struct links_limits *limits);
void rig_close(struct rig *r);
/* Runs until `done`; fails the test when it never is. */
void rig_run(struct rig *r, bool (*done)(struct rig *r));
/* The same with the condition "n events of this type on this side were seen". */
void rig_until(struct rig *r, enum rig_side side, enum link_event_type type, unsigned n);
/* Runs for so long, whatever happens. */
void rig_idle(struct rig *r, span_t d);

unsigned rig_count(const struct rig *r, enum rig_side side, enum link_event_type type);
/* The nth (from 0) such event; NULL: not so many. */
const struct seen *rig_seen(const struct rig *r, enum rig_side side, enum link_event_type type, unsigned nth);

/* Sessions of "scs s1" calling "lca h1" at site "test". */
struct session_config rig_caller(void);
struct session_config rig_acceptor(void);
/* Listens on 127.0.0.1, a free port, which is returned. */
uint16_t rig_listen(struct rig *r, struct tls_context *tls);
struct link *rig_dial(struct rig *r, uint16_t port, struct tls_context *tls);

/* A plain blocking socket connected to 127.0.0.1:port, with a receive timeout of 20 s. */
int raw_connect(uint16_t port);
/* A temporary directory, removed by temp_rmdir(). */
char *temp_dir(void);
void temp_rmdir(char *dir);
/* The same with a tmpfs of its own on it, mounted with these options; NULL: that may not be done here. */
char *temp_disk(const char *options);
void temp_disk_remove(char *dir);
/* A test that has a temporary directory: case_dir. */
extern char *case_dir;
int case_dir_make(void **state);
int case_dir_remove(void **state);
#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, case_dir_make, case_dir_remove)
/* "dir/name" in a static buffer of eight. */
const char *temp_path(const char *dir, const char *name);
unsigned open_descriptors(void);
