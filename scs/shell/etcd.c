/* The register as a key of an etcd cluster, over its JSON gateway with libcurl on this loop (see register.h).
 *
 * It owns one question at a time: which endpoint is asked, when the next one is tried, when it is given up. A read goes on to the next endpoint whatever failed; a swap only
 * where the request certainly never left, because one that left may happen at any time: then it is SWAP_UNKNOWN. It refuses to judge what the register says. libcurl runs in its
 * multi-socket form: nothing here waits, names are not looked up (endpoints are numeric), no proxy, no redirect. A question that a token does not permit any more logs in again.
 * Instants are the loop's; libcurl's own timers only serve its inside. */
#include "scs/shell/etcd_json.h"
#include "scs/shell/register.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOCKETS_MAX 16
#define ANSWER_MAX 16384
#define PATIENCE_TO_BEGIN SPAN_S(1)
#define TOKEN_MAX 512

struct etcd_socket {
    struct etcd_register *of;
    struct loop_io io; /* fd -1: free */
};

enum question { QUESTION_NONE, QUESTION_LOGIN, QUESTION_RANGE, QUESTION_TXN };

struct etcd_register {
    struct loop *loop;
    CURLM *multi;
    CURL *easy;
    struct curl_slist *headers;
    struct etcd_socket sockets[SOCKETS_MAX];
    struct words endpoints;
    unsigned endpoint, tried; /* index of the one that is asked; how many were, for this question */
    char key[ETCD_KEY_MAX], user[64], password[256], token[TOKEN_MAX];
    char ca[200], certificate[200], private_key[200];
    span_t patience;
    bool works; /* the last question was answered: from a connection that is open and a login that holds, answers are quick */
    mono_t curl_at, deadline;
    enum question asked, wanted; /* wanted: behind a login */
    bool logged_in_again;        /* for this question */
    char *body, *wanted_body;
    size_t n;
    char answer[ANSWER_MAX];
    bool done; /* `event` is to be taken */
    struct scs_event event;
    char trouble[200];
};

/* ---- libcurl and the loop ---- */

/* Connecting with TLS and logging in (a slow hash on purpose) take longer than a refresh may: nothing is lost by that while there is no answer anyway. */
static span_t allowed(const struct etcd_register *r)
{
    return r->works ? r->patience : span_max(r->patience, PATIENCE_TO_BEGIN);
}

static void run_socket(struct etcd_register *r, curl_socket_t fd, int events)
{
    int running;
    (void)curl_multi_socket_action(r->multi, fd, events, &running);
}

static void socket_ready(void *arg, unsigned ready, mono_t now)
{
    struct etcd_socket *k = arg;
    run_socket(k->of, k->io.fd, ((ready & LOOP_READ) ? CURL_CSELECT_IN : 0) | ((ready & LOOP_WRITE) ? CURL_CSELECT_OUT : 0));
}

static struct etcd_socket *socket_place(struct etcd_register *r, curl_socket_t fd)
{
    struct etcd_socket *place = NULL;
    for (unsigned i = 0; i < SOCKETS_MAX; i++) {
        if (r->sockets[i].io.fd == fd)
            return &r->sockets[i];
        if (r->sockets[i].io.fd < 0)
            place = &r->sockets[i];
    }
    return place;
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *of_socket)
{
    struct etcd_register *r = arg;
    struct etcd_socket *k = socket_place(r, fd);
    if (!k)
        return -1;
    if (what == CURL_POLL_REMOVE) {
        if (k->io.fd == fd)
            loop_remove(r->loop, &k->io);
        k->io.fd = -1;
        return 0;
    }
    unsigned want = ((what & CURL_POLL_IN) ? LOOP_READ : 0u) | ((what & CURL_POLL_OUT) ? LOOP_WRITE : 0u);
    if (k->io.fd == fd) {
        loop_want(r->loop, &k->io, want);
        return 0;
    }
    k->io = (struct loop_io){.fd = fd, .want = want, .fn = socket_ready, .arg = k};
    if (loop_add(r->loop, &k->io) < 0) {
        k->io.fd = -1;
        return -1;
    }
    return 0;
}

static int watch_timer(CURLM *multi, long ms, void *arg)
{
    struct etcd_register *r = arg;
    r->curl_at = ms < 0 ? MONO_NEVER : mono_add(loop_now(r->loop), SPAN_MS(ms));
    return 0;
}

static size_t take_bytes(char *bytes, size_t size, size_t n, void *arg)
{
    struct etcd_register *r = arg;
    if (n * size > ANSWER_MAX - r->n)
        return 0; /* libcurl ends the transfer */
    memcpy(r->answer + r->n, bytes, n * size);
    r->n += n * size;
    return n * size;
}

