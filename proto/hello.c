/* Hello: who may talk to whom, in which version.
 *
 * It owns the order in which a hello is judged (readable, version, identity, certificate, expectation, role, ADDP) and the
 * sentences that say why not; it refuses to know what happens to the connection. Version comes first: whoever speaks another
 * one is told so, whatever else differs. Invariant: everything that goes into a sentence from the peer is escaped.
 * Timeouts travel in milliseconds. */
#include "proto/hello.h"

#include "proto/link.pb-c.h"
#include "proto/wire.h"

#include <assert.h>
#include <errno.h>
#include <stdalign.h>
#include <string.h>

#define FEATURES UINT64_C(0) /* optional features of this version: none */
#define HELLO_ARENA (16 * 1024)

static uint32_t version_min(const struct session_config *c)
{
    return c->version_min ? c->version_min : PROTOCOL_VERSION_MIN;
}

static uint32_t version_max(const struct session_config *c)
{
    return c->version_max ? c->version_max : PROTOCOL_VERSION_MAX;
}

/* Rounded up: a timeout that is not zero does not become one that is. */
static uint32_t to_ms(span_t d)
{
    return (uint32_t)((d.ns + 999999) / 1000000);
}

/* ---- packing ---- */

static size_t pack(const ProtobufCMessage *message, uint8_t out[HELLO_MAX])
{
    int n = wire_pack(message, out, HELLO_MAX);
    assert(n >= 0); /* every text in it is bounded well below HELLO_MAX */
    return (size_t)n;
}

size_t hello_pack(const struct session_config *config, uint8_t out[HELLO_MAX])
{
    char software[NAME_SIZE];
    str_copy(software, sizeof software, config->software ? config->software : "");
    Understudy__Link__Hello hello = UNDERSTUDY__LINK__HELLO__INIT;
    hello.version_min = version_min(config);
    hello.version_max = version_max(config);
    hello.features = FEATURES;
    hello.site = wire_text(config->self.site);
    hello.role = (Understudy__Link__Role)config->self.role;
    hello.name = wire_text(config->self.name);
    hello.software = wire_text(software);
    if (config->caller) {
        hello.addp_timeout_ms = to_ms(config->addp_remote_timeout);
        hello.addp_trace = config->addp_trace_remote ? UNDERSTUDY__LINK__TRACE__TRACE_ON : UNDERSTUDY__LINK__TRACE__TRACE_OFF;
    }
    return pack(&hello.base, out);
}

size_t refused_pack(const struct refusal *refusal, uint8_t out[HELLO_MAX])
{
    Understudy__Link__Refused refused = UNDERSTUDY__LINK__REFUSED__INIT;
    refused.reason = (Understudy__Link__Refused__Reason)refusal->reason;
    refused.text = wire_text(refusal->text);
    refused.version_min = refusal->version_min;
    refused.version_max = refusal->version_max;
    refused.peer_version_min = refusal->peer_version_min;
    refused.peer_version_max = refusal->peer_version_max;
    return pack(&refused.base, out);
}

size_t bye_pack(const char *reason, uint8_t out[HELLO_MAX])
{
    char text[SESSION_REASON];
    str_copy(text, sizeof text, reason);
    Understudy__Link__Bye bye = UNDERSTUDY__LINK__BYE__INIT;
    bye.reason = wire_text(text);
    return pack(&bye.base, out);
}

void refusal_init(struct refusal *r, const struct session_config *config, int reason, const char *text)
{
    *r = (struct refusal){.reason = reason, .version_min = version_min(config), .version_max = version_max(config)};
    str_copy(r->text, sizeof r->text, text);
}

/* ---- judging ---- */

static void versions_print(struct strbuf *out, uint32_t min, uint32_t max)
{
    if (min == max)
        strbuf_printf(out, "version %lu", (unsigned long)min);
    else
        strbuf_printf(out, "versions %lu to %lu", (unsigned long)min, (unsigned long)max);
}

static bool refuse(struct refusal *r, int reason, const char *format, ...) __attribute__((format(printf, 3, 4)));
static bool refuse(struct refusal *r, int reason, const char *format, ...)
{
    struct strbuf text;
    strbuf_init(&text, r->text, sizeof r->text);
    va_list ap;
    va_start(ap, format);
    strbuf_vprintf(&text, format, ap);
    va_end(ap);
    r->reason = reason;
    return false;
}

