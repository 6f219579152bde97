/* The library against an agent of this test: one socket, one lease word, packets by the agent's own code. There is one handle per process, so the cases stand in
 * an order: first without a lease word, then with one. */
#include "lca/client/lca.h"
/* Both sides have events of their own. */
#define lca_event core_event
#define lca_event_type core_event_type
#include "lca/core/app_wire.h"
#undef lca_event
#undef lca_event_type
#include "common/base/lease_word.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
/* cmocka wants the four above */
#include <cmocka.h>

#define START_ID UINT64_C(0xabcdef0123456789)

static char dir[64], socket_path[96], word_path[96];
static int listener, peer = -1;
static void *word_page;
static struct lca *l;
static struct lca_event seen; /* the newest event */
static uint8_t memory[WIRE_ARENA];
static struct arena arena;

/* --- the agent --- */

static void agent_listens(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    strcpy(a.sun_path, socket_path);
    unlink(socket_path);
    listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(listener, 5), 0);
}

static void agent_says(const struct lca_action *action)
{
    uint8_t bytes[APP_PACKET_MAX];
    int n = lca_app_wire_pack(action, bytes, sizeof bytes);
    assert_int_equal(send(peer, bytes, (size_t)n, 0), n);
}

/* The next packet of the library, which has been made to say it. */
static struct core_event agent_hears(void)
{
    uint8_t bytes[APP_PACKET_MAX];
    char text[200];
    struct strbuf why;
    struct core_event e;
    strbuf_init(&why, text, sizeof text);
    arena_init(&arena, memory, sizeof memory);
    ssize_t n = recv(peer, bytes, sizeof bytes, 0);
    assert_true(n > 0);
    assert_int_equal(lca_app_wire_read(bytes, (size_t)n, &arena, &e, &why), 0);
    return e;
}

static bool agent_hears_nothing(void)
{
    struct pollfd p = {.fd = peer, .events = POLLIN};
    return poll(&p, 1, 0) == 0;
}

static struct core_event agent_accepts(void)
{
    peer = accept(listener, NULL, NULL);
    assert_true(peer >= 0);
    return agent_hears();
}

static void agent_leaves(void)
{
    close(peer);
    peer = -1;
}

/* --- the application --- */

/* Waits for the next event of the library. */
static enum lca_event_type next_event(void)
{
    for (int i = 0; i < 1000; i++) {
        struct pollfd p = {.fd = lca_fd(l), .events = lca_events(l)};
        assert_int_equal(lca_process(l), 0);
        if (lca_next(l, &seen) == 1)
            return seen.type;
        int ms = lca_timeout(l);
        poll(&p, 1, ms < 0 || ms > 20 ? 20 : ms);
    }
    fail_msg("no event came");
    return 0;
}

/* Until the library has connected. */
static void connects(void)
{
    struct pollfd p = {.fd = listener, .events = POLLIN};
    for (int i = 0; i < 1000 && poll(&p, 1, 5) == 0; i++)
        lca_process(l);
}

static void registers(enum app_role role)
{
    connects();
    struct core_event e = agent_accepts();
    assert_int_equal(e.type, LCA_EV_APP_LINK_BACK);
    assert_string_equal(e.name, "app");
    assert_true(e.start_id == START_ID && e.link.role == role);
    agent_says(&(struct lca_action){.app_message = APP_MSG_REGISTERED, .role = role, .controlled = true, .fencing = SPAN_MS(5), .margin = SPAN_MS(5)});
    assert_int_equal(next_event(), LCA_EVENT_REGISTERED);
    assert_true(seen.controlled && lca_is_connected(l));
}

static void opens(enum app_role role)
{
    assert_int_equal(lca_open(&l), 0);
    registers(role);
}

static void closes(void)
{
    lca_close(l);
    l = NULL;
    agent_leaves();
}

/* The agent orders, the application answers, the agent hears it. */
static void becomes(enum app_role role, uint64_t term, uint64_t n)
{
    agent_says(&(struct lca_action){.app_message = APP_MSG_ROLE, .nonce = 77 + n, .role = role, .epoch = {term, n}, .fencing = SPAN_S(5)});
    assert_int_equal(next_event(), LCA_EVENT_ROLE);
    assert_int_equal(lca_answer(l, seen.id, LCA_ACCEPT, NULL), 0);
    struct core_event e = agent_hears();
    assert_true(e.type == LCA_EV_APP_ANSWER && e.said.id == 77 + n && e.said.code == LINK_ACCEPTED);
}

