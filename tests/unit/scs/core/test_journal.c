/* The journal of the controller's core: entries come back as they were, bad bytes are refused and never believed, and a
 * digest tells one action from another. SEED=N repeats a run. */
#include "proto/agent.pb-c.h"
#include "proto/frame.h"
#include "scs/core/core_state.h"
#include "scs/core/journal.h"
#include "scs/core/wire.h"
#include "tests/lib/seed.h"
#include "tests/lib/shadow.h"
#include "tests/unit/scs/core/site.h"

#define ROOM 65536

static struct rng rng;
static struct scs_member_poll sent[16], got[SCS_POLL_MEMBERS];

static uint64_t pick(uint64_t n)
{
    return rng_below(&rng, n);
}

/* Small, large, and everything between. */
static uint64_t some_number(void)
{
    return rng_next(&rng) >> pick(64);
}

static uint64_t some_term(void)
{
    return some_number() % SCS_TERM_MAX;
}

static struct scs_epoch some_epoch(void)
{
    return (struct scs_epoch){some_term(), some_term()};
}

static const char *some_text(unsigned which)
{
    static char texts[8][400];
    size_t n = (size_t)pick(pick(4) ? 20 : 399);
    for (size_t i = 0; i < n; i++)
        texts[which][i] = (char)(1 + pick(255));
    texts[which][n] = '\0';
    return texts[which];
}

static const char *some_name(void)
{
    static const char *const names[] = {"a", "redis1", "a.very-long_name.0123456789012345678901234567890123456789"};
    return names[pick(3)];
}

static span_t some_age(void)
{
    return (span_t){(int64_t)(some_number() >> 1)};
}

static struct scs_report some_report(void)
{
    return (struct scs_report){.status = (enum scs_status)pick(ST_SUSPENDED + 1),
                               .role = (enum scs_role)pick(SR_EXITING + 1),
                               .epoch = some_epoch(),
                               .pid = (uint32_t)some_number(),
                               .failed = pick(2),
                               .wanted = (enum scs_wanted)pick(SW_DOWN + 1),
                               .reason = pick(3) ? some_text(3) : NULL,
                               .status_text = some_text(1),
                               .has_exit = pick(2),
                               .exit_asked = pick(2),
                               .exit_adopted = pick(2),
                               .restarts = (uint32_t)some_number(),
                               .age = some_age(),
                               .start_id = some_number()};
}

static void some_poll(struct scs_event *e)
{
    static const uint8_t boot_id[16] = "0123456789abcde";
    e->poll.incarnation = some_number();
    e->poll.boot_id = pick(2) ? boot_id : NULL;
    e->poll.poll_seq = some_number();
    e->poll.echo = some_number();
    e->poll.term_seen = some_term();
    e->poll.n_members = (unsigned)pick(16);
    e->poll.leader = pick(3) ? some_text(2) : NULL;
    e->poll.leader_term = some_term();
    e->poll.leader_age = some_age();
    e->poll.former_horizon = some_age();
    e->poll.leaving = (enum scs_leaving)pick(HOST_ENDS + 1);
    e->poll.members = sent;
    for (unsigned i = 0; i < e->poll.n_members; i++) {
        bool released = pick(2);
        sent[i] = (struct scs_member_poll){.role = (enum scs_role)pick(SR_EXITING + 1),
                                           .epoch = some_epoch(),
                                           .granted_seq = some_number(),
                                           .sync_position = some_number(),
                                           .sync_point = {some_epoch(), some_number()},
                                           .lease = some_age(),
                                           .peer_lease = some_age(),
                                           .promise = some_age(),
                                           .quarantine = some_age(),
                                           .has_released = released};
        if (released) {
            sent[i].released_incarnation = some_number();
            sent[i].released_seq = some_number();
            sent[i].released_epoch = some_epoch();
            sent[i].released_position = some_number();
        }
        str_copy(sent[i].app, sizeof sent[i].app, some_name());
    }
}

static void some_record(struct record *r)
{
    static const char *const keys[] = {"application", "host", "reason", "detail", "count"};
    record_init(r, (enum record_id)pick(RECORD_COUNT));
    for (unsigned i = 0, n = (unsigned)pick(6); i < n && i < 5; i++)
        record_str(r, keys[i], some_text(i + 1));
}

