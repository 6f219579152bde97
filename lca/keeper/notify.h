/* The notify sockets: one datagram socket per application at run-directory/notify/NAME.sock. */
#pragma once

#include "lca/keeper/keeper.h"

void notify_init(struct app *a);
/* Binds it, unless it is bound. Negative errno; -ENAMETOOLONG: the path does not fit a socket address. */
int notify_bind(struct app *a);
/* Closes and unlinks it, drops what is queued. `keep_path`: another keeper will bind it again. */
void notify_close(struct app *a, bool keep_path);
/* Says what was dropped in the second that ended, and reads again. The next such instant. */
mono_t notify_turn(struct app *a, mono_t now);
/* Takes the oldest queued one; the caller frees it. NULL: none. */
struct notify_packet *notify_take(struct app *a);
/* Puts it back as the oldest. */
void notify_put_back(struct app *a, struct notify_packet *p);
