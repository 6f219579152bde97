/* Output files that are kept at a size: through a pipe to a program of ours (rotate.c). */
#pragma once

#include "lca/keeper/spawn.h"

/* Starts that program where the plan asks for it, and puts the pipe's end into the plan as `output_fd`. 0, or negative
 * errno with the reason in `why`. */
int output_begin(struct tree *t, struct spawn *s, struct strbuf *why);
/* The application has its end of the pipe, or never will. */
void output_handed_over(struct spawn *s);
