/* Carries out what the core decided: one case per kind of action.
 *
 * It decides nothing. Messages are packed and given to their link in the turn they were decided in; records go to log and history; decisions to the history with their
 * evidence. Wall time is added here, for display only. */
#include "scs/shell/shell.h"

#include "proto/frame.h"

static void execute_send(struct shell *s, const struct scs_action *a)
{
    arena_reset(&s->arena);
    int n = scs_wire_pack(s->core, a, s->packed, FRAME_PAYLOAD_MAX, &s->arena);
    if (n >= 0) {
        hosts_send(s, a->host, s->packed, (size_t)n);
        return;
    }
    struct record r;
    record_init(&r, REC_LINK_REFUSED);
    record_printf(&r, "peer", "host %s", a->host < s->config->n_hosts ? s->config->hosts[a->host].name : "?");
    record_printf(&r, "reason", "a message (kind %d) is too large for a frame and was not sent", (int)a->message);
    shell_record(s, &r);
}

/* An adoption changes no role. It is in the history as a record; kept as a decision, it would hide the evidence of the last one that did. */
static void execute_decision(struct shell *s, uint16_t pair, mono_t now)
{
    const struct scs_decision *d = scs_core_decision(s->core, pair);
    struct scs_pair_view view;
    if (!d || !d->key || d->adopted || !scs_core_pair(s->core, pair, &view))
        return;
    int64_t wall = clock_wall_us();
    arena_reset(&s->arena);
    int n = scs_wire_decision(s->core, d, wall - now.ns / 1000, s->document, FRAME_PAYLOAD_MAX, &s->arena);
    if (n > 0)
        store_decision(s->store, view.name, d->key, wall, s->document, (size_t)n);
}

static void execute_action(struct shell *s, const struct scs_action *a, mono_t now)
{
    switch (a->type) {
    case SCS_DO_SEND:
        execute_send(s, a);
        return;
    case SCS_DO_RECORD:
        shell_record(s, &a->record);
        return;
    case SCS_DO_DECISION:
        execute_decision(s, a->pair, now);
        return;
    case SCS_DO_STEP:
        admin_step(s, a->request, a->at, a->text);
        return;
    case SCS_DO_RESULT:
        admin_result(s, a);
        return;
    case SCS_DO_HURRY:
        hosts_hurry(s, a->host, now);
        return;
    case SCS_DO_REGISTER_READ:
    case SCS_DO_REGISTER_SWAP:
        arbiter_ask(s, a, now);
        return;
    case SCS_DO_CONTROLLER:
        peer_send(s, a);
        return;
    }
}

void execute_actions(struct shell *s, mono_t now)
{
    for (unsigned i = 0; i < s->actions.count; i++)
        execute_action(s, &s->actions.list[i], now);
}