/* ---- questions ---- */

static const char *endpoint_at(const struct etcd_register *r)
{
    const char *url = words_at(&r->endpoints, r->endpoint);
    return url ? url : "";
}

static const char *question_path(enum question q)
{
    static const char *const paths[] = {
        [QUESTION_NONE] = "", [QUESTION_LOGIN] = "/v3/auth/authenticate", [QUESTION_RANGE] = "/v3/kv/range", [QUESTION_TXN] = "/v3/kv/txn"};
    return paths[q];
}

static void set_headers(struct etcd_register *r)
{
    char line[TOKEN_MAX + 32];
    curl_slist_free_all(r->headers);
    r->headers = curl_slist_append(NULL, "Content-Type: application/json");
    r->headers = r->headers ? curl_slist_append(r->headers, "Expect:") : NULL;
    if (r->headers && r->token[0] && r->asked != QUESTION_LOGIN) {
        (void)snprintf(line, sizeof(line), "Authorization: %s", r->token);
        struct curl_slist *longer = curl_slist_append(r->headers, line);
        r->headers = longer ? longer : r->headers;
    }
    curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, r->headers);
}

/* An endpoint that is not there costs a third of the patience, so that another one is reached in time. */
static void set_options(struct etcd_register *r, span_t left)
{
    char url[WORDS_TEXT + 64];
    const char *base = endpoint_at(r);
    size_t n = strlen(base);
    while (n && base[n - 1] == '/')
        n--;
    (void)snprintf(url, sizeof(url), "%.*s%s", (int)n, base, question_path(r->asked));
    long ms = (long)span_to_ms(left), third = (long)span_to_ms(allowed(r)) / 3;
    curl_easy_setopt(r->easy, CURLOPT_URL, url);
    curl_easy_setopt(r->easy, CURLOPT_POSTFIELDS, r->body);
    curl_easy_setopt(r->easy, CURLOPT_POSTFIELDSIZE, (long)strlen(r->body));
    curl_easy_setopt(r->easy, CURLOPT_TIMEOUT_MS, ms > 0 ? ms : 1L);
    curl_easy_setopt(r->easy, CURLOPT_CONNECTTIMEOUT_MS, third > 0 ? third : 1L);
    set_headers(r);
}

static void finish(struct etcd_register *r)
{
    free(r->body);
    free(r->wanted_body);
    r->body = r->wanted_body = NULL;
    r->asked = r->wanted = QUESTION_NONE;
    r->deadline = MONO_NEVER;
    r->done = true;
}

static void set_trouble(struct etcd_register *r, const char *what)
{
    struct strbuf b;
    strbuf_init(&b, r->trouble, sizeof(r->trouble));
    strbuf_printf(&b, "%s: %s", endpoint_at(r), what);
}

/* No answer. Whatever was asked, the next question goes to another endpoint. */
static void give_up(struct etcd_register *r, const char *what)
{
    bool swap = r->asked == QUESTION_TXN || r->wanted == QUESTION_TXN;
    set_trouble(r, what);
    r->works = false;
    r->endpoint = (r->endpoint + 1) % r->endpoints.count;
    r->event = (struct scs_event){.type = swap ? SCS_EV_REGISTER_SWAPPED : SCS_EV_REGISTER_READ, .host = SCS_NONE};
    r->event.reg.outcome = SWAP_UNKNOWN;
    finish(r);
}

static void begin(struct etcd_register *r, mono_t now)
{
    r->n = 0;
    set_options(r, mono_sub(r->deadline, now));
    if (!r->headers || curl_multi_add_handle(r->multi, r->easy) != CURLM_OK)
        give_up(r, "no memory");
}

/* A login comes first where a user is configured and no token is held. */
static void ask(struct etcd_register *r, enum question q, char *body, mono_t now)
{
    r->done = false;
    r->tried = 0;
    r->logged_in_again = false;
    r->deadline = mono_add(now, allowed(r));
    r->asked = q;
    r->body = body;
    if (r->user[0] && !r->token[0] && body) {
        r->wanted = q;
        r->wanted_body = body;
        r->asked = QUESTION_LOGIN;
        r->body = etcd_login_body(r->user, r->password);
    }
    if (!r->body) {
        give_up(r, "no memory");
        return;
    }
    begin(r, now);
}

void register_read(struct etcd_register *r, mono_t now)
{
    ask(r, QUESTION_RANGE, etcd_range_body(r->key), now);
}

void register_swap(struct etcd_register *r, int64_t revision, const struct authority_register *value, mono_t now)
{
    ask(r, QUESTION_TXN, etcd_txn_body(r->key, revision, value), now);
}

