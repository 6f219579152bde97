/* What keeper and agent say to each other: fixed-size structs over one SOCK_SEQPACKET pair, one struct per packet.
 *
 * The keeper trusts nothing in a packet: length, type, counts, NULs and names are checked, and a packet that fails is
 * answered by KM_REFUSED and otherwise ignored. It parses no configuration language from it; texts are NUL-terminated
 * and packed. An application is named in every packet; a start is named by its start id, so that a late packet about a
 * former process touches nothing.
 *
 * Order of a connection: the agent says KM_HELLO; the keeper answers KM_WELCOME, one KM_RECORD per application it knows
 * (running, or ended and not yet seen, or with a stored state only), then KM_RESUMED. From then on both speak as things
 * happen. The keeper keeps an exit record until KM_EXIT_SEEN. An end can be told twice (in KM_RECORD to a restarted
 * agent, or again by a keeper that could not know): the start id tells.
 *
 * The agent is started as `lca-agent -f FILE` with a nearly empty environment and the keeper's own user (root), so that
 * it can read the key, open the log and bind; it then becomes `agent-user`, asks for PR_SET_PDEATHSIG (SIGKILL) again
 * because a change of user clears it, ends if its parent is gone by then, and says KM_HELLO when it listens: the keeper
 * takes that for "ready". SIGTERM or KM_END: it ends with 0. `lca-agent -f FILE -t` checks the configuration with
 * everything it names (certificate, key, user), says every complaint on standard error and ends with 0 or 1: the keeper
 * asks it before it takes over a reloaded file. */
#pragma once

#include "common/base/exec_setup.h"
#include "common/base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define KEEPER_VERSION 4
#define KEEPER_APPS_MAX 1024
#define KEEPER_BLOB_MAX 6144 /* what the agent keeps with an application: opaque to the keeper */
#define KEEPER_TEXT_MAX 8192
#define KEEPER_NOTIFY_MAX 4096
#define KEEPER_PACKET_MAX 16384
#define KEEPER_FENCING_MAX_MS 3600000
#define KEEPER_NOTIFY_QUEUE 64 /* notifications kept per application while no agent takes them; the newest stay */
#define KEEPER_NOTIFY_RATE 200 /* per application and second; more are dropped and counted */
#define KEEPER_BARRIERS 8 /* BARRIER=1 waiting per application; one more is refused */
#define KEEPER_THREADS 64 /* told for one KM_LOOK */
#define KEEPER_REASON 400
#define KEEPER_APP_SOCKET "app.sock" /* in the run directory; the agent's: applications that link liblca connect to it */
#define KEEPER_AGENT_FD 3           /* where the agent finds its end, which does not block */
#define KEEPER_AGENT_ALL_STOPPED 10 /* exit code of an agent that has carried out KM_STOP_ALL */
/* Exit code of an agent that cannot use its configuration (certificate, key, user) and has said why on standard error
 * or in the log; a keeper that never had a ready agent and looks after nothing ends then. An address in use is no such
 * case: it passes. */
#define KEEPER_AGENT_REFUSED 11

