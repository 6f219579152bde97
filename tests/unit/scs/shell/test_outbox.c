/* The queue in front of a link: order, bound, partial room, refusal. The link is this file's. */
#include "scs/shell/outbox.h"

#include "common/io/link.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static size_t room;
static int send_result;
static char sent[256];
static struct outbox box;

bool link_has_room(const struct link *l, size_t n)
{
    (void)l;
    return n <= room;
}

int link_send(struct link *l, const uint8_t *payload, size_t n)
{
    (void)l;
    if (send_result < 0)
        return send_result;
    size_t used = strlen(sent);
    memcpy(sent + used, payload, n);
    sent[used + n] = '\0';
    room -= n;
    return 0;
}

static int fresh(void **state)
{
    (void)state;
    outbox_clear(&box);
    memset(&box, 0, sizeof(box));
    room = 1000;
    send_result = 0;
    sent[0] = '\0';
    return 0;
}

static int say(const char *text)
{
    return outbox_send(&box, NULL, (const uint8_t *)text, strlen(text), 10);
}

static void with_room_nothing_waits(void **state)
{
    assert_int_equal(say("a message longer than the limit"), 0);
    assert_string_equal(sent, "a message longer than the limit");
    assert_int_equal(box.high, 0);
}

static void what_waits_keeps_its_order(void **state)
{
    room = 3;
    assert_int_equal(say("abcd"), 0);
    assert_int_equal(say("x"), 0); /* there is room for it, but abcd was first */
    assert_string_equal(sent, "");
    assert_int_equal(outbox_flush(&box, NULL), 0);
    room = 4;
    assert_int_equal(outbox_flush(&box, NULL), 1);
    assert_string_equal(sent, "abcd");
    assert_int_equal(box.bytes, 1);
    assert_false(outbox_can_flush(&box, NULL));
    room = 100;
    assert_true(outbox_can_flush(&box, NULL));
    assert_int_equal(outbox_flush(&box, NULL), 1);
    assert_int_equal(say("y"), 0);
    assert_string_equal(sent, "abcdxy");
    assert_int_equal(box.bytes, 0);
    assert_int_equal(box.high, 5);
}

static void the_bound_holds(void **state)
{
    room = 0;
    assert_int_equal(say("12345"), 0);
    assert_int_equal(say("67890"), 0);
    assert_int_equal(say("x"), -ENOBUFS);
    assert_int_equal(say("longer than all"), -ENOBUFS);
    assert_int_equal(box.bytes, 10);
    room = 5;
    assert_int_equal(outbox_flush(&box, NULL), 1);
    assert_int_equal(say("x"), 0);
    outbox_clear(&box);
    assert_int_equal(box.bytes, 0);
    assert_false(outbox_can_flush(&box, NULL));
}

static void a_dead_link_is_said(void **state)
{
    room = 0;
    assert_int_equal(say("a"), 0);
    room = 10;
    send_result = -ENOTCONN;
    assert_int_equal(outbox_flush(&box, NULL), -ENOTCONN);
    outbox_clear(&box);
    assert_int_equal(say("b"), -ENOTCONN);
}

#define T(test) cmocka_unit_test_setup_teardown(test, fresh, fresh)
int main(void)
{
    const struct CMUnitTest tests[] = {T(with_room_nothing_waits), T(what_waits_keeps_its_order), T(the_bound_holds), T(a_dead_link_is_said)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
