/* What the test applications have in common: they talk sd_notify, do what they are told over a socket, and write down what happened to them.
 *
 * player_run() is an application that lca supervises, player_role() its role command. Record lines: CLOCK_BOOTTIME in ns, what (start, ready, role, stop),
 * pid, role, epoch, reason. Appended with one write each, so that lines of several processes never mix.
 *
 * A mode file (DIR/NAME.mode) is words: never-ready, ready-after=MS, exit=N, ignore-term, no-watchdog. A role file (DIR/NAME.role) is one word: decline, fail,
 * hang, slow. Commands on the socket DIR/NAME.ctl, one line each, answered by one line: notify TEXT ('|' is a newline), watchdog on|off, exit N, raise N,
 * ignore-term, child, grandchild (answers the pid), env NAME, say TEXT, and role ROLE EPOCH where the application wants to be told. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLAYER_DECLINED 75

struct player {
    const char *name, *dir;
    /* Told by the application's own role command; it has taken effect when this returns. NULL: nobody is told. */
    void (*told)(bool primary, uint64_t term, uint64_t n);
    /* Called once at the end, before the record says stop. NULL: nothing to do. */
    void (*ending)(void);
};

/* Name and directory from LCA_APPLICATION and `dir`. False: there is no name. */
bool player_init(struct player *p, const char *dir);

int64_t player_boot_ns(void);

/* DIR/NAME.suffix into out; ends the process with 2 when it is too long. */
void player_path(const struct player *p, char *out, size_t size, const char *suffix);

/* Whether the mode file has the word. */
bool player_mode(const struct player *p, const char *word);

/* The application until it is stopped; its exit status. */
int player_run(const struct player *p);

/* The role command; its exit status. With `tell` the running application is told, and must have said ok. */
int player_role(const struct player *p, bool tell);
