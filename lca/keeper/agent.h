/* The agent as the keeper sees it: a child that is started again whenever it ends, and a socket on which it is told
 * everything. */
#pragma once

#include "lca/keeper/keeper.h"

/* Starts it, or takes the descriptor of one that is there (`fd` ≥ 0). A start that fails is tried again in
 * agent_turn(). */
int agent_open(struct keeper *k, const char *program, int fd);
void agent_close(struct keeper *k);
/* Starts it again when that is due, ends one that does not obey. The next instant to look. */
mono_t agent_turn(struct keeper *k, mono_t now);
/* KM_HELLO came: everything is told from the beginning. */
void agent_resume(struct keeper *k);
/* Sends what there is to tell until the socket is full. */
void agent_flush(struct keeper *k);
/* KM_REFUSED or KM_START_FAILED about a packet (`h` NULL: about none in particular), at once; lost when the socket is
 * full. */
void agent_refuse(struct keeper *k, uint32_t type, const struct keeper_header *h, int error, const char *why);
/* The same for an answer to KM_PEER. */
void agent_answer(struct keeper *k, const struct keeper_peer_is *answer);
/* True when the child `pid` was the agent; it is reaped and due to be started again. */
bool agent_check(struct keeper *k, pid_t pid, mono_t now);
/* Starts the agent's program to check the configuration (`-t`), its output into `output_fd`. The pid, or negative
 * errno; the pidfd is the caller's. */
pid_t agent_spawn_check(struct keeper *k, int output_fd, int *ret_pidfd);
/* SIGTERM; SIGKILL if it is still there after two seconds. */
void agent_end(struct keeper *k, mono_t now);