/* ---- answers ---- */

/* Did the request certainly stay here? */
static bool never_left(const struct etcd_register *r, CURLcode code)
{
    curl_off_t sent = 0;
    long request = 0;
    if (code == CURLE_COULDNT_CONNECT || code == CURLE_SSL_CONNECT_ERROR || code == CURLE_PEER_FAILED_VERIFICATION)
        return true;
    (void)curl_easy_getinfo(r->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    (void)curl_easy_getinfo(r->easy, CURLINFO_REQUEST_SIZE, &request);
    return code == CURLE_OPERATION_TIMEDOUT && sent == 0 && request == 0;
}

static void failed(struct etcd_register *r, CURLcode code, mono_t now)
{
    bool again = r->asked != QUESTION_TXN || never_left(r, code);
    if (++r->tried >= r->endpoints.count || !again || mono_reached(r->deadline, now)) {
        give_up(r, curl_easy_strerror(code));
        return;
    }
    r->endpoint = (r->endpoint + 1) % r->endpoints.count;
    begin(r, now);
}

static void logged_in(struct etcd_register *r, mono_t now)
{
    char text[160];
    struct strbuf why;
    strbuf_init(&why, text, sizeof(text));
    if (etcd_login_read(r->answer, r->n, r->token, sizeof(r->token), &why) < 0) {
        give_up(r, text);
        return;
    }
    free(r->body);
    r->body = r->wanted_body;
    r->asked = r->wanted;
    r->wanted_body = NULL;
    r->wanted = QUESTION_NONE;
    begin(r, now);
}

static void answered(struct etcd_register *r, mono_t now)
{
    char text[160];
    struct strbuf why;
    strbuf_init(&why, text, sizeof(text));
    if (r->asked == QUESTION_LOGIN) {
        logged_in(r, now);
        return;
    }
    bool swap = r->asked == QUESTION_TXN;
    r->event = (struct scs_event){.type = swap ? SCS_EV_REGISTER_SWAPPED : SCS_EV_REGISTER_READ, .host = SCS_NONE};
    int n = swap ? etcd_txn_read(r->answer, r->n, &r->event, &why) : etcd_range_read(r->answer, r->n, &r->event, &why);
    if (n < 0) {
        give_up(r, text);
        return;
    }
    r->trouble[0] = '\0';
    r->works = true;
    finish(r);
}

/* A token that has run out, that another member does not know, or that is older than a change of rights: refused before anything is done. */
static bool login_again(struct etcd_register *r, long status, mono_t now)
{
    if ((status != 401 && status != 400) || !r->user[0] || r->asked == QUESTION_LOGIN || r->logged_in_again)
        return false;
    r->logged_in_again = true;
    r->token[0] = '\0';
    r->wanted = r->asked;
    r->wanted_body = r->body;
    r->asked = QUESTION_LOGIN;
    r->body = etcd_login_body(r->user, r->password);
    if (r->body)
        begin(r, now);
    else
        give_up(r, "no memory");
    return true;
}

static void refused(struct etcd_register *r, long status, mono_t now)
{
    char text[160];
    struct strbuf what;
    strbuf_init(&what, text, sizeof(text));
    if (login_again(r, status, now))
        return;
    strbuf_printf(&what, "status %ld, ", status);
    if (!etcd_error_read(r->answer, r->n, &what))
        strbuf_add(&what, "without a reason");
    give_up(r, text);
}

static void complete(struct etcd_register *r, CURLcode code, mono_t now)
{
    long status = 0;
    (void)curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK)
        failed(r, code, now);
    else if (status == 200)
        answered(r, now);
    else
        refused(r, status, now);
}

mono_t register_turn(struct etcd_register *r, mono_t now)
{
    CURLMsg *m;
    int left;
    if (mono_reached(r->curl_at, now)) {
        r->curl_at = MONO_NEVER;
        run_socket(r, CURL_SOCKET_TIMEOUT, 0);
    }
    while ((m = curl_multi_info_read(r->multi, &left))) {
        CURLcode code = m->data.result;
        if (m->msg != CURLMSG_DONE)
            continue;
        curl_multi_remove_handle(r->multi, r->easy);
        complete(r, code, now);
    }
    if (mono_reached(r->deadline, now)) {
        curl_multi_remove_handle(r->multi, r->easy);
        give_up(r, "no answer in time");
    }
    return r->done ? now : mono_min(r->curl_at, r->deadline);
}

bool register_next(struct etcd_register *r, struct scs_event *ret_event)
{
    if (!r->done)
        return false;
    r->done = false;
    *ret_event = r->event;
    return true;
}

const char *register_trouble(const struct etcd_register *r)
{
    return r->trouble;
}

