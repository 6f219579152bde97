/* What lca.conf says: one section, [lca]. options.c has the table that parses, prints and documents it; keeper and
 * agent both read the file.
 *
 * The keeper takes over a reloaded file when all of it is right, and starts the agent anew with it: only rows marked
 * OPT_RESTART wait for a restart of lca. */
#pragma once

#include "common/base/option.h"
#include "common/base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define LCA_PATH_SIZE 200
#define LCA_USER_SIZE 64
#define LCA_FENCED_MAX 64

/* [application NAME]: what the kernel does at the end of that application's lease. */
struct lca_fence {
    int line;
    char name[NAME_SIZE];
    bool network_fence;
    char virtual_ip[64]; /* "": none */
};

/* A virtual-ip, taken apart. */
struct lca_virtual_ip {
    uint8_t address[4]; /* network order */
    uint8_t prefix;
    char interface[16];
};

struct lca_config {
    int line;             /* of [lca]; 0: the section is missing */
    char host[NAME_SIZE]; /* this host's name, as scs.conf has it */
    char site[NAME_SIZE];
    char listen_address[64];
    int64_t listen_port;
    bool tls;
    char certificate[LCA_PATH_SIZE], key[LCA_PATH_SIZE], ca[LCA_PATH_SIZE], crl[LCA_PATH_SIZE];
    char log_file[LCA_PATH_SIZE]; /* "": standard error */
    int log_level;                /* enum record_level */
    char run_directory[LCA_PATH_SIZE], state_directory[LCA_PATH_SIZE];
    bool realtime;
    span_t handover_timeout;
    char agent_user[LCA_USER_SIZE];
    char default_user[LCA_USER_SIZE];         /* "": every application names its own */
    struct words allow_users, allow_commands; /* empty: nobody, nothing */
    struct lca_fence fenced[LCA_FENCED_MAX];
    unsigned n_fenced;
    struct words allow_groups, allow_capabilities;
    bool allow_priorities;
};

extern const struct option_schema lca_schema;

/* ADDRESS/PREFIX@INTERFACE. False: it is something else. */
bool lca_virtual_ip_read(const char *text, struct lca_virtual_ip *ret);

/* What rows alone cannot say: tls needs its files, allow-commands entries are absolute. Adds to what the loader found.
 */
void lca_config_check(const struct lca_config *c, struct complaints *complaints);