static int64_t boot_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static struct lease_word word_of(int64_t left_ms, uint64_t term, uint64_t n)
{
    struct lease_word w = {.end_ns = boot_ns() + left_ms * 1000000, .term = term, .n = n, .start_id = START_ID};
    char text[64];
    struct stat st;
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY);
    ssize_t got = read(fd, text, sizeof text);
    close(fd);
    assert_true(got > 0 && boot_id_parse(text, (size_t)got, w.boot_id));
    assert_int_equal(stat("/proc/self/ns/time", &st), 0);
    w.time_namespace = st.st_ino;
    return w;
}

static void lease(int64_t left_ms, uint64_t term, uint64_t n)
{
    const struct lease_word w = word_of(left_ms, term, n);
    lease_word_write(word_page, &w);
}

/* --- without a lease word --- */

static void nothing_without_lca(void **state)
{
    unsetenv("LCA_START_ID");
    assert_int_equal(lca_open(&l), 1);
    setenv("LCA_START_ID", "no number", 1);
    assert_int_equal(lca_open(&l), -EINVAL);
    setenv("LCA_START_ID", "abcdef0123456789", 1);
    assert_int_equal(lca_process(NULL), -EBADF);
    assert_false(lca_is_primary(NULL, NULL));
    lca_close(NULL);
}

static void one_handle(void **state)
{
    struct lca *other;
    opens(APP_BACKUP);
    assert_int_equal(lca_open(&other), -EBUSY);
    closes();
    assert_int_equal(lca_open(&l), 0); /* again, after close */
    registers(APP_BACKUP);
    closes();
}

static void the_accepted_role_counts_without_a_lease(void **state)
{
    struct lca_epoch e;
    opens(APP_BACKUP);
    assert_false(lca_is_primary(l, &e));
    becomes(APP_PRIMARY, 5, 1);
    assert_true(lca_is_primary(l, &e) && e.term == 5 && e.n == 1);
    becomes(APP_BACKUP, 5, 1);
    assert_false(lca_is_primary(l, &e));
    closes();
}

static void status_is_told_at_once_and_kept(void **state)
{
    opens(APP_BACKUP);
    assert_int_equal(lca_set_status(l, LCA_SERVICE_UNAVAILABLE, "disk full"), 0);
    struct core_event e = agent_hears();
    assert_true(e.type == LCA_EV_APP_STATUS && e.link.status == APP_SERVICE_UNAVAILABLE);
    assert_string_equal(e.link.text, "disk full");
    for (int status = -1; status < 20; status++)
        if (status < 6 || status > 10)
            assert_int_equal(lca_set_status(l, (enum lca_status)status, NULL), -EINVAL);
    agent_leaves();
    assert_int_equal(next_event(), LCA_EVENT_DISCONNECTED);
    assert_int_equal(lca_set_status(l, LCA_STARTED, "control\nbytes"), 0);
    connects();
    e = agent_accepts();
    assert_true(e.type == LCA_EV_APP_LINK_BACK && e.link.status == APP_STARTED);
    assert_string_equal(e.link.text, "");
    closes();
}

static void refused_is_tried_again_later(void **state)
{
    uint8_t bytes[200];
    assert_int_equal(lca_open(&l), 0);
    connects();
    agent_accepts();
    int n = lca_app_wire_refused("another speaks for it", bytes, sizeof bytes);
    assert_int_equal(send(peer, bytes, (size_t)n, 0), n);
    assert_int_equal(next_event(), LCA_EVENT_REFUSED);
    assert_string_equal(seen.reason, "another speaks for it");
    assert_true(lca_timeout(l) > 1000 && !lca_is_connected(l));
    closes();
}

static void commands_are_answered_once(void **state)
{
    const char *const words[] = {"flush", "all tables"};
    char text[LCA_REPLY_MAX + 2];
    opens(APP_BACKUP);
    agent_says(&(struct lca_action){.app_message = APP_MSG_COMMAND, .nonce = 4, .n_words = 2, .words = words});
    assert_int_equal(next_event(), LCA_EVENT_COMMAND);
    assert_true(seen.n_words == 2 && strcmp(seen.words[1], "all tables") == 0);
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(lca_reply(l, 4, 0, text), -EMSGSIZE);
    assert_int_equal(lca_reply(l, 5, 0, NULL), -ENOENT);
    assert_int_equal(lca_reply(l, 4, 3, "no"), 0);
    struct core_event e = agent_hears();
    assert_true(e.type == LCA_EV_APP_REPLY && e.said.id == 4 && e.said.code == 3);
    assert_int_equal(lca_reply(l, 4, 3, "no"), -ENOENT);
    closes();
}

