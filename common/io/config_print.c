/* What the programs print about their configuration: the effective one (-T), the manual of the options
 * (--help-options), the complaints (-t).
 *
 * Owns nothing. Refuses to know any option: rows print themselves (option_print(), option_describe()).
 *
 * Invariant: a list of words is printed one word to a line, so that no line grows past what the reader takes; the
 * reader appends them again. */
#include "common/io/config.h"
#include "common/io/ini_reader.h"

#include <string.h>

static void words_print(const struct option *o, const void *section, FILE *out)
{
    static const struct option plain = {.type = OPT_WORDS, .size = sizeof(struct words)};
    const struct words *all = (const void *)((const char *)section + o->offset);
    char text[INI_LINE];
    for (const char *w = words_next(all, NULL); w; w = words_next(all, w)) {
        struct words one = {0};
        struct strbuf b;
        words_add(&one, w, strlen(w));
        strbuf_init(&b, text, sizeof text);
        option_print(&plain, &one, &b);
        fprintf(out, "%s = %s\n", o->key, text);
    }
}

/* Short lists stay on one line, as they are usually written. */
static void setting_print(const struct option *o, const void *section, FILE *out)
{
    char text[INI_LINE];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    option_print(o, section, &b);
    if (o->type == OPT_WORDS && (b.cut || b.len > 120))
        words_print(o, section, out);
    else if (b.len > 0)
        fprintf(out, "%s = %s\n", o->key, text);
    else if (o->fallback && o->fallback[0] != '\0')
        fprintf(out, "%s =\n", o->key); /* given as empty although the default is not */
}

static bool was_given(const struct option_section *k, const void *section)
{
    int line;
    memcpy(&line, (const char *)section + k->line_offset, sizeof line);
    return line != 0;
}

/* A section that was not given and could not be read back (an option without a default) is left out. */
static bool is_printable(const struct option_section *k, const void *section)
{
    if (k->named || was_given(k, section))
        return true;
    for (size_t i = 0; i < k->n_options; i++)
        if (!k->options[i].fallback)
            return false;
    return true;
}

void config_print(const struct option_schema *schema, const void *config, FILE *out)
{
    const char *gap = "";
    for (size_t i = 0; i < schema->n_sections; i++) {
        const struct option_section *k = &schema->sections[i];
        const char *name = "";
        const void *section;
        for (size_t j = 0; (section = k->at(config, j, &name)); j++) {
            if (!is_printable(k, section))
                continue;
            fprintf(out, k->named ? "%s[%s %s]\n" : "%s[%s]\n", gap, k->kind, name);
            for (size_t n = 0; n < k->n_options; n++)
                setting_print(&k->options[n], section, out);
            gap = "\n";
        }
    }
}

void config_help(const struct option_schema *schema, FILE *out)
{
    char text[512];
    struct strbuf b;
    for (size_t i = 0; i < schema->n_sections; i++) {
        const struct option_section *k = &schema->sections[i];
        fprintf(out, "%s[%s%s]%s\n    %s\n", i ? "\n" : "", k->kind, k->named ? " NAME" : "",
                k->required ? " (required)" : "", k->help);
        for (size_t n = 0; n < k->n_options; n++) {
            const struct option *o = &k->options[n];
            strbuf_init(&b, text, sizeof text);
            option_describe(o, &b);
            fprintf(out, "  %s\n    %s; %s\n    %s\n", o->key, text,
                    o->reload == OPT_LIVE ? "taken over by a reload" : "taken over at the next start", o->help);
        }
    }
}

static void complaint_print(const char *file, const struct complaint *c, FILE *out)
{
    const char *what = c->warning ? "warning" : "error";
    if (c->line)
        fprintf(out, "%s:%d: %s: %s\n", file, c->line, what, c->text);
    else
        fprintf(out, "%s: %s: %s\n", file, what, c->text);
}

/* Complaints about the file as a whole (line 0) come last: they are about what none of its lines says. */
static int order_of(const struct complaint *c)
{
    return c->line ? c->line : INT32_MAX;
}

void complaints_print(const struct complaints *c, FILE *out)
{
    uint16_t order[COMPLAINTS_MAX];
    for (unsigned i = 0; i < c->count; i++) {
        unsigned j = i;
        for (; j > 0 && order_of(&c->list[order[j - 1]]) > order_of(&c->list[i]); j--)
            order[j] = order[j - 1];
        order[j] = (uint16_t)i;
    }
    unsigned warnings = 0;
    for (unsigned i = 0; i < c->count; i++) {
        complaint_print(c->file, &c->list[order[i]], out);
        warnings += c->list[order[i]].warning;
    }
    if (c->dropped)
        fprintf(out, "%s: %u more not shown\n", c->file, c->dropped);
    if (c->errors || warnings)
        fprintf(out, "%s: %u error%s, %u warning%s\n", c->file, c->errors, c->errors == 1 ? "" : "s", warnings,
                warnings == 1 ? "" : "s");
}
