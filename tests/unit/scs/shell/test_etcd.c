/* scs/shell/etcd.c and etcd_json.c: the texts, a gateway that is not there or does not answer, and a real etcd on loopback with its data on a tmpfs. */
#include "common/io/loop.h"
#include "scs/shell/etcd_json.h"
#include "scs/shell/register.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE SPAN_S(5)

/* ---- texts ---- */

static int range(const char *text, struct scs_event *e)
{
    char reason[200];
    struct strbuf why;
    strbuf_init(&why, reason, sizeof reason);
    memset(e, 0, sizeof *e);
    return etcd_range_read(text, strlen(text), e, &why);
}

static int txn(const char *text, struct scs_event *e)
{
    char reason[200];
    struct strbuf why;
    strbuf_init(&why, reason, sizeof reason);
    memset(e, 0, sizeof *e);
    return etcd_txn_read(text, strlen(text), e, &why);
}

/* {"term":101,"owner":"scs2","counter":7,"config_hash":"ab"} */
#define VALUE "eyJ0ZXJtIjoxMDEsIm93bmVyIjoic2NzMiIsImNvdW50ZXIiOjcsImNvbmZpZ19oYXNoIjoiYWIifQ=="

static void answers_are_read(void **state)
{
    struct scs_event e;
    assert_int_equal(range("{\"header\":{\"revision\":\"9\"}}", &e), 0);
    assert_true(e.reg.ok && !e.reg.present);
    assert_int_equal(range("{\"header\":{\"revision\":\"9\"},\"kvs\":[{\"mod_revision\":\"8\",\"value\":\"" VALUE "\"}],\"count\":\"1\"}", &e), 0);
    assert_true(e.reg.ok && e.reg.present);
    assert_int_equal(e.reg.revision, 8);
    assert_int_equal(e.reg.value.term, 101);
    assert_int_equal(e.reg.value.counter, 7);
    assert_string_equal(e.reg.value.owner, "scs2");
    assert_string_equal(e.reg.value.config_hash, "ab");
    assert_int_equal(txn("{\"header\":{\"revision\":\"12\"},\"succeeded\":true,\"responses\":[{\"response_put\":{}}]}", &e), 0);
    assert_int_equal(e.reg.outcome, SWAP_DONE);
    assert_int_equal(e.reg.revision, 12);
    assert_int_equal(txn("{\"header\":{\"revision\":\"12\"},\"responses\":[{\"response_range\":{\"kvs\":[{\"mod_revision\":\"8\",\"value\":\"" VALUE "\"}]}}]}", &e), 0);
    assert_int_equal(e.reg.outcome, SWAP_LOST);
    assert_int_equal(e.reg.value.term, 101);
    assert_int_equal(txn("{\"header\":{\"revision\":\"12\"},\"responses\":[{\"response_range\":{}}]}", &e), 0);
    assert_int_equal(e.reg.outcome, SWAP_LOST);
    assert_false(e.reg.present);
}

static void odd_answers_are_refused(void **state)
{
    static const char *const ranges[] = {
        "", "[]", "{}", "null", "{\"header\":1}", "{\"header\":{},\"kvs\":[{}]}", "{\"header\":{},\"kvs\":[{\"mod_revision\":\"8\"}]}",
        "{\"header\":{},\"kvs\":[{\"mod_revision\":\"-8\",\"value\":\"" VALUE "\"}]}", "{\"header\":{},\"kvs\":[{\"mod_revision\":\"8x\",\"value\":\"" VALUE "\"}]}",
        "{\"header\":{},\"kvs\":[{\"mod_revision\":\"8\",\"value\":\"e30=\"}]}", /* {} */
        "{\"header\":{},\"kvs\":[{\"mod_revision\":\"8\",\"value\":\"!!\"}]}",
        "{\"header\":{},\"kvs\":[{\"mod_revision\":\"8\",\"value\":\"" VALUE "\"},{\"mod_revision\":\"9\",\"value\":\"" VALUE "\"}]}",
        "{\"header\":{},\"kvs\":[{\"mod_revision\":\"8\",\"value\":7}]}"};
    static const char *const txns[] = {"", "{}", "{\"header\":{},\"succeeded\":true}", "{\"header\":{\"revision\":\"1\"}}",
                                       "{\"header\":{\"revision\":\"1\"},\"responses\":[{\"response_put\":{}}]}"};
    struct scs_event e;
    char token[64], reason[100];
    struct strbuf why;
    for (unsigned i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        assert_int_equal(range(ranges[i], &e), -EPROTO);
        assert_false(e.reg.ok);
    }
    for (unsigned i = 0; i < sizeof txns / sizeof txns[0]; i++)
        assert_int_equal(txn(txns[i], &e), -EPROTO);
    strbuf_init(&why, reason, sizeof reason);
    assert_int_equal(etcd_login_read("{\"token\":\"a\\r\\nX: y\"}", 20, token, sizeof token, &why), -EPROTO);
    assert_int_equal(etcd_login_read("{\"token\":\"abc.1\"}", 17, token, sizeof token, &why), 0);
    assert_string_equal(token, "abc.1");
}