static void beats_and_marks_are_told_when_they_are_due(void **state)
{
    opens(APP_BACKUP);
    lca_heartbeat(l, 0);
    lca_heartbeat(l, 9);
    lca_heartbeat(l, 10); /* there is no such class */
    lca_set_mark(l, 100, 90);
    bool beat = false, mark = false;
    while (!beat || !mark) {
        struct pollfd p = {.fd = lca_fd(l), .events = lca_events(l)};
        poll(&p, 1, lca_timeout(l));
        lca_process(l);
        if (agent_hears_nothing())
            continue;
        struct core_event e = agent_hears();
        beat = beat || (e.type == LCA_EV_APP_BEAT && e.beat.classes == (1u | 1u << 9));
        mark = mark || (e.type == LCA_EV_APP_MARK && e.link.position == 100 && e.link.acknowledged == 90);
    }
    closes();
}

static void an_order_answered_while_lca_is_away(void **state)
{
    opens(APP_BACKUP);
    agent_says(&(struct lca_action){.app_message = APP_MSG_ROLE, .nonce = 9, .role = APP_PRIMARY, .epoch = {6, 1}, .fencing = SPAN_S(5)});
    assert_int_equal(next_event(), LCA_EVENT_ROLE);
    uint64_t id = seen.id;
    agent_leaves();
    assert_int_equal(next_event(), LCA_EVENT_DISCONNECTED);
    assert_int_equal(lca_answer(l, id, LCA_LATER, NULL), 0);
    assert_int_equal(lca_answer(l, id, LCA_ACCEPT, NULL), 0);
    assert_int_equal(lca_answer(l, id, LCA_ACCEPT, NULL), -ENOENT);
    connects();
    struct core_event e = agent_accepts();
    assert_true(e.link.role == APP_PRIMARY && e.link.epoch.term == 6);
    closes();
}

static void lower_epochs_are_declined(void **state)
{
    opens(APP_BACKUP);
    becomes(APP_PRIMARY, 7, 5);
    becomes(APP_BACKUP, 7, 5);
    agent_says(&(struct lca_action){.app_message = APP_MSG_ROLE, .nonce = 3, .role = APP_PRIMARY, .epoch = {7, 4}, .fencing = SPAN_S(5)});
    assert_int_equal(lca_next(l, &seen), 0); /* the application is not even asked */
    struct core_event e = agent_hears();
    assert_true(e.type == LCA_EV_APP_ANSWER && e.said.id == 3 && e.said.code == LINK_DECLINED);
    agent_says(&(struct lca_action){.app_message = APP_MSG_ROLE, .nonce = 4, .role = APP_BACKUP, .epoch = {7, 5}, .fencing = SPAN_S(5)});
    assert_int_equal(next_event(), LCA_EVENT_ROLE);
    assert_int_equal(lca_answer(l, 4, LCA_DECLINE, NULL), -EINVAL); /* a demotion is no question */
    becomes(APP_PRIMARY, 7, 6);
    assert_true(lca_is_primary(l, NULL));
    closes();
}

