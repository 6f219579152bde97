/* One cgroup (v2) per start: it holds everything a process forks, whatever that does about sessions and environment. */
#pragma once

#include "lca/keeper/keeper.h"

/* Finds the keeper's own cgroup and whether children can be made there; `cgroups.usable` says. */
void cgroups_open(struct keeper *k);
void cgroups_close(struct keeper *k); /* the prepared one is removed */
/* Makes the next start's cgroup unless it is there. */
void cgroups_prepare(struct keeper *k);
/* The prepared cgroup, made at once when none is: its path (owned by the caller) and a descriptor for clone. NULL:
 * start without. */
char *cgroups_take(struct keeper *k, int *ret_fd);
/* Removes an empty one later: at once would keep the next start waiting. Takes `path` (malloc'ed). */
void cgroups_discard(struct keeper *k, char *path);
/* The part of a turn: removes what was discarded. The next instant. */
mono_t cgroups_turn(struct keeper *k, mono_t now);
/* Removes what earlier keepers of this run directory left: empty ones, and after killing them those that no application
 * of ours owns. */
void cgroups_sweep(struct keeper *k);

/* Whether a process lives in it or below. False when it does not exist. */
bool cgroup_is_populated(const char *path);
/* Kills everything in it. Nothing may be started in it afterwards. */
int cgroup_kill(const char *path);
/* Puts the limits of `s` into it. 0; 1 when some or all are not in effect: which and why in `why`. `path` NULL: the start
 * has none. */
int cgroup_limit(struct keeper *k, const char *path, const struct exec_setup *s, struct strbuf *why);
/* The same for one cgroup whose files are there. */
int cgroup_write_limits(const char *path, const struct exec_setup *s, struct strbuf *why);
/* How many of its processes the kernel has killed for memory; 0 where it does not say. */
unsigned cgroup_oom_kills(const char *path);
/* Whether this process is in it or below. */
bool cgroup_has(const char *path, pid_t pid);
/* Up to `max` of the processes directly in it; how many. */
int cgroup_list(const char *path, pid_t *out, int max);
/* Number of processes directly in it, for the log. */
unsigned cgroup_count(const char *path);
/* Removes it and what the application made below it. */
int cgroup_remove(const char *path);
