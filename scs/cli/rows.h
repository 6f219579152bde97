/* One struct per kind of row that a controller answers with: what both renderers print.
 *
 * Texts are copied and cut to their room; they may hold any byte but NUL: renderers escape. Times in the unit of their name. */
#pragma once

#include "common/base/str.h"
#include "proto/admin.pb-c.h"

#include <stdbool.h>
#include <stdint.h>

#define ROW_TEXT 320
#define ROW_COUNTERS 32
#define ROW_FACTS 32
#define ROW_STEPS 32
#define ROW_ELECTORS 16
#define ROWS_MAX 65536 /* of one answer */

enum row_type { ROW_STEP, ROW_CONTROLLER, ROW_HOST, ROW_APPLICATION, ROW_PAIR, ROW_HISTORY, ROW_DECISION, ROW_COMPLAINT, ROW_AUTHORITY, ROW_RESULT, ROW_TYPES };

struct row_epoch {
    uint64_t term, n; /* both 0: none */
};

struct row_step {
    uint64_t at_us;
    char text[ROW_TEXT];
};

struct row_controller {
    char name[NAME_SIZE], version[NAME_SIZE];
    uint64_t term, uptime_s, dual_ms, history_dropped;
    bool licence, recovering, tls, leads;
    char leader[NAME_SIZE], arbiter[16], authority_limit[ROW_TEXT];
    char config_file[256], config_hash[72], history_error[ROW_TEXT], journal_error[ROW_TEXT];
    unsigned n_counters;
    struct {
        char name[NAME_SIZE];
        uint64_t value, limit;
    } counters[ROW_COUNTERS];
};

struct row_host {
    char name[NAME_SIZE], address[NAME_SIZE], software[NAME_SIZE], seen_by[NAME_SIZE], reason[ROW_TEXT];
    int status; /* enum scs_host_status */
    int leaving; /* agent.Leaving */
    uint32_t port, addp_timeout_ms, addp_remote_timeout_ms, applications, quarantine_ms;
    bool proven;
    uint64_t since_s;
};

struct row_application {
    char name[NAME_SIZE], host[NAME_SIZE], pair[NAME_SIZE], reason[ROW_TEXT], status_text[ROW_TEXT];
    int status, role; /* enum scs_status, enum scs_role */
    struct row_epoch epoch;
    uint32_t pid, restarts;
    bool failed;
    uint64_t since_s;
};

struct row_pair {
    char name[NAME_SIZE], primary[NAME_SIZE], backup[NAME_SIZE], redundancy[16], fencing[16], state[32], sentence[ROW_TEXT];
    char vouched[16];
    struct row_epoch epoch;
    uint32_t rule, changes, lease_ms, peer_lease_ms, k_ms, horizon_ms, held_ms;
    uint64_t term, dual_ms, primary_position, backup_position, sync_point, lag;
    bool licence;
};

struct row_history {
    uint64_t id, time_us;
    uint32_t number;
    char name[NAME_SIZE], level[16], object[NAME_SIZE], text[1024], fields[2048];
};

struct row_decision {
    uint64_t time_us, evidence_us;
    uint32_t rule;
    char name[NAME_SIZE], sentence[ROW_TEXT], cause[ROW_TEXT], result[ROW_TEXT];
    char from[NAME_SIZE], to[NAME_SIZE], ordered_by[NAME_SIZE];
    struct row_epoch epoch;
    bool standing;
    unsigned n_facts, n_steps;
    struct {
        char name[NAME_SIZE], value[ROW_TEXT];
    } facts[ROW_FACTS];
    struct row_step steps[ROW_STEPS];
};

struct row_complaint {
    char file[256];
    uint32_t line;
    bool warning;
    char text[ROW_TEXT];
};

struct row_authority {
    char name[NAME_SIZE], arbiter[16], leader[NAME_SIZE], reason[ROW_TEXT], config_hash[72], peer[NAME_SIZE], peer_hash[72];
    char where[ROW_TEXT], trouble[ROW_TEXT], limit[ROW_TEXT]; /* of the register; of the arbiter */
    bool leads, endless, may_lead, peer_up, peer_leads, peer_may_lead;
    uint64_t term, since_s, peer_term;
    uint32_t left_ms;
    unsigned n_electors;
    struct {
        char host[NAME_SIZE], answer[16], record[16];
        uint64_t highest;
        bool connected;
    } electors[ROW_ELECTORS];
};

struct row_result {
    bool ok, not_leading;
    char error[NAME_SIZE], text[4096];
    uint64_t took_us;
};

struct row {
    enum row_type type;
    union {
        struct row_step step;
        struct row_controller controller;
        struct row_host host;
        struct row_application application;
        struct row_pair pair;
        struct row_history history;
        struct row_decision decision;
        struct row_complaint complaint;
        struct row_authority authority;
        struct row_result result;
    };
};

/* Of row_host.leaving: drained, stops its applications, or "". */
const char *leaving_word(int leaving);
/* 0, or -EPROTO: no row in it. */
int row_read(const Understudy__Admin__Reply *reply, struct row *ret_row);

/* What a command got: its rows in their order, and how it ended. Zeroed: empty. */
struct answer {
    struct row **rows; /* each allocated as large as its type needs */
    unsigned n, room;
    struct row_result result;
};
/* 0, -ENOMEM, or -E2BIG beyond ROWS_MAX. */
int answer_add(struct answer *a, const struct row *row);
void answer_free(struct answer *a);
void answer_end(struct answer *a, bool ok, const char *error, const char *text);
