/* No confinement, and said so: for builds with sanitizers or coverage, which open files and start programs at any time
 * to tell what they found, and for processors whose table of system calls nobody wrote down.
 *
 * Owns one sentence. It is logged at every start, so that such a build is not taken for the product. */
#include "lca/agent/confine.h"

void confine_calls(struct strbuf *missing)
{
    (void)missing;
}

void confine_files(struct strbuf *missing)
{
    strbuf_add(missing, "this build denies neither files nor system calls (sanitizers, coverage, or an unknown processor)");
}
