/* The life of a started process and of everything that came from it. */
#pragma once

#include "lca/keeper/keeper.h"

void tree_init(struct tree *t, struct app *a, bool is_role);
/* Closes what it holds in this process; the processes stay. */
void tree_deinit(struct tree *t);

/* Starts what the checked packet says. Outcomes go to the agent (tree.tell), also the failures; only a tree in
 * TREE_NONE may be started. */
void tree_start(struct tree *t, const struct keeper_start *packet);
/* Takes a process that somebody else has started, when there is one that the checked packet describes; only a tree in
 * TREE_NONE may look. */
void tree_find(struct tree *t, const struct keeper_start *packet);
/* Whether the checked packet may be started in this tree: 0, or negative errno with the reason in `why`. */
int tree_allows(struct tree *t, const struct keeper_start *packet, struct strbuf *why);
/* Takes over a process found again. 0, or negative errno when it cannot be watched. `pidfd` is owned by the tree
 * afterwards. */
int tree_adopt(struct tree *t, int pidfd);
/* Another of its processes is the main one: its pidfd is the tree's. Negative errno: it cannot be watched, and nothing
 * is changed; `pidfd` is closed then. */
int tree_move(struct tree *t, pid_t pid, uint64_t start_ticks, int pidfd);
/* The main process has ended and its status is `exit`; kills what is left. */
void tree_ended(struct tree *t, const struct tree_exit *exit, mono_t now);
/* Looks whether the main process has ended. True when it had: it has been reaped and tree_ended() called. */
bool tree_check(struct tree *t, mono_t now);
/* `whole`: to every process of the tree, the main one first. */
int tree_signal(struct tree *t, int signal, bool whole);
/* KILL to everything, again and again until nothing is left. */
void tree_kill(struct tree *t, mono_t now);
/* The part of a turn: looks again at trees that are being killed. The next instant to do so. */
mono_t tree_turn(struct tree *t, mono_t now);
/* The end has been seen by the agent. */
void tree_seen(struct tree *t);
