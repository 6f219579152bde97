/* The world of a transcript: the core under test, what its keeper would remember, and where lines are written. Of the
 * scenario runner only. */
#pragma once

#include "common/base/option.h"
#include "lca/core/app_wire.h"
#include "lca/core/core_state.h"
#include "lca/core/wire.h"
#include "proto/agent.pb-c.h"

#include <stdio.h>

#define APPS 16
#define LINE 1024
#define INCARNATION 0x1ca

struct model_app {
    char name[NAME_SIZE];
    uint64_t start_id, role_id, probe_id, told_id; /* told: the newest role or command over its connection */
    uint8_t blob[6144];
    size_t blob_len;
    bool defined;
    char definition[LINE];
};

struct world {
    struct lca_core *core;
    struct lca_actions actions;
    mono_t now;
    uint32_t generation;
    struct model_app apps[APPS];
    unsigned n_apps;
    uint8_t host_blob[6144];
    size_t host_len;
    uint64_t answers;
    uint8_t disk[LCA_DURABLE_MAX], writing[LCA_DURABLE_MAX]; /* the durable record; one being written */
    size_t disk_len, writing_len;
    uint64_t ticket, nonce; /* of the newest WRITE; of the newest question for highest terms */
    bool stores; /* print what is stored */
    FILE *out;
    uint8_t arena_memory[WIRE_ARENA];
    struct arena arena;
};

_Noreturn void die(const char *what, const char *detail);
struct model_app *app_of(struct world *w, const char *name);

/* Words of a line: key=value, value up to the next blank or in double quotes. */
bool value_of(const char *line, const char *key, char *out, size_t size);
uint64_t number_of(const char *line, const char *key, uint64_t otherwise);
span_t span_of(const char *line, const char *key, span_t otherwise);
struct epoch epoch_of(const char *line);

/* tell.c: carries out one action of the core, which is to write it down and to remember what the keeper would. */
void say(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
void do_action(struct world *w, const struct lca_action *action);

void controller_receive(struct world *w, unsigned scs, const Understudy__Agent__Message *m);

/* linked.c: what an application says over its own connection. False: not a word of one. */
bool linked_line(struct world *w, const char *verb, const char *name, const char *what, const char *line);

/* fellow.c: the agents of other hosts, voting controllers and the disk. False: not a word of theirs. */
bool fellow_line(struct world *w, const char *verb, const char *first, const char *second, const char *line);
void fellow_told(struct world *w, const struct lca_action *action);
/* " acknowledged 100 of 5.1"; nothing where there is none */
void print_point(const Understudy__Agent__SyncPoint *p, struct strbuf *out);
void say_vote_answer(struct world *w, unsigned scs, const Understudy__Agent__VoteAnswer *v);
void say_elector_record(struct world *w, unsigned scs, const Understudy__Agent__ElectorRecord *r);

/* runner.c: one event, and what is due at once behind it. */
void step(struct world *w, const struct lca_event *e);

/* controller.c: what a controller says, through agent.proto's bytes. False: not a word of a controller. */
bool controller_line(struct world *w, const char *verb, unsigned scs, const char *name, const char *line);
