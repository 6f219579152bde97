/* The notify sockets: one datagram socket per application at run-directory/notify/NAME.sock. */
#pragma once

#include "lca/keeper/keeper.h"

void notify_init(struct app *a);
/* Binds it, unless it is bound; it is the present user's in any case. Negative errno; -ENAMETOOLONG: the path does not fit a socket address. */
int notify_bind(struct app *a);
/* Closes and unlinks it, drops what is queued. `keep_path`: another keeper will bind it again. */
void notify_close(struct app *a, bool keep_path);
/* Says what was dropped in the second that ended, and reads again. The next such instant. */
mono_t notify_turn(struct app *a, mono_t now);
/* Takes in what lies unread in the socket at present. */
void notify_drain(struct app *a, mono_t now);
/* The oldest that this agent was not sent, in place; NULL: none. */
struct notify_packet *notify_next(struct app *a);
/* The agent has carried out everything up to this number. */
void notify_seen(struct app *a, uint64_t seq);
/* Another agent: it is sent what the former one did not carry out. */
void notify_unsent(struct app *a);