enum keeper_message_type {
    /* agent to keeper */
    KM_HELLO = 1,
    KM_START,     /* struct keeper_start: a process, in its own session, group and (where present) cgroup */
    KM_SIGNAL,    /* struct keeper_signal: to the main process */
    KM_KILL_TREE, /* struct keeper_ref: everything of this start; KM_TREE_GONE follows */
    KM_ROLE,      /* struct keeper_start: a role command of this application; at most one at a time */
    KM_KILL_ROLE, /* struct keeper_ref: the role command and its tree; KM_ROLE_ENDED follows */
    KM_STORE, /* struct keeper_blob: the agent's state of this application; survives agent and keeper, not the boot */
    KM_STORE_HOST, /* struct keeper_blob, app "": the agent's state of the host */
    KM_EXIT_SEEN,  /* struct keeper_ref */
    KM_FORGET,     /* struct keeper_ref: no process; drop state and record */
    KM_FENCE,      /* struct keeper_start: the role command to run when this start's lease ends; argc 0: none */
    KM_LEASE,      /* struct keeper_lease: writes the lease word of this start; its end is enforced */
    /* keeper to agent */
    KM_WELCOME,      /* struct keeper_welcome */
    KM_RECORD,       /* struct keeper_record */
    KM_RESUMED,      /* struct keeper_resumed */
    KM_STARTED,      /* struct keeper_started: exec succeeded (also for KM_ROLE) */
    KM_START_FAILED, /* struct keeper_failed: also for KM_ROLE, by its start id */
    KM_EXITED,       /* struct keeper_exit: the main process; what it left is killed, then KM_TREE_GONE */
    KM_TREE_GONE,    /* struct keeper_ref: no process of this start is left */
    KM_ROLE_ENDED,   /* struct keeper_exit */
    KM_FENCED,       /* struct keeper_fenced: a lease ran out and is being enforced */
    KM_NOTIFY,       /* struct keeper_notify */
    KM_REFUSED,      /* struct keeper_failed: a packet that was not understood or not allowed */
    KM_STOP_ALL,     /* struct keeper_ref, app "": stop every application, then end with KEEPER_AGENT_ALL_STOPPED */
    KM_END, /* struct keeper_ref, app "": the keeper ends and leaves applications running; the agent ends too */
    /* agent to keeper, and back */
    KM_PEER = 48, /* struct keeper_peer: does this process belong to this start? */
    KM_PEER_IS,   /* struct keeper_peer_is */
    /* agent to keeper */
    KM_LOOK = 64,   /* struct keeper_ref: read what it has sent, then tell where its threads are */
    KM_NOTIFY_SEEN, /* struct keeper_seen: carried out; what is not seen is told to the next agent too */
    KM_PROBE,       /* struct keeper_start: a command that asks whether it serves; at most one at a time */
    KM_KILL_PROBE,  /* struct keeper_ref: the command and its tree; KM_PROBE_ENDED follows */
    KM_FIND = 80, /* struct keeper_start: take the process that somebody else has started, if there is one: KM_STARTED */
    /* keeper to agent */
    KM_MAIN = 96,   /* struct keeper_started: MAINPID= has named another process of its tree as the main one */
    KM_THREAD,      /* struct keeper_thread: one of its threads */
    KM_LOOKED,      /* struct keeper_looked: ends the answer to KM_LOOK; every notification that came before is told */
    KM_PROBE_ENDED, /* struct keeper_exit */
};

struct keeper_header {
    uint32_t type;
    uint32_t size; /* of the whole packet */
    char app[NAME_SIZE];
    uint64_t start_id; /* 0: none */
};

struct keeper_hello {
    struct keeper_header h;
    uint32_t version;
};

/* Texts behind each other, each with its NUL: argv (argc of them, at least one; the first is an absolute path),
 * environment (envc, NAME=value), then working directory
 * ("": /), user ("": default-user), output file ("": /dev/null; "journal"), and where `more` is 1 group ("": the user's),
 * supplementary groups (words with single blanks), environment file ("": none), pid file ("": none); without them
 * `setup` is not looked at. KM_START is refused (EBUSY) while anything of a former start is left. With `find` a process
 * that runs already and is allowed is taken instead of starting another one: KM_STARTED says so. */
enum keeper_find { KEEPER_BY_PID_FILE = 1, KEEPER_BY_COMMAND = 2 };
struct keeper_start {
    struct keeper_header h;
    uint16_t argc, envc;
    uint8_t notify; /* bind a notify socket and put NOTIFY_SOCKET into the environment (KM_START only) */
    uint8_t lease;  /* a lease word, and LCA_LEASE_WORD in this environment and that of its commands (KM_START only) */
    uint8_t more;
    uint8_t kill_signal; /* sent at a lease's end; 0: TERM (KM_START only) */
    uint8_t find;        /* bits: enum keeper_find (KM_START, KM_FIND) */
    uint8_t zero[3];
    uint32_t text_len;
    struct exec_setup setup;
    char text[KEEPER_TEXT_MAX]; /* only `text_len` bytes are sent */
};

struct keeper_signal {
    struct keeper_header h;
    int32_t signal; /* TERM, HUP, INT, QUIT, USR1, USR2, WINCH, CONT, ABRT, KILL; others are refused */
    uint32_t whole; /* 1: to every process of its tree */
};

struct keeper_ref {
    struct keeper_header h;
};

/* SAFETY section 5. At `end_boot_ns` the keeper runs the command of KM_FENCE and sends SIGTERM together; `fencing_ms`
 * later the whole process tree is killed, unless it is gone. It does so from its own clock, whatever becomes of the
 * agent: a keeper that wakes late enforces an end that has passed before it reads another packet. An extension has a
 * later end and the same epoch. end 0: the lease is over and the application is not primary (released, demoted): the
 * word is cleared and nothing is enforced. */