static void some_register(struct scs_event *e)
{
    e->reg.ok = pick(2);
    e->reg.present = pick(2);
    e->reg.revision = (int64_t)rng_next(&rng);
    e->reg.outcome = (enum authority_outcome)pick(SWAP_UNKNOWN + 1);
    e->reg.value.term = some_term();
    e->reg.value.counter = some_number();
    str_copy(e->reg.value.owner, sizeof e->reg.value.owner, some_name());
    str_copy(e->reg.value.config_hash, sizeof e->reg.value.config_hash, some_name());
}

static void some_controller(struct scs_event *e)
{
    e->controller.leads = pick(2);
    e->controller.may_lead = pick(2);
    e->controller.term = some_term();
    str_copy(e->controller.config_hash, sizeof e->controller.config_hash, some_name());
    e->controller.lead_age = some_age();
    e->controller.by = pick(3) ? some_text(1) : NULL;
}

static void some_vote(struct scs_event *e)
{
    e->vote.kind = (int)pick(UNDERSTUDY__AGENT__VOTE__KIND__CONFIRM + 1);
    e->vote.term = some_term();
    e->vote.round = some_number();
    e->vote.highest = some_term();
    e->vote.yes = pick(2);
    e->vote.wait = some_age();
}

static void some_set(struct scs_elector_set *s)
{
    s->electors = (unsigned)pick(SCS_ELECTORS_MAX + 1);
    s->number = some_term();
    for (unsigned i = 0; i < sizeof s->hash; i++)
        s->hash[i] = (uint8_t)pick(256);
}

static void some_elector(struct scs_elector_record *r)
{
    r->recorded = pick(2);
    r->confirmed = pick(2);
    some_set(&r->set);
    some_set(&r->former);
    r->highest = some_term();
}

/* A random event of a type, every member of it set. */
static void some_event(enum scs_event_type type, struct scs_event *e)
{
    memset(e, 0, sizeof *e);
    e->type = type;
    e->host = (uint16_t)some_number();
    e->app = pick(3) ? some_name() : NULL;
    e->text = pick(3) ? some_text(0) : NULL;
    e->down = (enum scs_down)pick(SCS_DOWN_REJECTED + 1);
    switch (type) {
    case SCS_EV_TIMER:
    case SCS_EV_HOST_UP:
    case SCS_EV_HOST_DOWN:
    case SCS_EV_REPORT_END:
    case SCS_EV_CONFIG:
    case SCS_EV_CONTROLLER_UP:
    case SCS_EV_CONTROLLER_DOWN:
        return;
    case SCS_EV_REPORT:
        e->report = some_report();
        return;
    case SCS_EV_POLL:
        some_poll(e);
        return;
    case SCS_EV_RELEASED:
        e->released.incarnation = some_number();
        e->released.poll_seq = some_number();
        e->released.epoch = some_epoch();
        e->released.position = some_number();
        e->released.sync_point = (struct scs_sync_point){some_epoch(), some_number()};
        return;
    case SCS_EV_ORDER_RESULT:
        e->result.order_id = some_number();
        e->result.outcome = (enum scs_outcome)pick(OUTCOME_TIMED_OUT + 1);
        e->result.error = pick(3) ? some_text(1) : NULL;
        e->result.epoch = some_epoch();
        e->result.term_seen = some_term();
        e->result.took = some_age();
        return;
    case SCS_EV_AGENT_EVENT:
        some_record(&e->agent_event.record);
        e->agent_event.age = some_age();
        return;
    case SCS_EV_PEER_VIEW:
        e->view.peer = some_name();
        e->view.seen = pick(2);
        e->view.age = some_age();
        return;
    case SCS_EV_REQUEST:
        e->request.id = some_number();
        e->request.kind = (enum scs_order_kind)pick(SO_UNDRAIN + 1);
        e->request.force = pick(2);
        e->request.operator = some_text(3);
        return;
    case SCS_EV_REQUEST_GONE:
        e->request.id = some_number();
        return;
    case SCS_EV_REGISTER_READ:
    case SCS_EV_REGISTER_SWAPPED:
        some_register(e);
        return;
    case SCS_EV_VOTE:
        some_vote(e);
        return;
    case SCS_EV_ELECTOR:
        some_elector(&e->elector);
        return;
    case SCS_EV_CONTROLLER_STATE:
    case SCS_EV_HANDOVER:
        some_controller(e);
        return;
    }
    fail_msg("an event of no known type");
}

