/* What a linked application says over its own connection to the agent.
 *
 *   registers APP [role=primary|backup epoch=T.N] status=CODE [text=…]   status by its number (DOMAIN section 2)
 *   says-status APP CODE [text=…]      answers APP accept|decline|later [text=…] [other]     replies APP CODE [text=…]
 *   beats APP MASK                     marks APP POSITION acknowledged=N
 */
#include "tests/scenario/lca/world.h"

#include <stdlib.h>
#include <string.h>

static bool is(const char *word, const char *name)
{
    return strcmp(word, name) == 0;
}

static uint32_t answer_of(const char *what)
{
    return is(what, "accept") ? LINK_ACCEPTED : is(what, "decline") ? LINK_DECLINED : LINK_LATER;
}

static void registers(struct lca_event *e, const char *line)
{
    char role[16] = "";
    e->type = LCA_EV_APP_LINK_BACK;
    if (value_of(line, "role", role, sizeof role))
        e->link.role = is(role, "primary") ? APP_PRIMARY : APP_BACKUP;
    e->link.epoch = epoch_of(line);
    e->link.status = (enum app_status)number_of(line, "status", APP_INITIALIZING);
}

bool linked_line(struct world *w, const char *verb, const char *name, const char *what, const char *line)
{
    char text[128] = "";
    value_of(line, "text", text, sizeof text);
    struct lca_event e = {.name = name};
    if (is(verb, "registers")) {
        registers(&e, line);
        e.link.text = text;
    } else if (is(verb, "says-status")) {
        e.type = LCA_EV_APP_STATUS;
        e.link.status = (enum app_status)atoi(what);
        e.link.text = text;
    } else if (is(verb, "answers") || is(verb, "replies")) {
        e.type = is(verb, "answers") ? LCA_EV_APP_ANSWER : LCA_EV_APP_REPLY;
        e.said.id = app_of(w, name)->told_id ^ (strstr(line, " other") ? 1 : 0);
        e.said.code = is(verb, "answers") ? answer_of(what) : (uint32_t)atoi(what);
        e.said.text = text;
    } else if (is(verb, "beats")) {
        e.type = LCA_EV_APP_BEAT;
        e.beat.classes = strtoull(what, NULL, 10);
    } else if (is(verb, "marks")) {
        e.type = LCA_EV_APP_MARK;
        e.link.position = strtoull(what, NULL, 10);
        e.link.acknowledged = number_of(line, "acknowledged", 0);
    } else {
        return false;
    }
    e.start_id = app_of(w, name)->start_id;
    step(w, &e);
    return true;
}
