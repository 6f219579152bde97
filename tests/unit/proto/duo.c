/* The harness of the session tests: see duo.h. Virtual time starts at one hour, so that nothing depends on zero. */
#include "tests/unit/proto/duo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define START SPAN_S(3600)

void duo_init(struct duo *d)
{
    memset(d, 0, sizeof *d);
    d->now = (mono_t){START.ns};
    d->ends[CALLER].config = (struct session_config){
        .self = {"a", ROLE_SCS, "scs1"},
        .caller = true,
        .expect = {"a", ROLE_LCA, "h1"},
        .addp_timeout = SPAN_S(1),
        .addp_remote_timeout = SPAN_S(1),
        .software = "understudy caller",
    };
    d->ends[ACCEPTOR].config = (struct session_config){
        .self = {"a", ROLE_LCA, "h1"},
        .accept_roles = 1u << ROLE_SCS | 1u << ROLE_LCA,
        .software = "understudy acceptor",
    };
}

void duo_start(struct duo *d)
{
    for (int i = 0; i < 2; i++)
        session_init(&d->ends[i].s, &d->ends[i].config, d->ends[i].rx, d->ends[i].tx, d->now);
}

void duo_feed(struct duo *d, enum side to, const void *data, size_t n)
{
    assert_int_equal(session_feed(&d->ends[to].s, data, n, d->now), n);
}

void duo_feed_frame(struct duo *d, enum side to, int type, const void *payload, size_t n)
{
    uint8_t header[FRAME_HEADER];
    frame_header(header, (enum frame_type)type, n);
    duo_feed(d, to, header, sizeof header);
    if (n > 0)
        duo_feed(d, to, payload, n);
}

void duo_carry(struct duo *d, enum side from, size_t step)
{
    struct session *s = &d->ends[from].s;
    const uint8_t *data;
    size_t n;
    while ((n = session_drain(s, &data)) > 0) {
        if (step > 0 && n > step)
            n = step;
        if (!d->ends[from].cut)
            n = session_feed(&d->ends[!from].s, data, n, d->now);
        if (n == 0)
            return;
        session_drained(s, n);
    }
}

struct session_event duo_next(struct duo *d, enum side side)
{
    struct session_event event;
    session_next(&d->ends[side].s, d->now, &event);
    return event;
}

void duo_open(struct duo *d)
{
    duo_start(d);
    duo_carry(d, CALLER, 0);
    assert_int_equal(duo_next(d, ACCEPTOR).type, SESSION_UP);
    duo_carry(d, ACCEPTOR, 0);
    assert_int_equal(duo_next(d, CALLER).type, SESSION_UP);
    assert_int_equal(duo_next(d, ACCEPTOR).type, SESSION_NONE);
    assert_int_equal(duo_next(d, CALLER).type, SESSION_NONE);
}

void duo_at(struct duo *d, span_t since_start)
{
    d->now = mono_add((mono_t){START.ns}, since_start);
    for (int i = 0; i < 2; i++)
        session_step(&d->ends[i].s, d->now);
}