struct keeper_lease {
    struct keeper_header h;
    int64_t end_boot_ns;
    uint64_t term, n; /* epoch */
    uint32_t fencing_ms;
    uint8_t zero[4];
};

struct keeper_fenced {
    struct keeper_header h;
    int64_t end_boot_ns; /* of the lease */
    int64_t at_boot_ns;  /* when it was enforced */
};

struct keeper_blob {
    struct keeper_header h;
    uint32_t length;
    uint8_t data[KEEPER_BLOB_MAX]; /* only `length` bytes are sent */
};

struct keeper_welcome {
    struct keeper_header h;
    uint32_t version;
    uint32_t generation;  /* which agent of this keeper this is: 1, 2, … */
    uint64_t incarnation; /* fresh per keeper start */
    uint8_t boot_id[16];
    uint32_t blob_len;
    uint8_t blob[KEEPER_BLOB_MAX]; /* of KM_STORE_HOST; only `blob_len` bytes are sent */
};

enum keeper_how { KEEPER_EXITED = 1, KEEPER_SIGNALLED, KEEPER_ADOPTED };

struct keeper_exit {
    struct keeper_header h;
    uint32_t how; /* enum keeper_how; ADOPTED: its status could not be had */
    int32_t code, signal;
    uint8_t core, oom, zero[2]; /* oom: the kernel killed it for memory */
    int64_t at_boot_ns; /* CLOCK_BOOTTIME when it was seen */
};

struct keeper_record {
    struct keeper_header h; /* start_id of the last start */
    uint32_t pid;           /* 0: no main process */
    uint8_t adopted;        /* not a child of this keeper */
    uint8_t has_exit;       /* `exit` waits for KM_EXIT_SEEN */
    uint8_t tree_left;      /* processes of the start are still being killed */
    uint8_t role_running;
    uint8_t ready;          /* the live process has said READY=1 since its start */
    uint8_t fenced;         /* its lease ran out and is being enforced */
    uint8_t found;          /* somebody else has started it */
    uint8_t zero;
    int64_t lease_end_ns;   /* of the lease word; 0: none */
    uint64_t lease_term, lease_n;
    struct keeper_exit exit;
    uint32_t blob_len;
    uint8_t blob[KEEPER_BLOB_MAX]; /* only `blob_len` bytes are sent */
};

struct keeper_resumed {
    struct keeper_header h;
    uint32_t records;
};

struct keeper_started {
    struct keeper_header h;
    uint32_t pid;
    uint32_t found; /* 1: it ran already and somebody else has started it */
};

struct keeper_failed {
    struct keeper_header h;
    int32_t error; /* errno; EPERM: not allowed by this host's configuration, `reason` names the missing line */
    char reason[KEEPER_REASON];
};

/* Whoever is at the other end of a connection, by the kernel's word (SO_PEERCRED). `token` comes back with the answer. */
struct keeper_peer {
    struct keeper_header h;
    uint64_t token;
    uint32_t pid, uid;
};

struct keeper_peer_is {
    struct keeper_header h;
    uint64_t token;
    uint32_t ours; /* 1: a process of this start, run by its user */
    char reason[KEEPER_REASON]; /* of a no */
};

/* `seq` counts per application. */
struct keeper_notify {
    struct keeper_header h;
    uint64_t seq;
    uint32_t pid, uid; /* of the sender, by the kernel */
    uint32_t length;
    char data[KEEPER_NOTIFY_MAX]; /* only `length` bytes are sent */
};

/* Everything up to `seq` has been carried out: its barriers are lifted. */
struct keeper_seen {
    struct keeper_header h;
    uint64_t seq;
};

/* Texts end with a NUL; "": not to be had. */
struct keeper_thread {
    struct keeper_header h;
    uint32_t pid, tid;
    int64_t call; /* number of the system call it is in; -1: none, or not to be had */
    char state;   /* as /proc/PID/stat has it */
    char zero[7];
    char name[32], place[64], stack[240]; /* comm, wchan, functions of the kernel from the innermost */
};

struct keeper_looked {
    struct keeper_header h;
    uint32_t seen, told; /* threads */
    char reason[64];     /* why not all of them were told; "" */
};
