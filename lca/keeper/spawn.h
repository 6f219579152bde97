/* Starting one process: clone3 into its cgroup, its own session, its user, exec without a shell. */
#pragma once

#include "lca/keeper/exec.h"
#include "lca/keeper/keeper.h"
#include "lca/keeper/user.h"

struct spawn {
    const char *path; /* executed */
    char *const *argv, *const *envp;
    char *own_pid;           /* where the child writes its pid, behind "NAME=" in envp; 12 bytes; NULL: nowhere */
    const char *directory;   /* NULL: stays */
    const char *output;      /* for standard output and error, appended; "": /dev/null; "journal"; NULL: the keeper's own */
    const char *identifier;  /* in the journal */
    const struct user *user; /* NULL: the keeper's own */
    const struct exec_setup *setup; /* with `user` only; NULL: nothing is set up */
    struct exec_base base;
    gid_t gid; /* this one and `groups` are in effect, instead of the user's own */
    gid_t groups[EXEC_GROUPS];
    int n_groups;
    const char *environment_file; /* "" or NULL: none */
    struct exec_room *room;       /* with an environment file */
    bool dies_with_keeper;   /* PR_SET_PDEATHSIG */
    int cgroup_fd;           /* -1: the keeper's */
    int input_fd;            /* becomes standard input; 0: /dev/null */
    int output_fd;           /* becomes standard output and error; -1: as `output` says */
    int give_fd;             /* becomes KEEPER_AGENT_FD; -1: none */
    struct rlimit files, memlock;
    bool waits; /* the keeper may wait for the exec: quicker, but only where no file is on another machine */
};

/* Why a child could not become its program: "working directory /x: No such file or directory". */
struct spawn_error {
    int error; /* errno */
    char text[KEEPER_REASON];
};

/* The child's pid; its pidfd, and the pipe on which spawn_result() reads how exec went. Waits for it only where asked
 * to. Negative errno: no child. */
pid_t spawn_process(const struct spawn *s, int *ret_pidfd, int *ret_exec_fd);
/* 0: exec succeeded (or the child was killed before it); 1: not known yet; -1: it failed and the child ends, see
 * `ret_error`. */
int spawn_result(int exec_fd, struct spawn_error *ret_error);