/* ---- a loop with one register ---- */

struct rig {
    struct loop *loop;
    struct etcd_register *reg;
    struct scs_event event;
    bool answered;
};

static mono_t rig_turn(void *arg, mono_t now)
{
    struct rig *r = arg;
    mono_t next = r->reg ? register_turn(r->reg, now) : MONO_NEVER;
    if (r->reg && register_next(r->reg, &r->event)) {
        r->answered = true;
        loop_stop(r->loop, 0);
    }
    return next;
}

static void rig_open(struct rig *r, const char *endpoints, const char *user, const char *password_file, span_t patience)
{
    char text[300];
    struct strbuf why;
    struct scs_options *o = calloc(1, sizeof *o);
    assert_non_null(o);
    memset(r, 0, sizeof *r);
    strbuf_init(&why, text, sizeof text);
    strcpy(o->site, "test");
    strcpy(o->etcd_prefix, "/understudy");
    strcpy(o->etcd_user, user);
    strcpy(o->etcd_password_file, password_file);
    char copy[1000];
    strcpy(copy, endpoints);
    for (char *w = strtok(copy, " "); w; w = strtok(NULL, " "))
        assert_true(words_add(&o->etcd_endpoints, w, strlen(w)));
    assert_int_equal(loop_open(rig_turn, r, &r->loop), 0);
    assert_int_equal(register_open(r->loop, o, patience, &why, &r->reg), 0);
    free(o);
}

static void rig_close(struct rig *r)
{
    register_close(r->reg);
    loop_close(r->loop);
}

static void rig_wait(struct rig *r)
{
    r->answered = false;
    while (!r->answered)
        loop_run(r->loop);
}

static void rig_read(struct rig *r)
{
    register_read(r->reg, clock_boot());
    rig_wait(r);
    assert_int_equal(r->event.type, SCS_EV_REGISTER_READ);
}

static void rig_swap(struct rig *r, int64_t revision, uint64_t term, uint64_t counter)
{
    struct authority_register v = {.term = term, .counter = counter, .owner = "scs1", .config_hash = "ab"};
    register_swap(r->reg, revision, &v, clock_boot());
    rig_wait(r);
    assert_int_equal(r->event.type, SCS_EV_REGISTER_SWAPPED);
}

/* A port of loopback; listening if `fd` is asked for. */
static uint16_t free_port(int *ret_fd)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    if (ret_fd) {
        assert_int_equal(listen(fd, 8), 0);
        *ret_fd = fd;
    } else {
        close(fd);
    }
    return ntohs(a.sin_port);
}

static void nobody_listens(void **state)
{
    struct rig r;
    char endpoints[100];
    snprintf(endpoints, sizeof endpoints, "http://127.0.0.1:%u http://127.0.0.1:%u", free_port(NULL), free_port(NULL));
    rig_open(&r, endpoints, "", "", PATIENCE);
    rig_read(&r);
    assert_false(r.event.reg.ok);
    assert_non_null(strstr(register_trouble(r.reg), "http://127.0.0.1:"));
    rig_swap(&r, 0, 100, 1);
    assert_int_equal(r.event.reg.outcome, SWAP_UNKNOWN);
    rig_close(&r);
}

/* Connections are taken by the kernel and nothing is ever said. */
static void nobody_answers(void **state)
{
    struct rig r;
    char endpoints[100];
    int fd;
    snprintf(endpoints, sizeof endpoints, "http://127.0.0.1:%u", free_port(&fd));
    rig_open(&r, endpoints, "", "", SPAN_MS(200));
    rig_swap(&r, 0, 100, 1);
    assert_int_equal(r.event.reg.outcome, SWAP_UNKNOWN);
    rig_read(&r);
    assert_false(r.event.reg.ok);
    rig_close(&r);
    close(fd);
}