static struct journal_entry step_entry(enum scs_event_type type)
{
    struct journal_entry e = {.kind = JOURNAL_STEP,
                              .now = {(int64_t)(some_number() >> 1)},
                              .n_actions = (uint32_t)pick(SCS_ACTIONS_MAX + 1),
                              .digest = rng_next(&rng)};
    some_event(type, &e.event);
    if (type == SCS_EV_CONFIG)
        e.config = (struct journal_text){some_text(7), 5, "0a", "1b"};
    return e;
}

static int read_back(const uint8_t *bytes, size_t n, struct journal_entry *ret_entry)
{
    static char text[200];
    struct strbuf why;
    strbuf_init(&why, text, sizeof text);
    return journal_get(bytes, n, got, ret_entry, &why);
}

static void same_text(const char *a, const char *b)
{
    assert_int_equal(!a, !b);
    if (a)
        assert_string_equal(a, b);
}

static void same_members(const struct scs_event *a, const struct scs_event *b)
{
    assert_int_equal(a->poll.n_members, b->poll.n_members);
    for (unsigned i = 0; i < a->poll.n_members; i++) {
        const struct scs_member_poll *x = &a->poll.members[i], *y = &b->poll.members[i];
        assert_string_equal(x->app, y->app);
        assert_memory_equal(&x->role, &y->role, sizeof x->role);
        assert_memory_equal(&x->epoch, &y->epoch, sizeof x->epoch);
        assert_true(x->granted_seq == y->granted_seq && x->sync_position == y->sync_position && x->has_released == y->has_released);
        assert_true(x->released_incarnation == y->released_incarnation && x->released_seq == y->released_seq);
        assert_memory_equal(&x->released_epoch, &y->released_epoch, sizeof x->released_epoch);
        assert_memory_equal(&x->sync_point, &y->sync_point, sizeof x->sync_point);
        assert_true(x->released_position == y->released_position);
    }
}

static void same_report(const struct scs_report *a, const struct scs_report *b)
{
    same_text(a->reason, b->reason);
    same_text(a->status_text, b->status_text);
    assert_true(a->status == b->status && a->role == b->role && scs_epoch_compare(a->epoch, b->epoch) == 0);
    assert_true(a->pid == b->pid && a->failed == b->failed && a->wanted == b->wanted && a->has_exit == b->has_exit);
    assert_true(a->exit_asked == b->exit_asked && a->exit_adopted == b->exit_adopted && a->restarts == b->restarts);
    assert_true(a->age.ns == b->age.ns && a->start_id == b->start_id);
}

static void same_elector(const struct scs_elector_record *a, const struct scs_elector_record *b)
{
    assert_true(a->recorded == b->recorded && a->confirmed == b->confirmed && a->highest == b->highest);
    assert_true(a->set.electors == b->set.electors && a->set.number == b->set.number);
    assert_memory_equal(a->set.hash, b->set.hash, sizeof a->set.hash);
    assert_true(a->former.electors == b->former.electors && a->former.number == b->former.number);
    assert_memory_equal(a->former.hash, b->former.hash, sizeof a->former.hash);
}

static void entries_come_back(void **state)
{
    static uint8_t bytes[ROOM], again[ROOM];
    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        enum scs_event_type type = (enum scs_event_type)(i % (SCS_EV_HANDOVER + 1));
        struct journal_entry e = step_entry(type), back;
        size_t n = journal_put(bytes, sizeof bytes, &e);
        assert_in_range(n, JOURNAL_HEAD + 1, sizeof bytes);
        assert_int_equal(journal_size(bytes), n);
        memset(&back, 0xa5, sizeof back);
        assert_int_equal(read_back(bytes, n, &back), 0);
        assert_int_equal(journal_put(again, sizeof again, &back), n);
        assert_memory_equal(again, bytes, n);
        assert_true(back.kind == JOURNAL_STEP && back.now.ns == e.now.ns && back.digest == e.digest);
        assert_true(back.event.type == type && back.event.host == e.event.host && back.event.down == e.event.down);
        same_text(back.event.app, e.event.app);
        same_text(back.event.text, e.event.text);
        if (type == SCS_EV_POLL)
            same_members(&e.event, &back.event);
        if (type == SCS_EV_REPORT)
            same_report(&e.event.report, &back.event.report);
        if (type == SCS_EV_ELECTOR)
            same_elector(&e.event.elector, &back.event.elector);
    }
}