static bool version_judge(const Understudy__Link__Hello *h, struct hello *hello, struct refusal *r)
{
    r->peer_version_min = h->version_min;
    r->peer_version_max = h->version_max;
    if (h->version_min == 0 || h->version_min > h->version_max)
        return refuse(r, UNDERSTUDY__LINK__REFUSED__REASON__PROTOCOL, "hello with impossible versions %lu to %lu",
                      (unsigned long)h->version_min, (unsigned long)h->version_max);
    if (h->version_min > r->version_max || h->version_max < r->version_min) {
        struct strbuf text;
        strbuf_init(&text, r->text, sizeof r->text);
        strbuf_add(&text, "no common protocol version: this side speaks ");
        versions_print(&text, r->version_min, r->version_max);
        strbuf_add(&text, ", the other side ");
        versions_print(&text, h->version_min, h->version_max);
        r->reason = UNDERSTUDY__LINK__REFUSED__REASON__VERSION;
        return false;
    }
    hello->version = h->version_max < r->version_max ? h->version_max : r->version_max;
    return true;
}

static bool identity_read(const Understudy__Link__Hello *h, struct identity *id, struct refusal *r)
{
    int role = (int)h->role; /* any number of the peer's */
    if (role <= ROLE_NONE || role > ROLE_APPLICATION)
        return refuse(r, UNDERSTUDY__LINK__REFUSED__REASON__IDENTITY, "hello with unknown role %d", role);
    id->role = (enum session_role)role;
    if (!wire_copy_name(id->site, h->site))
        return refuse(r, UNDERSTUDY__LINK__REFUSED__REASON__IDENTITY, "hello with a site that is no name");
    if (!wire_copy_name(id->name, h->name))
        return refuse(r, UNDERSTUDY__LINK__REFUSED__REASON__IDENTITY, "hello with a name that is no name");
    return true;
}

static bool certificate_judge(const struct identity *certified, const struct identity *id, struct refusal *r)
{
    if (identity_equal(certified, id))
        return true;
    struct strbuf text;
    strbuf_init(&text, r->text, sizeof r->text);
    strbuf_add(&text, "the certificate says ");
    identity_print(certified, &text);
    strbuf_add(&text, ", the hello ");
    identity_print(id, &text);
    r->reason = UNDERSTUDY__LINK__REFUSED__REASON__IDENTITY;
    return false;
}

/* The site is the expected one, our own, or any. */
static bool expectation_judge(const struct session_config *c, const struct identity *id, struct refusal *r)
{
    const char *site = c->expect.site[0] ? c->expect.site : c->self.site;
    const int reason = UNDERSTUDY__LINK__REFUSED__REASON__IDENTITY;
    if (!str_equal(site, SITE_ANY) && !str_equal(site, id->site))
        return refuse(r, reason, "site '%s' expected, found '%s'", site, id->site);
    if (!c->caller) {
        if (!(c->accept_roles >> id->role & 1))
            return refuse(r, reason, "role %s ('%s') may not call here", session_role_name(id->role), id->name);
        return true;
    }
    if (c->expect.role != ROLE_NONE && c->expect.role != id->role)
        return refuse(r, reason, "role %s expected, found %s ('%s')", session_role_name(c->expect.role),
                      session_role_name(id->role), id->name);
    if (c->expect.name[0] && !str_equal(c->expect.name, id->name))
        return refuse(r, reason, "name '%s' expected, found '%s'", c->expect.name, id->name);
    return true;
}

/* Only the caller configures ADDP; what an answer says about it is ignored. */
static bool addp_judge(const struct session_config *c, const Understudy__Link__Hello *h, struct hello *hello, struct refusal *r)
{
    if (c->caller)
        return true;
    if (h->addp_timeout_ms > (uint64_t)span_to_ms(ADDP_TIMEOUT_MAX))
        return refuse(r, UNDERSTUDY__LINK__REFUSED__REASON__PROTOCOL, "ADDP timeout of %lu ms asked, at most %lld ms possible",
                      (unsigned long)h->addp_timeout_ms, (long long)span_to_ms(ADDP_TIMEOUT_MAX));
    hello->addp_timeout = SPAN_MS(h->addp_timeout_ms);
    hello->addp_trace = h->addp_trace == UNDERSTUDY__LINK__TRACE__TRACE_ON;
    return true;
}

