/* The register of arbiter = etcd: one key of an existing cluster, read and compared-and-swapped (SAFETY section 2).
 *
 * One question at a time; its answer is pulled and comes once, in time: a question that takes longer than the patience is given up, a swap then with SWAP_UNKNOWN.
 * Where the question before had no answer a second is allowed, for connecting and logging in.
 * register_none.c is built in its place where libcurl or jansson is missing: register_open() says so. */
#pragma once

#include "common/io/loop.h"
#include "scs/core/core.h"

struct etcd_register;

/* Reads the password, checks the endpoints, asks nobody. 0, or negative with the reason in `why`. `patience` is below a refresh of the authority. */
int register_open(struct loop *loop, const struct scs_options *options, span_t patience, struct strbuf *why, struct etcd_register **ret_register);
void register_close(struct etcd_register *r);
void register_set_patience(struct etcd_register *r, span_t patience);

void register_read(struct etcd_register *r, mono_t now);
/* Writes `value` if the key is still at `revision` (0: absent). */
void register_swap(struct etcd_register *r, int64_t revision, const struct authority_register *value, mono_t now);

/* What time brings; the next instant. */
mono_t register_turn(struct etcd_register *r, mono_t now);
/* True: the answer, as the core's event. */
bool register_next(struct etcd_register *r, struct scs_event *ret_event);

/* Why the last question had no answer; "": it had one. And who was asked, as configured. */
const char *register_trouble(const struct etcd_register *r);
const char *register_endpoint(const struct etcd_register *r);