static void start_and_end_come_back(void **state)
{
    static uint8_t bytes[ROOM];
    struct journal_entry back;
    (void)state;
    const struct journal_entry start = {.kind = JOURNAL_START,
                                        .format = JOURNAL_FORMAT,
                                        .software = "1.2.3",
                                        .term = 77,
                                        .seed = UINT64_MAX,
                                        .wall_us = -5,
                                        .now = {123456789},
                                        .config = {"[scs]\n", 6, "0a", "1b"}};
    size_t n = journal_put(bytes, sizeof bytes, &start);
    assert_int_equal(read_back(bytes, n, &back), 0);
    assert_true(back.kind == JOURNAL_START && back.format == JOURNAL_FORMAT && back.term == 77 && back.seed == UINT64_MAX && back.wall_us == -5);
    assert_true(back.now.ns == 123456789 && back.config.n == 6 && memcmp(back.config.text, "[scs]\n", 6) == 0);
    assert_string_equal(back.software, "1.2.3");
    const struct journal_entry end = {.kind = JOURNAL_END, .reason = "stopped"};
    n = journal_put(bytes, sizeof bytes, &end);
    assert_int_equal(read_back(bytes, n, &back), 0);
    assert_string_equal(back.reason, "stopped");
}

/* Of another format nothing but the version is read: it may have anything behind it. */
static void another_format_names_its_version(void **state)
{
    static uint8_t bytes[ROOM];
    struct journal_entry back;
    (void)state;
    const struct journal_entry start = {.kind = JOURNAL_START, .format = JOURNAL_FORMAT + 1, .software = "9.9", .term = 0};
    size_t n = journal_put(bytes, sizeof bytes, &start);
    assert_int_equal(read_back(bytes, n, &back), 0);
    assert_int_equal(back.format, JOURNAL_FORMAT + 1);
    assert_string_equal(back.software, "9.9");
}

static void little_room_writes_nothing_behind_it(void **state)
{
    static uint8_t bytes[ROOM];
    (void)state;
    for (unsigned i = 0; i < 500; i++) {
        struct journal_entry e = step_entry((enum scs_event_type)(i % (SCS_EV_HANDOVER + 1)));
        size_t n = journal_put(bytes, sizeof bytes, &e), room = (size_t)pick(n);
        uint8_t *small = malloc(room + 1);
        assert_int_equal(journal_put(small, room, &e), n);
        free(small);
    }
}

static void too_long_is_no_entry(void **state)
{
    (void)state;
    char *text = calloc(1, JOURNAL_BODY_MAX);
    const struct journal_entry start = {
        .kind = JOURNAL_START, .format = JOURNAL_FORMAT, .software = "1", .term = 1, .config = {text, JOURNAL_BODY_MAX, "", ""}};
    assert_int_equal(journal_put(NULL, 0, &start), 0);
    free(text);
}

static void flipped_bits_are_found(void **state)
{
    static uint8_t bytes[ROOM];
    struct journal_entry back;
    (void)state;
    for (unsigned i = 0; i < 3000; i++) {
        struct journal_entry e = step_entry((enum scs_event_type)(i % (SCS_EV_HANDOVER + 1)));
        size_t n = journal_put(bytes, sizeof bytes, &e);
        bytes[pick(n)] ^= (uint8_t)(1u << pick(8));
        assert_int_equal(read_back(bytes, n, &back), -EBADMSG);
    }
}

