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
    char agent_user[LCA_USER_SIZE];
    char default_user[LCA_USER_SIZE];         /* "": every application names its own */
    struct words allow_users, allow_commands; /* empty: nobody, nothing */
};

extern const struct option_schema lca_schema;

/* What rows alone cannot say: tls needs its files, allow-commands entries are absolute. Adds to what the loader found.
 */
void lca_config_check(const struct lca_config *c, struct complaints *complaints);