static void password_is_kept_secret(void **state)
{
    char file[] = "/tmp/understudy-etcd-XXXXXX", text[300];
    struct strbuf why;
    struct etcd_register *reg;
    struct loop *loop;
    static struct scs_options o;
    int fd = mkstemp(file);
    assert_true(fd >= 0 && write(fd, "secret\n", 7) == 7 && fchmod(fd, 0644) == 0);
    strcpy(o.etcd_user, "scs");
    strcpy(o.etcd_password_file, file);
    assert_true(words_add(&o.etcd_endpoints, "http://127.0.0.1:1", 18));
    strbuf_init(&why, text, sizeof text);
    assert_int_equal(loop_open(rig_turn, NULL, &loop), 0);
    assert_int_equal(register_open(loop, &o, PATIENCE, &why, &reg), -EPERM);
    assert_non_null(strstr(text, "only its owner may read"));
    unlink(file);
    strbuf_reset(&why);
    assert_int_equal(register_open(loop, &o, PATIENCE, &why, &reg), -ENOENT);
    loop_close(loop);
    close(fd);
}

/* ---- a real one ---- */

static char etcd_dir[] = "/dev/shm/understudy-etcd-XXXXXX";
static pid_t etcd_pid;
static char etcd_url[64];

static int etcd_start(void **state)
{
    char peer[64], data[100], cluster[100], log[100];
    if (access("/usr/bin/etcd", X_OK) < 0 || !mkdtemp(etcd_dir))
        return 0;
    snprintf(etcd_url, sizeof etcd_url, "http://127.0.0.1:%u", free_port(NULL));
    snprintf(peer, sizeof peer, "http://127.0.0.1:%u", free_port(NULL));
    snprintf(data, sizeof data, "%s/data", etcd_dir);
    snprintf(log, sizeof log, "%s/log", etcd_dir);
    snprintf(cluster, sizeof cluster, "one=%s", peer);
    etcd_pid = fork();
    if (etcd_pid == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        dup2(fd, 1);
        dup2(fd, 2);
        execl("/usr/bin/etcd", "etcd", "--name", "one", "--data-dir", data, "--listen-client-urls", etcd_url, "--advertise-client-urls", etcd_url,
              "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", cluster, "--unsafe-no-fsync", (char *)NULL);
        execl("/usr/bin/etcd", "etcd", "--name", "one", "--data-dir", data, "--listen-client-urls", etcd_url, "--advertise-client-urls", etcd_url,
              "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", cluster, (char *)NULL);
        _exit(127);
    }
    return 0;
}

static void remove_tree(const char *dir)
{
    pid_t pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", dir, (char *)NULL);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
}

static int etcd_stop(void **state)
{
    if (etcd_pid > 0) {
        kill(etcd_pid, SIGKILL);
        waitpid(etcd_pid, NULL, 0);
        remove_tree(etcd_dir);
    }
    return 0;
}

/* Behind a first answer; it may take a while to start. */
static void rig_etcd(struct rig *r)
{
    char endpoints[200];
    if (etcd_pid <= 0)
        skip();
    snprintf(endpoints, sizeof endpoints, "http://127.0.0.1:%u %s", free_port(NULL), etcd_url);
    rig_open(r, endpoints, "", "", PATIENCE);
    mono_t give_up = mono_add(clock_boot(), SPAN_S(60));
    do
        rig_read(r);
    while (!r->event.reg.ok && mono_before(clock_boot(), give_up));
    assert_true(r->event.reg.ok);
}

static void real_etcd_compares_and_swaps(void **state)
{
    struct rig r;
    rig_etcd(&r);
    assert_false(r.event.reg.present);
    rig_swap(&r, 0, 100, 1);
    assert_int_equal(r.event.reg.outcome, SWAP_DONE);
    int64_t first = r.event.reg.revision;
    rig_swap(&r, 0, 104, 1); /* it is there by now */
    assert_int_equal(r.event.reg.outcome, SWAP_LOST);
    assert_true(r.event.reg.present);
    assert_int_equal(r.event.reg.value.term, 100);
    assert_int_equal(r.event.reg.revision, first);
    rig_swap(&r, first, 100, 2);
    assert_int_equal(r.event.reg.outcome, SWAP_DONE);
    assert_true(r.event.reg.revision > first);
    rig_swap(&r, first, 100, 3);
    assert_int_equal(r.event.reg.outcome, SWAP_LOST);
    assert_int_equal(r.event.reg.value.counter, 2);
    rig_read(&r);
    assert_true(r.event.reg.ok && r.event.reg.present);
    assert_string_equal(r.event.reg.value.owner, "scs1");
    assert_string_equal(register_trouble(r.reg), "");
    rig_close(&r);
}