const char *register_endpoint(const struct etcd_register *r)
{
    return endpoint_at(r);
}

/* ---- start and end ---- */

/* The first line of a file that only its owner may read. */
static int password_read(const char *file, char *out, size_t size, struct strbuf *why)
{
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    ssize_t n = fd >= 0 && fstat(fd, &st) == 0 ? read(fd, out, size - 1) : -1;
    int error = errno;
    if (fd >= 0)
        close(fd);
    if (n < 0) {
        strbuf_printf(why, "etcd-password-file %s cannot be read: %s", file, strerror(error));
        return -error;
    }
    if (!S_ISREG(st.st_mode) || (st.st_mode & 077)) {
        strbuf_printf(why, "etcd-password-file %s must be a file that only its owner may read", file);
        return -EPERM;
    }
    out[n] = '\0';
    out[strcspn(out, "\r\n")] = '\0';
    return 0;
}

static void set_standing(struct etcd_register *r)
{
    curl_easy_setopt(r->easy, CURLOPT_POST, 1L);
    curl_easy_setopt(r->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(r->easy, CURLOPT_PROXY, "");
    curl_easy_setopt(r->easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(r->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(r->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(r->easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(r->easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(r->easy, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(r->easy, CURLOPT_WRITEDATA, r);
    curl_easy_setopt(r->easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(r->easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(r->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (r->ca[0])
        curl_easy_setopt(r->easy, CURLOPT_CAINFO, r->ca);
    if (r->certificate[0])
        curl_easy_setopt(r->easy, CURLOPT_SSLCERT, r->certificate);
    if (r->private_key[0])
        curl_easy_setopt(r->easy, CURLOPT_SSLKEY, r->private_key);
    curl_multi_setopt(r->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    curl_multi_setopt(r->multi, CURLMOPT_SOCKETDATA, r);
    curl_multi_setopt(r->multi, CURLMOPT_TIMERFUNCTION, watch_timer);
    curl_multi_setopt(r->multi, CURLMOPT_TIMERDATA, r);
    curl_multi_setopt(r->multi, CURLMOPT_MAXCONNECTS, (long)SOCKETS_MAX / 2);
}

static void take_options(struct etcd_register *r, const struct scs_options *o)
{
    r->endpoints = o->etcd_endpoints;
    etcd_key(o, r->key);
    (void)str_copy(r->user, sizeof(r->user), o->etcd_user);
    (void)str_copy(r->ca, sizeof(r->ca), o->etcd_ca);
    (void)str_copy(r->certificate, sizeof(r->certificate), o->etcd_certificate);
    (void)str_copy(r->private_key, sizeof(r->private_key), o->etcd_key);
}

int register_open(struct loop *loop, const struct scs_options *o, span_t patience, struct strbuf *why, struct etcd_register **ret_register)
{
    struct etcd_register *r = calloc(1, sizeof(*r));
    if (!r || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(r);
        strbuf_add(why, "no memory for the connection to etcd");
        return -ENOMEM;
    }
    r->loop = loop;
    r->patience = patience;
    r->curl_at = r->deadline = MONO_NEVER;
    for (unsigned i = 0; i < SOCKETS_MAX; i++)
        r->sockets[i] = (struct etcd_socket){.of = r, .io.fd = -1};
    take_options(r, o);
    int e = o->etcd_user[0] ? password_read(o->etcd_password_file, r->password, sizeof(r->password), why) : 0;
    if (e < 0) {
        free(r);
        return e;
    }
    r->multi = curl_multi_init();
    r->easy = curl_easy_init();
    if (!r->multi || !r->easy || r->endpoints.count == 0) {
        strbuf_add(why, r->endpoints.count ? "no memory for the connection to etcd" : "arbiter = etcd without etcd-endpoints");
        register_close(r);
        return -ENOMEM;
    }
    set_standing(r);
    *ret_register = r;
    return 0;
}

void register_set_patience(struct etcd_register *r, span_t patience)
{
    r->patience = patience;
}

void register_close(struct etcd_register *r)
{
    if (!r)
        return;
    if (r->multi && r->easy)
        curl_multi_remove_handle(r->multi, r->easy);
    curl_easy_cleanup(r->easy);
    curl_multi_cleanup(r->multi);
    curl_slist_free_all(r->headers);
    for (unsigned i = 0; i < SOCKETS_MAX; i++)
        if (r->sockets[i].io.fd >= 0)
            loop_remove(r->loop, &r->sockets[i].io);
    explicit_bzero(r->password, sizeof(r->password));
    free(r->body);
    free(r->wanted_body);
    free(r);
    curl_global_cleanup();
}
