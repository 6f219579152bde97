/* Where the threads of an application are: told to the agent that asked, before it decides about a kill. */
#pragma once

#include "lca/keeper/keeper.h"

/* Looks now, within limits; the former answer is dropped. False: there is no memory for it. */
bool threads_look(struct app *a);
/* The next packet of the answer, NULL: nothing is waited for. threads_told() after it was
 * sent. */
const void *threads_next(struct app *a, size_t *ret_n);
void threads_told(struct app *a);
void threads_drop(struct app *a);
