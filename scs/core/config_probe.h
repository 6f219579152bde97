/* Probes as they are written in a configuration: `tcp ADDRESS:PORT`, `http URL expect=STATUS`, `exec COMMAND`. */
#pragma once

#include "common/base/option.h"

#define SCS_PROBE_TEXT 256 /* of host and path, with the end: what agents take */

enum scs_probe_kind { SCS_PROBE_NONE, SCS_PROBE_TCP, SCS_PROBE_HTTP, SCS_PROBE_EXEC };

/* Of SCS_PROBE_EXEC the command is the words behind the first one; the others' words are read into the rest. */
struct scs_probe {
    enum scs_probe_kind kind;
    char address[64], host[SCS_PROBE_TEXT], path[SCS_PROBE_TEXT];
    unsigned port, expect;
    struct words words;
};

/* Reads `probe` or `readiness-probe`. No word at all is SCS_PROBE_NONE. 0, or -EINVAL with what was found
 * and what was expected in `why`. */
int scs_probe_read(const char *text, struct scs_probe *ret_probe, struct strbuf *why);
