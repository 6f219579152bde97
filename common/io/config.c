/* Configuration files against the option tables.
 *
 * Owns the meaning of headers and settings while a text is read: which section is open, which keys it has had, what is
 * missing at its end; and the printing of the effective configuration. Refuses to know any option: the tables
 * (common/base/option.h) say all.
 *
 * Invariants: a setting is stored only when option_set() took it; a section refused at its header swallows its settings
 * without further complaint (one fault, one line). What config_print() prints, config_parse() reads back to the same
 * values. */
#include "common/io/config.h"
#include "common/io/ini_reader.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX (4 * 1024 * 1024)
#define KEYS_MAX 128 /* options of one section kind */

struct load {
    const struct option_schema *schema;
    void *config;
    struct complaints *complaints;
    const struct option_section *kind; /* of the open section; NULL: none, or a refused one */
    void *section;
    int header_line;
    char name[NAME_SIZE];
    int first_line[KEYS_MAX]; /* where each option of the open section was given; 0: not yet */
};

static int section_line(const struct option_section *k, const void *section)
{
    int line;
    memcpy(&line, (const char *)section + k->line_offset, sizeof line);
    return line;
}

static void section_set_line(const struct option_section *k, void *section, int line)
{
    memcpy((char *)section + k->line_offset, &line, sizeof line);
}

/* "kind" or "kind name", for complaints. */
static const char *title(const struct option_section *k, const char *name, char *out, size_t size)
{
    struct strbuf b;
    strbuf_init(&b, out, size);
    strbuf_printf(&b, k->named ? "%s %s" : "%s", k->kind, name);
    return out;
}

/* Edits (insert, delete, replace, swap of neighbours) between two short words. */
static unsigned distance(const char *a, const char *b)
{
    unsigned rows[3][64];
    size_t n = strlen(a), m = strlen(b);
    if (n > 62 || m > 62)
        return 99;
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        unsigned *cur = rows[i % 3], *prev = rows[(i - 1) % 3], *prev2 = rows[(i + 1) % 3];
        cur[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned best = prev[j - 1] + (a[i - 1] != b[j - 1]);
            best = prev[j] + 1 < best ? prev[j] + 1 : best;
            best = cur[j - 1] + 1 < best ? cur[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && prev2[j - 2] + 1 < best)
                best = prev2[j - 2] + 1;
            cur[j] = best;
        }
    }
    return rows[n % 3][m];
}

/* Keeps `candidate` when it is nearer to `word` than what was kept. */
static void nearer(const char *word, const char *candidate, const char **best, unsigned *best_distance)
{
    unsigned d = distance(word, candidate);
    if (d < *best_distance && d * 3 <= strlen(candidate) + 1) {
        *best = candidate;
        *best_distance = d;
    }
}

static void complain_unknown_section(struct load *l, int line, const char *kind)
{
    const char *best = NULL;
    unsigned d = 99;
    for (size_t i = 0; i < l->schema->n_sections; i++)
        nearer(kind, l->schema->sections[i].kind, &best, &d);
    if (best)
        complaint_add(l->complaints, line, "unknown section [%.60s]: did you mean [%s]?", kind, best);
    else
        complaint_add(l->complaints, line, "unknown section [%.60s]", kind);
}

static void complain_unknown_key(struct load *l, int line, const char *key)
{
    const char *best = NULL;
    unsigned d = 99;
    for (size_t i = 0; i < l->kind->n_options; i++)
        nearer(key, l->kind->options[i].key, &best, &d);
    if (best)
        complaint_add(l->complaints, line, "unknown key '%s' in [%s]: did you mean '%s'?", key, l->kind->kind, best);
    else
        complaint_add(l->complaints, line, "unknown key '%s' in [%s]", key, l->kind->kind);
}

/* Told at the end of a section: options without a default that were not given. */
static void section_end(struct load *l)
{
    char text[NAME_SIZE * 2];
    for (size_t i = 0; l->kind && i < l->kind->n_options; i++) {
        const struct option *o = &l->kind->options[i];
        if (!o->fallback && l->first_line[i] == 0)
            complaint_add(l->complaints, l->header_line, "[%s] lacks '%s', which has no default",
                          title(l->kind, l->name, text, sizeof text), o->key);
    }
    l->kind = NULL;
    l->section = NULL;
}

static void on_lost(void *arg)
{
    section_end(arg);
}

static const struct option_section *kind_find(const struct option_schema *schema, const char *kind)
{
    for (size_t i = 0; i < schema->n_sections; i++)
        if (str_equal(schema->sections[i].kind, kind))
            return &schema->sections[i];
    return NULL;
}

/* Where the section was given before; 0: it was not. */
static int given_at(const struct load *l, const struct option_section *k, const char *name)
{
    const char *known;
    const void *s;
    for (size_t i = 0; (s = k->at(l->config, i, &known)); i++)
        if (!k->named || str_equal(known, name))
            return section_line(k, s);
    return 0;
}