static void a_child_has_no_connection(void **state)
{
    opens(APP_BACKUP);
    becomes(APP_PRIMARY, 8, 1);
    pid_t pid = fork();
    if (pid == 0) {
        struct lca *other;
        bool dumb = lca_process(l) == -ECHILD && lca_next(l, &seen) == -ECHILD && lca_fd(l) == -ECHILD && lca_open(&other) == -ECHILD &&
                    lca_set_status(l, LCA_STARTED, NULL) == -ECHILD && !lca_is_connected(l);
        lca_heartbeat(l, 3);
        lca_close(l);
        _exit(dumb && lca_is_primary(l, NULL) ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(lca_is_connected(l));
    struct core_event e = {.type = LCA_EV_APP_STATUS};
    while (e.type != LCA_EV_APP_BEAT) { /* the child's heartbeat is the parent's to tell */
        lca_process(l);
        if (!agent_hears_nothing())
            e = agent_hears();
    }
    assert_true(e.beat.classes == 1u << 3);
    closes();
}

/* --- with one --- */

static void primary_is_role_and_word(void **state)
{
    struct lca_epoch e = {0, 0};
    setenv("LCA_LEASE_WORD", word_path, 1);
    opens(APP_BACKUP);
    lease(60000, 9, 1);
    assert_false(lca_is_primary(l, NULL)); /* granted, and not agreed to */
    becomes(APP_PRIMARY, 9, 1);
    assert_true(lca_is_primary(l, &e) && e.term == 9 && e.n == 1);
    for (int i = 0; i < 1000; i++)
        assert_true(lca_is_primary(l, NULL));
    lease(-1, 9, 1); /* over */
    assert_false(lca_is_primary(l, NULL));
    lease(60000, 9, 1);
    assert_true(lca_is_primary(l, NULL));
    lease(60000, 9, 2); /* another epoch than the one agreed to */
    assert_false(lca_is_primary(l, NULL));
    struct lease_word other = word_of(60000, 9, 1);
    other.start_id++;
    lease_word_write(word_page, &other);
    assert_false(lca_is_primary(l, NULL));
    other = word_of(60000, 9, 1);
    other.boot_id[3] ^= 1;
    lease_word_write(word_page, &other);
    assert_false(lca_is_primary(l, NULL));
    lease(60000, 9, 1);
    assert_true(lca_is_primary(l, NULL));
    becomes(APP_BACKUP, 9, 1); /* handed back although the word still runs */
    assert_false(lca_is_primary(l, NULL));
    closes();
}

static void it_ends_by_itself(void **state)
{
    opens(APP_BACKUP);
    lease(300, 9, 9);
    becomes(APP_PRIMARY, 9, 9);
    bool was = lca_is_primary(l, NULL);
    while (boot_ns() < (int64_t)((uint64_t *)word_page)[2] + 1) /* the word's end: nobody writes meanwhile */
        ;
    assert_true(was);
    assert_false(lca_is_primary(l, NULL));
    closes();
}

static void a_damaged_word_is_none(void **state)
{
    opens(APP_BACKUP);
    becomes(APP_PRIMARY, 10, 1);
    lease(60000, 10, 1);
    ((uint64_t *)word_page)[2]++; /* a stray write */
    assert_false(lca_is_primary(l, NULL));
    lease(60000, 10, 1);
    assert_true(lca_is_primary(l, NULL));
    ((uint64_t *)word_page)[0]++; /* a writer that died in the middle */
    assert_false(lca_is_primary(l, NULL));
    lease(60000, 10, 1);
    closes();
    assert_false(lca_is_primary(l, NULL));
}

static int group_begin(void **state)
{
    strcpy(dir, "/tmp/us-client-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(socket_path, sizeof socket_path, "%s/app.sock", dir);
    snprintf(word_path, sizeof word_path, "%s/word", dir);
    int fd = open(word_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, LEASE_WORD_SIZE), 0);
    word_page = mmap(NULL, LEASE_WORD_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    agent_listens();
    setenv("LCA_APPLICATION", "app", 1);
    setenv("LCA_SOCKET", socket_path, 1);
    setenv("LCA_ROLE", "backup", 1);
    unsetenv("LCA_LEASE_WORD");
    return 0;
}

static int group_end(void **state)
{
    unlink(socket_path);
    unlink(word_path);
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_without_lca),
        cmocka_unit_test(one_handle),
        cmocka_unit_test(the_accepted_role_counts_without_a_lease),
        cmocka_unit_test(status_is_told_at_once_and_kept),
        cmocka_unit_test(refused_is_tried_again_later),
        cmocka_unit_test(commands_are_answered_once),
        cmocka_unit_test(beats_and_marks_are_told_when_they_are_due),
        cmocka_unit_test(an_order_answered_while_lca_is_away),
        cmocka_unit_test(lower_epochs_are_declined),
        cmocka_unit_test(a_child_has_no_connection),
        cmocka_unit_test(primary_is_role_and_word),
        cmocka_unit_test(it_ends_by_itself),
        cmocka_unit_test(a_damaged_word_is_none),
    };
    return cmocka_run_group_tests(tests, group_begin, group_end);
}
