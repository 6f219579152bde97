/* Reading a probe: words into kind, address, port, request and expected status.
 *
 * It owns the small language of these words. It refuses names (addresses are numeric, like everywhere here) and https,
 * which the agent does not speak: who needs them asks by a command. It does not look whether anything is there.
 * Invariant: what it accepts an agent accepts too. */
#include "scs/core/config_probe.h"

#include "scs/core/config_parts.h"

#include <errno.h>
#include <string.h>

static bool number_read(const char *text, size_t n, unsigned least, unsigned most, unsigned *ret)
{
    unsigned value = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9' || value > most)
            return false;
        value = 10 * value + (unsigned)(text[i] - '0');
    }
    *ret = value;
    return n > 0 && value >= least && value <= most;
}

/* "192.0.2.1:80" or "[2001:db8::1]:80", up to `n` bytes. */
static bool place_read(const char *text, size_t n, struct scs_probe *p)
{
    const char *end = text + n, *close = n && text[0] == '[' ? memchr(text, ']', n) : NULL;
    const char *from = close ? text + 1 : text, *colon = close ? close + 1 : memchr(text, ':', n);
    size_t length = (size_t)((close ? close : colon ? colon : text) - from);
    if (!colon || colon >= end || *colon != ':' || !str_copy_bytes(p->address, sizeof p->address, from, length))
        return false;
    return scs_address_is_numeric(p->address) && (strchr(p->address, ':') != NULL) == (close != NULL) &&
           number_read(colon + 1, (size_t)(end - colon - 1), 1, 65535, &p->port);
}

static int tcp_read(const char *place, struct scs_probe *p, struct strbuf *why)
{
    if (place && place_read(place, strlen(place), p))
        return 0;
    strbuf_printf(why, "'tcp %.80s' is not tcp ADDRESS:PORT with a numeric address, like tcp 127.0.0.1:80",
                  place ? place : "");
    return -EINVAL;
}

static bool is_request_text(const char *text)
{
    for (const char *c = text; *c; c++)
        if (*c <= ' ' || *c >= 0x7f)
            return false;
    return *text != '\0';
}

/* http://ADDRESS:PORT/PATH; without a port 80, without a path /. */
static bool url_read(const char *url, struct scs_probe *p)
{
    static const char scheme[] = "http://";
    if (strncmp(url, scheme, sizeof scheme - 1) != 0)
        return false;
    url += sizeof scheme - 1;
    size_t n = strcspn(url, "/");
    char place[96];
    struct strbuf b;
    strbuf_init(&b, place, sizeof place);
    strbuf_add_bytes(&b, url, n);
    if (!memchr(url, ':', n) || (n > 0 && url[n - 1] == ']'))
        strbuf_add(&b, ":80");
    return place_read(place, b.len, p) && str_copy_bytes(p->host, sizeof p->host, url, n) &&
           str_copy(p->path, sizeof p->path, url[n] ? url + n : "/") && is_request_text(p->path);
}

static int http_read(const struct words *w, struct scs_probe *p, struct strbuf *why)
{
    const char *url = words_at(w, 1);
    p->expect = 200;
    if (!url || !url_read(url, p)) {
        strbuf_printf(why, "'http %.80s' is not http http://ADDRESS:PORT/PATH with a numeric address", url ? url : "");
        return -EINVAL;
    }
    for (size_t i = 2; i < w->count; i++) {
        const char *word = words_at(w, i);
        bool ok = strncmp(word, "expect=", 7) == 0   ? number_read(word + 7, strlen(word + 7), 100, 999, &p->expect)
                  : strncmp(word, "host=", 5) == 0 ? is_request_text(word + 5) && str_copy(p->host, sizeof p->host, word + 5)
                                                     : false;
        if (ok)
            continue;
        strbuf_printf(why, "'%.60s' is neither expect=STATUS (100 to 999) nor host=NAME", word);
        return -EINVAL;
    }
    return 0;
}

static int exec_read(const char *program, struct strbuf *why)
{
    if (program && program[0] == '/')
        return 0;
    strbuf_printf(why, "'exec %.80s' does not name a program by its absolute path", program ? program : "");
    return -EINVAL;
}

/* Words as they are written in every other option. */
static int words_read(const char *text, struct words *ret, struct strbuf *why)
{
    static const struct option row = {.key = "probe", .type = OPT_WORDS, .offset = 0, .size = sizeof *ret};
    memset(ret, 0, sizeof *ret);
    return text[0] ? option_set(&row, ret, text, why) : 0;
}

static int kind_read(struct scs_probe *p, struct strbuf *why)
{
    const char *kind = words_at(&p->words, 0);
    if (!kind)
        return 0;
    if (str_equal(kind, "http")) {
        p->kind = SCS_PROBE_HTTP;
        return http_read(&p->words, p, why);
    }
    if (str_equal(kind, "exec")) {
        p->kind = SCS_PROBE_EXEC;
        return exec_read(words_at(&p->words, 1), why);
    }
    if (!str_equal(kind, "tcp")) {
        strbuf_printf(why, "'%.60s' is neither tcp nor http nor exec", kind);
        return -EINVAL;
    }
    p->kind = SCS_PROBE_TCP;
    if (p->words.count <= 2)
        return tcp_read(words_at(&p->words, 1), p, why);
    strbuf_printf(why, "'%.60s' behind the address is not understood", words_at(&p->words, 2));
    return -EINVAL;
}

int scs_probe_read(const char *text, struct scs_probe *ret_probe, struct strbuf *why)
{
    memset(ret_probe, 0, sizeof *ret_probe);
    int r = words_read(text, &ret_probe->words, why);
    return r < 0 ? r : kind_read(ret_probe, why);
}
