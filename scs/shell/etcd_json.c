/* Between the register's value and the texts of etcd's JSON gateway (v3): keys and values in base64, numbers as strings.
 *
 * It owns every check of what the gateway answers: names, numbers and lengths in their bounds, so that nothing behind it meets another. It refuses to know
 * connections. Invariant: only a transaction that compares is ever written, and only a linearizable range is ever read. */
#include "scs/shell/etcd_json.h"

#include "proto/wire.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX 1024

static int wrong(struct strbuf *why, const char *what)
{
    strbuf_add(why, what);
    return -EPROTO;
}

/* ---- base64 ---- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static char *base64_make(const char *text)
{
    size_t n = strlen(text);
    char *out = malloc((n + 2) / 3 * 4 + 1), *p = out;
    for (size_t i = 0; out && i < n; i += 3) {
        const unsigned char *t = (const unsigned char *)text + i;
        unsigned bits = (unsigned)t[0] << 16 | (i + 1 < n ? (unsigned)t[1] << 8 : 0) | (i + 2 < n ? t[2] : 0);
        *p++ = alphabet[bits >> 18];
        *p++ = alphabet[bits >> 12 & 63];
        *p++ = i + 1 < n ? alphabet[bits >> 6 & 63] : '=';
        *p++ = i + 2 < n ? alphabet[bits & 63] : '=';
    }
    if (out)
        *p = '\0';
    return out;
}

/* The length, or -EPROTO. */
static int base64_read(const char *text, char *out, size_t size)
{
    size_t n = 0, length = strlen(text);
    unsigned bits = 0, have = 0;
    while (length && text[length - 1] == '=')
        length--;
    for (size_t i = 0; i < length; i++) {
        const char *at = strchr(alphabet, text[i]);
        if (!at || !text[i])
            return -EPROTO;
        bits = bits << 6 | (unsigned)(at - alphabet);
        have += 6;
        if (have < 8)
            continue;
        have -= 8;
        if (n + 1 >= size)
            return -EPROTO;
        out[n++] = (char)(bits >> have & 0xff);
    }
    out[n] = '\0';
    return (int)n;
}

/* ---- what is said ---- */

void etcd_key(const struct scs_options *o, char ret_key[ETCD_KEY_MAX])
{
    struct strbuf b;
    strbuf_init(&b, ret_key, ETCD_KEY_MAX);
    strbuf_printf(&b, "%s/%s/authority", o->etcd_prefix, o->site);
}

static char *dump(json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    return text;
}

char *etcd_range_body(const char *key)
{
    char *name = base64_make(key);
    char *body = name ? dump(json_pack("{s:s}", "key", name)) : NULL;
    free(name);
    return body;
}

/* 40 bits: never above what a JSON number carries exactly. */
static char *value_make(const struct authority_register *v)
{
    char *text = dump(json_pack("{s:I,s:s,s:I,s:s}", "term", (json_int_t)v->term, "owner", v->owner, "counter", (json_int_t)v->counter,
                                "config_hash", v->config_hash));
    char *coded = text ? base64_make(text) : NULL;
    free(text);
    return coded;
}

char *etcd_txn_body(const char *key, int64_t revision, const struct authority_register *value)
{
    char number[32];
    struct strbuf b;
    strbuf_init(&b, number, sizeof(number));
    strbuf_printf(&b, "%lld", (long long)revision);
    char *name = base64_make(key), *coded = value_make(value), *body = NULL;
    if (name && coded)
        body = dump(json_pack("{s:[{s:s,s:s,s:s,s:s}],s:[{s:{s:s,s:s}}],s:[{s:{s:s}}]}", "compare", "key", name, "target",
                              revision ? "MOD" : "CREATE", "result", "EQUAL", revision ? "mod_revision" : "create_revision", number, "success",
                              "request_put", "key", name, "value", coded, "failure", "request_range", "key", name));
    free(name);
    free(coded);
    return body;
}

char *etcd_login_body(const char *user, const char *password)
{
    return dump(json_pack("{s:s,s:s}", "name", user, "password", password));
}

/* ---- what is answered ---- */

static json_t *load(const char *text, size_t n)
{
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(root))
        return root;
    json_decref(root);
    return NULL;
}