static void software_read(const Understudy__Link__Hello *h, struct hello *hello)
{
    struct strbuf out;
    strbuf_init(&out, hello->software, sizeof hello->software);
    strbuf_add_escaped(&out, (const char *)h->software.data, h->software.len);
}

static void *unpack(const ProtobufCMessageDescriptor *type, const uint8_t *payload, size_t n, struct arena *arena)
{
    return n <= HELLO_MAX ? wire_unpack(type, payload, n, arena) : NULL;
}

bool hello_judge(const struct session_config *config, const struct identity *certified, const uint8_t *payload, size_t n,
                 struct hello *ret_hello, struct refusal *ret_refusal)
{
    alignas(max_align_t) uint8_t memory[HELLO_ARENA];
    struct arena arena;
    arena_init(&arena, memory, sizeof memory);
    struct hello hello = {0};
    struct refusal r;
    refusal_init(&r, config, UNDERSTUDY__LINK__REFUSED__REASON__PROTOCOL, "hello that cannot be read");
    const Understudy__Link__Hello *h = unpack(&understudy__link__hello__descriptor, payload, n, &arena);
    bool accepted = h && version_judge(h, &hello, &r) && identity_read(h, &hello.peer, &r) &&
                    (!certified || certificate_judge(certified, &hello.peer, &r)) &&
                    expectation_judge(config, &hello.peer, &r) && addp_judge(config, h, &hello, &r);
    if (!accepted) {
        *ret_refusal = r;
        return false;
    }
    software_read(h, &hello);
    hello.features = h->features & FEATURES;
    *ret_hello = hello;
    return true;
}

/* ---- explaining ---- */

static const char *reason_name(int reason)
{
    static const char *const names[] = {
        [UNDERSTUDY__LINK__REFUSED__REASON__NONE] = "no reason given",
        [UNDERSTUDY__LINK__REFUSED__REASON__VERSION] = "version",
        [UNDERSTUDY__LINK__REFUSED__REASON__IDENTITY] = "identity",
        [UNDERSTUDY__LINK__REFUSED__REASON__DUPLICATE] = "duplicate",
        [UNDERSTUDY__LINK__REFUSED__REASON__LIMIT] = "limit",
        [UNDERSTUDY__LINK__REFUSED__REASON__PROTOCOL] = "protocol error",
    };
    return reason >= 0 && (size_t)reason < sizeof names / sizeof names[0] ? names[reason] : "unknown reason";
}

int refused_explain(const struct session_config *config, const uint8_t *payload, size_t n, struct strbuf *out)
{
    alignas(max_align_t) uint8_t memory[HELLO_ARENA];
    struct arena arena;
    arena_init(&arena, memory, sizeof memory);
    const Understudy__Link__Refused *r = unpack(&understudy__link__refused__descriptor, payload, n, &arena);
    if (!r)
        return -EPROTO;
    strbuf_add(out, "refused by the other side: ");
    if ((int)r->reason == UNDERSTUDY__LINK__REFUSED__REASON__VERSION) {
        strbuf_add(out, "no common protocol version: this side speaks ");
        versions_print(out, version_min(config), version_max(config));
        strbuf_add(out, ", the other side ");
        versions_print(out, r->version_min, r->version_max);
        return 0;
    }
    strbuf_printf(out, "%s: ", reason_name((int)r->reason));
    strbuf_add_escaped(out, (const char *)r->text.data, r->text.len);
    return 0;
}

int bye_explain(const uint8_t *payload, size_t n, struct strbuf *out)
{
    alignas(max_align_t) uint8_t memory[HELLO_ARENA];
    struct arena arena;
    arena_init(&arena, memory, sizeof memory);
    const Understudy__Link__Bye *bye = unpack(&understudy__link__bye__descriptor, payload, n, &arena);
    if (!bye)
        return -EPROTO;
    strbuf_add_escaped(out, (const char *)bye->reason.data, bye->reason.len);
    return 0;
}
