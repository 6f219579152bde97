/* Fuzz target: packets between a linked application and its agent, read by both sides. The input is one packet.
 *
 * What the agent's reader takes has a type, texts that end and are UTF-8, a status that an application may have and a role that is one. What the library's reader takes lies within
 * its buffers. What the library takes of a packet that the agent can write, the agent's schema reads too. */
#include "tests/fuzz/fuzz.h"

#include "lca/client/codec.h"
#include "lca/core/app_wire.h"

#include <errno.h>
#include <string.h>

static void as_agent(const uint8_t *data, size_t n)
{
    static uint8_t memory[WIRE_ARENA];
    struct arena arena;
    char text[200];
    struct strbuf why;
    struct lca_event e;
    arena_init(&arena, memory, sizeof memory);
    strbuf_init(&why, text, sizeof text);
    int r = lca_app_wire_read(data, n, &arena, &e, &why);
    PROMISE(r == 0 || r == 1 || r == -EPROTO);
    PROMISE((r == -EPROTO) == (why.len > 0));
    if (r != 0)
        return;
    if (e.type == LCA_EV_APP_LINK_BACK)
        PROMISE(e.name && str_is_name(e.name, strlen(e.name)) && e.start_id && e.link.role <= APP_PRIMARY && e.link.epoch.term < WIRE_TERM_MAX);
    if (e.type == LCA_EV_APP_LINK_BACK || e.type == LCA_EV_APP_STATUS)
        PROMISE(e.link.status >= APP_STARTED && e.link.status <= APP_SUSPENDED && str_is_utf8(e.link.text, strlen(e.link.text)));
    if (e.type == LCA_EV_APP_ANSWER || e.type == LCA_EV_APP_REPLY)
        PROMISE(strlen(e.said.text) <= APP_REPLY_MAX && str_is_utf8(e.said.text, strlen(e.said.text)));
}

static void as_library(const uint8_t *data, size_t n)
{
    static struct packet_in p;
    int r = packet_read(data, n, &p);
    PROMISE(r == 0 || r == 1 || r == -EPROTO);
    if (r != 0)
        return;
    PROMISE(p.body >= PACKET_REGISTERED && p.body <= PACKET_COMMAND);
    PROMISE(memchr(p.reason, 0, sizeof p.reason) != NULL && p.n_words <= PACKET_WORDS && p.used <= sizeof p.text);
    for (unsigned i = 0; i < p.n_words; i++)
        PROMISE(p.words[i] < p.used && memchr(p.text + p.words[i], 0, (size_t)(p.used - p.words[i])) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    as_agent(data, n);
    as_library(data, n);
    return 0;
}