/* Whoever makes the check right as well: what is read then is within bounds and is the same bytes again. */
static void made_up_bytes_are_held_to_the_bounds(void **state)
{
    unsigned taken = 0;
    (void)state;
    for (unsigned i = 0; i < 60000; i++) {
        uint8_t room[ROOM / 16];
        struct journal_entry e = step_entry((enum scs_event_type)(i % (SCS_EV_HANDOVER + 1))), back;
        size_t n = journal_put(room, sizeof room, &e);
        if (n > sizeof room)
            continue;
        uint8_t *bytes = malloc(n), *again = malloc(n);
        memcpy(bytes, room, n);
        for (uint64_t k = 1 + pick(3); k > 0; k--)
            bytes[JOURNAL_HEAD + pick(n - JOURNAL_HEAD)] = (uint8_t)(pick(2) ? pick(256) : pick(4));
        uint32_t h = UINT32_C(2166136261);
        for (size_t k = JOURNAL_HEAD; k < n; k++)
            h = (h ^ bytes[k]) * UINT32_C(16777619);
        for (unsigned k = 0; k < 4; k++)
            bytes[4 + k] = (uint8_t)(h >> 8 * k);
        if (read_back(bytes, n, &back) == 0) {
            taken++;
            if (back.kind != JOURNAL_START || back.format == JOURNAL_FORMAT) {
                assert_int_equal(journal_put(again, n, &back), n);
                assert_memory_equal(again, bytes, n);
            }
            if (back.kind == JOURNAL_STEP && back.event.type == SCS_EV_POLL)
                assert_in_range(back.event.poll.n_members, 0, SCS_POLL_MEMBERS);
        }
        free(bytes);
        free(again);
    }
    assert_in_range(taken, 1000, 59000);
}

static void no_head_has_no_length(void **state)
{
    const uint8_t zero[JOURNAL_HEAD] = {0}, huge[JOURNAL_HEAD] = {0xff, 0xff, 0xff, 0xff};
    (void)state;
    assert_int_equal(journal_size(zero), 0);
    assert_int_equal(journal_size(huge), 0);
}

static void hosts_beyond_the_configuration_do_not_fit(void **state)
{
    struct complaints complaints;
    struct scs_config *c = site_load(SITE, &complaints);
    const struct scs_event poll = {.type = SCS_EV_POLL, .host = 2}, timer = {.type = SCS_EV_TIMER, .host = SCS_NONE},
                           last = {.type = SCS_EV_HOST_UP, .host = 1};
    (void)state;
    assert_false(journal_event_fits(&poll, c));
    assert_true(journal_event_fits(&timer, c) && journal_event_fits(&last, c));
    free(c);
}

/* ---- the digest ---- */

static struct scs_actions actions;

static uint64_t digest_of(struct scs_core *c)
{
    static uint8_t packed[FRAME_PAYLOAD_MAX], memory[WIRE_ARENA];
    struct journal_room room = {.packed = packed};
    arena_init(&room.arena, memory, sizeof memory);
    return journal_digest(c, &actions, &room);
}

#define TELLS(member, value)                      \
    do {                                          \
        struct scs_action saved = *a;             \
        a->member = value;                        \
        assert_true(digest_of(c) != before);      \
        *a = saved;                               \
        assert_true(digest_of(c) == before);      \
    } while (0)

static void every_member_of_an_action_counts(void **state)
{
    struct complaints complaints;
    struct scs_config *config = site_load(SITE, &complaints);
    struct scs_core *c = calloc(1, scs_core_size());
    const struct scs_core_config cc = {.config = config, .term = 100};
    (void)state;
    scs_core_init(c, &cc, MONO_ZERO);
    memset(&actions, 0, sizeof actions);
    struct scs_action *a = &actions.list[0];
    actions.count = 1;
    a->type = SCS_DO_RECORD;
    a->error = "";
    record_init(&a->record, REC_LATE);
    record_str(&a->record, "program", "scs");
    uint64_t before = digest_of(c);
    TELLS(type, SCS_DO_STEP);
    TELLS(host, 1);
    TELLS(app, 1);
    TELLS(pair, 1);
    TELLS(message, SM_GRANT);
    TELLS(epoch.term, 1);
    TELLS(epoch.n, 1);
    TELLS(incarnation, 1);
    TELLS(poll_seq, 1);
    TELLS(answer, 1);
    TELLS(order_id, 1);
    TELLS(order_kind, AO_KILL);
    TELLS(deadline.ns, 1);
    TELLS(lease.ns, 1);
    TELLS(released_incarnation, 1);
    TELLS(released_seq, 1);
    TELLS(sync_point, 1);
    TELLS(vote.kind, 1);
    TELLS(vote.term, 1);
    TELLS(vote.round, 1);
    TELLS(vote.previous_term, 1);
    TELLS(revision, 1);
    TELLS(reg.term, 1);
    TELLS(reg.counter, 1);
    TELLS(reg.owner[0], 'x');
    TELLS(reg.config_hash[0], 'x');
    TELLS(request, 1);
    TELLS(ok, true);
    TELLS(error, "x");
    TELLS(at.ns, 1);
    TELLS(text[0], 'x');
    TELLS(record.id, REC_DECISION);
    TELLS(record.text[0], 'x');
    memset(a->record.text + a->record.used, 0x5a, sizeof a->record.text - a->record.used);
    assert_true(digest_of(c) == before);
    a->type = SCS_DO_SEND;
    a->message = SM_POLL_ANSWER;
    before = digest_of(c);
    c->leads = !c->leads; /* the action is the same, what the agent hears is not */
    assert_true(digest_of(c) != before);
    a->type = SCS_DO_DECISION;
    a->pair = 0;
    before = digest_of(c);
    c->pairs[0].decision.key = 1; /* a decision that grows is told of by the same action */
    assert_true(digest_of(c) != before);
    before = digest_of(c);
    str_copy(c->pairs[0].decision.result, sizeof c->pairs[0].decision.result, "done");
    assert_true(digest_of(c) != before);
    before = digest_of(c);
    c->term++;
    assert_true(digest_of(c) != before);
    free(c);
    free(config);
}

