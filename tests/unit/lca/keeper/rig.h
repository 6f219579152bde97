/* A keeper in a process of its own, and the test in the agent's place. */
#pragma once

#include "lca/keeper/keeper.h"
#include "lca/keeper/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

union rig_packet {
    struct keeper_header h;
    struct keeper_welcome welcome;
    struct keeper_record record;
    struct keeper_resumed resumed;
    struct keeper_started started;
    struct keeper_failed failed;
    struct keeper_exit exit;
    struct keeper_notify notify;
    struct keeper_fenced fenced;
    struct keeper_thread thread;
    struct keeper_looked looked;
    uint8_t bytes[KEEPER_PACKET_MAX];
};

struct rig {
    const char *more; /* lines of the configuration beside the rig's own; NULL: none */
    char dir[64], run[128], config[96], log[96], out[96];
    bool no_cgroups;
    unsigned files; /* limit of descriptors for the keeper; 0: the test's own */
    pid_t keeper;
    int fd;
    uint64_t ids;        /* upper half of every start id: tests that run beside this one have other ones */
    union rig_packet in; /* the last one received */
};

/* One test's rig: a temporary directory and a configuration that allows /bin/sh, /usr/bin/env and root, nobody, the
 * present user. */
int rig_setup(void **state);
int rig_setup_without_cgroups(void **state);
/* Kills the keeper and whatever it started. */
int rig_teardown(void **state);
#define RIG_TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
#define RIG_TEST_PLAIN(f)                                                                       \
    (struct CMUnitTest)                                                                         \
    {                                                                                           \
        .name = #f " without cgroups", .test_func = f, .setup_func = rig_setup_without_cgroups, \
        .teardown_func = rig_teardown                                                           \
    }

void rig_write_config(struct rig *r, const char *allow_users, const char *allow_commands);
/* Starts a keeper on the directory; the test is its agent. */
void rig_start(struct rig *r);
/* Starts a keeper that starts this program as its agent. */
void rig_start_with(struct rig *r, const char *agent_program);
/* HELLO … WELCOME. */
void rig_hello(struct rig *r);
/* HELLO … RESUMED, where no or uninteresting records come. The number of records. */
unsigned rig_resume(struct rig *r);
/* rig_start() and rig_resume(), in a directory without records. */
void rig_begin(struct rig *r);
void rig_kill_keeper(struct rig *r, int signal);

void rig_send(struct rig *r, void *packet, size_t n, uint32_t type, const char *app, uint64_t start_id);
void rig_ref(struct rig *r, uint32_t type, const char *app, uint64_t start_id);
void rig_blob(struct rig *r, uint32_t type, const char *app, const char *text);
void rig_signal(struct rig *r, const char *app, uint64_t start_id, int signal);

struct rig_command {
    const char *argv[8], *env[8];
    const char *directory, *user, *output;
    bool notify, lease;
};
void rig_command(struct rig *r, uint32_t type, const char *app, uint64_t start_id, const struct rig_command *c);
/* sh -c SCRIPT as the test's own user, output to r->out. */
void rig_sh(struct rig *r, const char *app, uint64_t start_id, const char *script);

/* The same with a lease word, in LCA_LEASE_WORD. */
void rig_sh_leased(struct rig *r, const char *app, uint64_t start_id, const char *script);
/* KM_LEASE: ends in `ms` from the present (0: over), of this epoch. The end. */
mono_t rig_lease(struct rig *r, const char *app, uint64_t start_id, int64_t ms, uint64_t term, uint64_t n,
                 uint32_t fencing_ms);
/* KM_FENCE: sh -c SCRIPT; NULL: none. */
void rig_fence(struct rig *r, const char *app, uint64_t start_id, const char *script);

/* KM_NOTIFY_SEEN. */
void rig_seen(struct rig *r, const char *app, uint64_t seq);

/* The next packet, which has to be this one. */
void rig_expect(struct rig *r, uint32_t type, const char *app, uint64_t start_id);
/* rig_expect(KM_STARTED); its pid. */
pid_t rig_expect_started(struct rig *r, const char *app, uint64_t start_id);
/* EXITED, TREE_GONE. */
void rig_expect_end(struct rig *r, const char *app, uint64_t start_id);
/* True when nothing comes within the time. */
bool rig_is_quiet(struct rig *r, int ms);

/* Waits (long) until the file has text that contains `wanted`. */
void rig_wait_text(const char *path, const char *wanted);
/* Waits (long) until the process is gone; zombies count as gone, and our own are reaped. */
void rig_wait_gone(pid_t pid);
bool rig_is_alive(pid_t pid);
/* The number written into a file by a script, once it is there. */
pid_t rig_read_pid(struct rig *r, const char *name);
const char *rig_path(const struct rig *r, const char *name); /* dir/name; a few may be used at a time */
