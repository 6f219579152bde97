/* The network fence (SAFETY section 5.2): an application whose lease ends is closed by the kernel, with no process
 * acting, and its virtual IP goes with its role. */
#pragma once

#include "lca/keeper/keeper.h"

/* Starts it where lca.conf has an application with network-fence or virtual-ip; else takes away what a former keeper
 * left. Nothing of it keeps the keeper from working: what fails is logged. */
void netfence_open(struct keeper *k);
/* What is held stays until it runs out: applications go on, and the next keeper finds them. */
void netfence_close(struct keeper *k);
/* After a turn: what the kernel is to hold for this application follows from its lease. */
void netfence_turn(struct app *a);