/* The gateway prints 64-bit numbers as strings and leaves zeros out. */
static bool number_of(const json_t *object, const char *key, int64_t *ret_number)
{
    const json_t *v = json_object_get(object, key);
    const char *text = json_string_value(v);
    char *end = NULL;
    if (!v)
        *ret_number = 0;
    else if (json_is_integer(v))
        *ret_number = json_integer_value(v);
    else if (text && *text)
        *ret_number = strtoll(text, &end, 10);
    else
        return false;
    return (!end || !*end) && *ret_number >= 0;
}

static bool is_hash(const char *text)
{
    return strlen(text) < sizeof(((struct authority_register *)0)->config_hash) && text[strspn(text, "0123456789abcdef")] == '\0';
}

static bool value_read(const char *coded, struct authority_register *ret_value)
{
    char text[VALUE_MAX];
    int n = base64_read(coded, text, sizeof(text));
    json_t *root = n < 0 ? NULL : load(text, (size_t)n);
    const char *owner = json_string_value(json_object_get(root, "owner"));
    const char *hash = json_string_value(json_object_get(root, "config_hash"));
    int64_t term, counter;
    bool good = owner && hash && number_of(root, "term", &term) && number_of(root, "counter", &counter) && term > 0 &&
                (uint64_t)term < SCS_TERM_MAX && str_is_name(owner, strlen(owner)) && is_hash(hash);
    if (good) {
        *ret_value = (struct authority_register){.term = (uint64_t)term, .counter = (uint64_t)counter};
        (void)str_copy(ret_value->owner, sizeof(ret_value->owner), owner);
        (void)str_copy(ret_value->config_hash, sizeof(ret_value->config_hash), hash);
    }
    json_decref(root);
    return good;
}

/* kvs of a range: nobody or one. */
static int keys_read(const json_t *range, struct scs_event *e, struct strbuf *why)
{
    const json_t *kvs = json_object_get(range, "kvs");
    const json_t *kv = json_array_get(kvs, 0);
    e->reg.present = kv != NULL;
    e->reg.revision = 0;
    if (!kv)
        return 0;
    const char *coded = json_string_value(json_object_get(kv, "value"));
    if (json_array_size(kvs) != 1 || !number_of(kv, "mod_revision", &e->reg.revision) || e->reg.revision == 0)
        return wrong(why, "an answer without a revision");
    if (!coded || !value_read(coded, &e->reg.value))
        return wrong(why, "the key holds something that no controller has written");
    return 0;
}

int etcd_range_read(const char *text, size_t n, struct scs_event *e, struct strbuf *why)
{
    json_t *root = load(text, n);
    int r = json_is_object(json_object_get(root, "header")) ? keys_read(root, e, why) : wrong(why, "not an answer of a range");
    e->reg.ok = r == 0;
    json_decref(root);
    return r;
}

static int txn_read(const json_t *root, struct scs_event *e, struct strbuf *why)
{
    const json_t *header = json_object_get(root, "header");
    const json_t *first = json_array_get(json_object_get(root, "responses"), 0);
    if (!json_is_object(header))
        return wrong(why, "not an answer of a transaction");
    if (!json_is_true(json_object_get(root, "succeeded"))) {
        const json_t *range = json_object_get(first, "response_range");
        e->reg.outcome = SWAP_LOST;
        return json_is_object(range) ? keys_read(range, e, why) : wrong(why, "a lost transaction without what is there");
    }
    e->reg.outcome = SWAP_DONE;
    e->reg.present = true;
    if (!number_of(header, "revision", &e->reg.revision) || e->reg.revision == 0)
        return wrong(why, "an answer without a revision");
    return 0;
}

int etcd_txn_read(const char *text, size_t n, struct scs_event *e, struct strbuf *why)
{
    json_t *root = load(text, n);
    int r = txn_read(root, e, why);
    e->reg.ok = r == 0;
    json_decref(root);
    return r;
}

int etcd_login_read(const char *text, size_t n, char *ret_token, size_t size, struct strbuf *why)
{
    json_t *root = load(text, n);
    const char *token = json_string_value(json_object_get(root, "token"));
    int r = 0;
    if (!token || !*token || token[strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=._-")] ||
        !str_copy(ret_token, size, token))
        r = wrong(why, "no token in the answer");
    json_decref(root);
    return r;
}

bool etcd_error_read(const char *text, size_t n, struct strbuf *out)
{
    json_t *root = load(text, n);
    const json_t *error = json_object_get(root, "message");
    if (!json_is_string(error))
        error = json_object_get(root, "error");
    const char *sentence = json_string_value(error);
    if (sentence)
        strbuf_add_escaped(out, sentence, strnlen(sentence, 120));
    json_decref(root);
    return sentence != NULL;
}
