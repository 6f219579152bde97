/* MAINPID=: another process of an application's tree becomes its main one. */
#pragma once

#include "lca/keeper/keeper.h"

/* From then on its end is the application's, and signals go to it. 0, also when it is the main one already; negative
 * errno with the reason in `why`: it is not of this tree, has ended, or cannot be watched; nothing is changed then. */
int mainpid_take(struct app *a, pid_t pid, struct strbuf *why);