/* A paused member: the swap may happen, later. */
static void real_etcd_is_paused(void **state)
{
    struct rig r;
    rig_etcd(&r);
    int64_t revision = r.event.reg.revision;
    register_set_patience(r.reg, SPAN_MS(300));
    kill(etcd_pid, SIGSTOP);
    rig_swap(&r, revision, 100, 50);
    assert_int_equal(r.event.reg.outcome, SWAP_UNKNOWN);
    kill(etcd_pid, SIGCONT);
    register_set_patience(r.reg, PATIENCE);
    mono_t give_up = mono_add(clock_boot(), SPAN_S(60));
    do
        rig_read(&r);
    while (!r.event.reg.ok && mono_before(clock_boot(), give_up));
    assert_true(r.event.reg.ok);
    int64_t there = r.event.reg.revision;
    rig_swap(&r, there, 100, 51);
    /* The one before may have arrived between the two. */
    if (r.event.reg.outcome == SWAP_LOST) {
        assert_int_equal(r.event.reg.value.counter, 50);
        rig_swap(&r, r.event.reg.revision, 100, 51);
    }
    assert_int_equal(r.event.reg.outcome, SWAP_DONE);
    rig_close(&r);
}

static void post(const char *path, const char *body)
{
    char url[200];
    snprintf(url, sizeof url, "%s%s", etcd_url, path);
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, 1);
        execl("/usr/bin/python3", "python3", "-c",
              "import sys, urllib.request as u\nu.urlopen(u.Request(sys.argv[1], sys.argv[2].encode()), timeout=20).read()", url, body, (char *)NULL);
        _exit(127);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

/* Last: from here on the member wants to know who asks. */
static void real_etcd_wants_a_password(void **state)
{
    struct rig r;
    char file[100];
    rig_etcd(&r);
    post("/v3/auth/user/add", "{\"name\":\"root\",\"password\":\"r\"}");
    post("/v3/auth/user/grant", "{\"user\":\"root\",\"role\":\"root\"}");
    post("/v3/auth/user/add", "{\"name\":\"scs\",\"password\":\"s e\\\"c\"}");
    post("/v3/auth/role/add", "{\"name\":\"scs\"}");
    /* /understudy/ to /understudy0 */
    post("/v3/auth/role/grant", "{\"name\":\"scs\",\"perm\":{\"permType\":\"READWRITE\",\"key\":\"L3VuZGVyc3R1ZHkv\",\"range_end\":\"L3VuZGVyc3R1ZHkw\"}}");
    post("/v3/auth/user/grant", "{\"user\":\"scs\",\"role\":\"scs\"}");
    post("/v3/auth/enable", "{}");
    rig_read(&r);
    assert_false(r.event.reg.ok);
    assert_non_null(strstr(register_trouble(r.reg), "user name is empty"));
    rig_close(&r);

    snprintf(file, sizeof file, "%s/password", etcd_dir);
    int fd = open(file, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, "s e\"c\nnot this\n", 15), 15);
    close(fd);
    rig_open(&r, etcd_url, "scs", file, PATIENCE);
    rig_read(&r);
    assert_true(r.event.reg.ok);
    rig_swap(&r, r.event.reg.revision, 200, 1);
    assert_int_equal(r.event.reg.outcome, SWAP_DONE);
    rig_close(&r);

    fd = open(file, O_WRONLY | O_TRUNC, 0600);
    assert_int_equal(write(fd, "wrong", 5), 5);
    close(fd);
    rig_open(&r, etcd_url, "scs", file, PATIENCE);
    rig_read(&r);
    assert_false(r.event.reg.ok);
    assert_non_null(strstr(register_trouble(r.reg), "authentication failed"));
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_read),
        cmocka_unit_test(odd_answers_are_refused),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(nobody_answers),
        cmocka_unit_test(password_is_kept_secret),
        cmocka_unit_test(real_etcd_compares_and_swaps),
        cmocka_unit_test(real_etcd_is_paused),
        cmocka_unit_test(real_etcd_wants_a_password),
    };
    return cmocka_run_group_tests(tests, etcd_start, etcd_stop);
}