/* The name of a header fits its kind. */
static bool name_fits(struct load *l, int line, const struct option_section *k, const char *name)
{
    if (!k->named && *name)
        complaint_add(l->complaints, line, "section [%s] takes no name", k->kind);
    else if (k->named && !*name)
        complaint_add(l->complaints, line, "section [%s NAME] needs a name", k->kind);
    else if (k->named && !str_is_name(name, strlen(name)))
        complaint_add(l->complaints, line,
                      "'%.80s' is not a name: 1 to %d of A-Z a-z 0-9 . _ - are expected, not beginning with . or -",
                      name, NAME_MAX_LEN);
    else
        return true;
    return false;
}

static void on_section(void *arg, int line, const char *kind, const char *name)
{
    struct load *l = arg;
    char text[NAME_SIZE * 2];
    section_end(l);
    const struct option_section *k = kind_find(l->schema, kind);
    if (!k) {
        complain_unknown_section(l, line, kind);
        return;
    }
    if (!name_fits(l, line, k, name))
        return;
    int before = given_at(l, k, name);
    if (before) {
        complaint_add(l->complaints, line, "section [%s] is given twice: first in line %d",
                      title(k, name, text, sizeof text), before);
        return;
    }
    void *section = k->open(l->config, name);
    if (!section) {
        complaint_add(l->complaints, line, "too many [%s] sections: at most %zu are allowed", k->kind, k->max_sections);
        return;
    }
    assert(k->n_options <= KEYS_MAX);
    option_defaults(k, section);
    section_set_line(k, section, line);
    l->kind = k;
    l->section = section;
    l->header_line = line;
    str_copy(l->name, sizeof l->name, name);
    memset(l->first_line, 0, sizeof l->first_line);
}

static void on_setting(void *arg, int line, const char *key, char *value)
{
    struct load *l = arg;
    if (!l->kind)
        return;
    const struct option *o = option_find(l->kind, key);
    if (!o) {
        complain_unknown_key(l, line, key);
        return;
    }
    int *first = &l->first_line[o - l->kind->options];
    if (*first && o->type != OPT_WORDS) {
        complaint_add(l->complaints, line, "'%s' is given twice: first in line %d", key, *first);
        return;
    }
    /* The words of the default are replaced by the first line given, later lines append. */
    if (!*first && o->type == OPT_WORDS)
        memset((char *)l->section + o->offset, 0, o->size);
    *first = line;
    ini_cut_comment(value, o->type == OPT_WORDS);
    char why_text[COMPLAINT_TEXT];
    struct strbuf why;
    strbuf_init(&why, why_text, sizeof why_text);
    if (option_set(o, l->section, value, &why) < 0)
        complaint_add(l->complaints, line, "'%s': %s", key, why.text);
}

/* Plain sections that the text left out: their defaults hold, or they are missed. */
static void absent_sections(struct load *l)
{
    for (size_t i = 0; i < l->schema->n_sections; i++) {
        const struct option_section *k = &l->schema->sections[i];
        if (k->named || given_at(l, k, ""))
            continue;
        if (k->required)
            complaint_add(l->complaints, 0, "section [%s] is missing", k->kind);
        void *section = k->open(l->config, "");
        if (section)
            option_defaults(k, section);
    }
}

int config_parse(const char *name, const char *text, size_t n, const struct option_schema *schema, void *config,
                 struct complaints *ret_complaints)
{
    static const struct ini_events events = {.section = on_section, .setting = on_setting, .lost = on_lost};
    struct load l = {.schema = schema, .config = config, .complaints = ret_complaints};
    memset(ret_complaints, 0, sizeof *ret_complaints);
    str_copy(ret_complaints->file, sizeof ret_complaints->file, name);
    int r = ini_read(text, n, &events, &l, ret_complaints);
    if (r < 0)
        return r;
    section_end(&l);
    absent_sections(&l);
    return ret_complaints->errors ? 1 : 0;
}

/* The whole file in memory, the caller's to free. */
static int file_read(const char *path, char **ret_text, size_t *ret_n)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return -errno;
    size_t size = 16384, n = 0;
    char *text = malloc(size);
    int r = text ? 0 : -ENOMEM;
    while (r == 0) {
        ssize_t got = read(fd, text + n, size - n);
        if (got < 0 && errno != EINTR)
            r = -errno;
        if (got == 0)
            break;
        n += got > 0 ? (size_t)got : 0;
        if (n < size)
            continue;
        char *more = size < FILE_MAX ? realloc(text, size * 2) : NULL;
        if (!more) {
            r = size < FILE_MAX ? -ENOMEM : -EFBIG;
            break;
        }
        text = more;
        size *= 2;
    }
    close(fd);
    if (r < 0) {
        free(text);
        return r;
    }
    *ret_text = text;
    *ret_n = n;
    return 0;
}

int config_load(const char *path, const struct option_schema *schema, void *config, struct complaints *ret_complaints)
{
    char *text = NULL;
    size_t n = 0;
    int r = file_read(path, &text, &n);
    if (r < 0)
        return r;
    r = config_parse(path, text, n, schema, config, ret_complaints);
    free(text);
    return r;
}
