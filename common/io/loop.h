/* The loop: one turn as STYLE section 2 draws it. The only place that reads a clock and the only one that sleeps.
 *
 * A turn: wake, read CLOCK_BOOTTIME once, call the ready watchers, call the program's turn function, sleep until the deadline it returns.
 * Deadlines are an absolute timerfd on CLOCK_BOOTTIME, one for the whole process. SIGCHLD is left alone (libev's default loop would steal exit statuses:
 * this one is not it). SIGPIPE is ignored. */
#pragma once

#include "common/base/time.h"

#include <stdbool.h>

struct loop;

enum loop_ready { LOOP_READ = 1, LOOP_WRITE = 2 };

/* A watched descriptor; embedded in its owner, who keeps it alive and removes it. */
struct loop_io {
    int fd;
    unsigned want; /* LOOP_* */
    void (*fn)(void *arg, unsigned ready, mono_t now);
    void *arg;
    void *watcher; /* of the loop */
};

/* The program's part of a turn: step cores, execute actions, drain links. Returns the nearest deadline. Called once per turn, after the watchers, and once
 * before the first sleep. */
typedef mono_t loop_turn_fn(void *arg, mono_t now);
typedef void loop_signal_fn(void *arg, int signal, mono_t now);

int loop_open(loop_turn_fn *turn, void *arg, struct loop **ret_loop);
void loop_close(struct loop *l);
int loop_add(struct loop *l, struct loop_io *io);
void loop_want(struct loop *l, struct loop_io *io, unsigned want);
void loop_remove(struct loop *l, struct loop_io *io); /* harmless when not added */

/* Blocks `signals` (0-terminated) for the process and delivers them by signalfd. Children must unblock them after fork: loop_child_signals(). */
int loop_signals(struct loop *l, const int *signals, loop_signal_fn *fn, void *arg);
void loop_child_signals(void);

/* The time of this turn. */
mono_t loop_now(const struct loop *l);
/* How late the last wake was against the deadline asked for; 0 when something else woke it. */
span_t loop_lateness(const struct loop *l);
/* Makes another turn follow this one without sleeping. */
void loop_again(struct loop *l);
/* Runs until loop_stop(); returns its code. */
int loop_run(struct loop *l);
void loop_stop(struct loop *l, int code);

/* CLOCK_BOOTTIME for programs without a loop (scsctl) and for what must be measured inside a turn (benches). */
mono_t clock_boot(void);
/* Wall clock in microseconds since 1970: for display and history only, decides nothing. */
int64_t clock_wall_us(void);