/* A member that is added to one of these is a member of the journal: encode it (journal_event.c), let the digest have it
 * (journal_digest.c), set it in some_event() above, and write the size down here. */
static void nothing_was_added_unseen(void **state)
{
    (void)state;
    const struct scs_event e = {.type = SCS_EV_TIMER};
    assert_int_equal(offsetof(struct scs_event, report), 32);
    assert_int_equal(sizeof e.report, 80);
    assert_int_equal(sizeof e.poll, 96);
    assert_int_equal(sizeof e.released, 64);
    assert_int_equal(sizeof e.result, 56);
    assert_int_equal(sizeof e.agent_event - sizeof(struct record), 8);
    assert_int_equal(sizeof e.view, 24);
    assert_int_equal(sizeof e.request, 24);
    assert_int_equal(sizeof e.config, 8);
    assert_int_equal(sizeof e.reg, 176);
    assert_int_equal(sizeof e.vote, 48);
    assert_int_equal(sizeof e.elector, 112);
    assert_int_equal(sizeof e.controller, 104);
    assert_int_equal(sizeof(struct scs_member_poll), 208);
    assert_int_equal(sizeof(struct scs_core_config), 24);
    assert_int_equal(sizeof(struct scs_action) - sizeof(struct record), 656);
    assert_int_equal(sizeof(struct scs_decision), 4616);
}

/* ---- agreement ---- */

/* The core that is fed from a journal notices when an event is another one than was written. */
static void another_event_is_another_digest(void **state)
{
    struct complaints complaints;
    struct scs_config *config = site_load(SITE, &complaints);
    struct scs_core *c = calloc(1, scs_core_size()), *other = calloc(1, scs_core_size());
    const struct scs_core_config cc = {.config = config, .term = 100};
    (void)state;
    scs_core_init(c, &cc, MONO_ZERO);
    scs_core_init(other, &cc, MONO_ZERO);
    struct scs_event up = {.type = SCS_EV_HOST_UP, .host = 0, .text = "one"};
    scs_core_step(c, &up, (mono_t){1000}, &actions);
    uint64_t first = digest_of(c);
    up.host = 1;
    scs_core_step(other, &up, (mono_t){1000}, &actions);
    assert_true(digest_of(other) != first);
    free(c);
    free(other);
    free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_come_back),
        cmocka_unit_test(start_and_end_come_back),
        cmocka_unit_test(another_format_names_its_version),
        cmocka_unit_test(little_room_writes_nothing_behind_it),
        cmocka_unit_test(too_long_is_no_entry),
        cmocka_unit_test(flipped_bits_are_found),
        cmocka_unit_test(made_up_bytes_are_held_to_the_bounds),
        cmocka_unit_test(no_head_has_no_length),
        cmocka_unit_test(hosts_beyond_the_configuration_do_not_fit),
        cmocka_unit_test(every_member_of_an_action_counts),
        cmocka_unit_test(nothing_was_added_unseen),
        cmocka_unit_test(another_event_is_another_digest),
    };
    seed_rng(&rng);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
