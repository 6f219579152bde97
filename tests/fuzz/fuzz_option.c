/* Fuzz target: a value of a config file into every type of option, and a certificate's URI into its parser.
 *
 * Input: one byte chooses the row (one past the last: an identity); the rest is the text. What is accepted prints to a text that is accepted and prints
 * the same; what is refused leaves the field alone and says why. */
#include "tests/fuzz/fuzz.h"

#include "common/base/option.h"
#include "proto/identity.h"

#include <string.h>

struct sample {
    bool flag;
    int64_t count, size;
    span_t timeout, pause;
    int kind;
    char text[20], name[NAME_SIZE], path[200];
    struct words words;
};

static const char *const kinds[] = {"warm", "hot", NULL};
static const struct option rows[] = {
    {"flag", OPT_BOOL, .fallback = "no", OPTION_FIELD(struct sample, flag)},
    {"count", OPT_INT, .fallback = "0", OPTION_FIELD(struct sample, count)},
    {"size", OPT_SIZE, .fallback = "0", OPTION_FIELD(struct sample, size)},
    {"timeout", OPT_SPAN, .fallback = "0", OPTION_FIELD(struct sample, timeout)},
    {"pause", OPT_SPAN, 1000000, INT64_C(3600000000000), .fallback = "1s", OPTION_FIELD(struct sample, pause)},
    {"kind", OPT_ENUM, .choices = kinds, .fallback = "hot", OPTION_FIELD(struct sample, kind)},
    {"text", OPT_STRING, .fallback = "", OPTION_FIELD(struct sample, text)},
    {"name", OPT_NAME, .fallback = "", OPTION_FIELD(struct sample, name)},
    {"path", OPT_PATH, .fallback = "", OPTION_FIELD(struct sample, path)},
    {"words", OPT_WORDS, .fallback = "", OPTION_FIELD(struct sample, words)},
};
#define N_ROWS (sizeof rows / sizeof rows[0])

static char text[8192], first[16384], second[16384];

static void print(const struct option *o, const struct sample *sample, char *out, size_t size)
{
    struct strbuf b;
    strbuf_init(&b, out, size);
    option_print(o, sample, &b);
    PROMISE(!b.cut);
}

static void option_try(const struct option *o)
{
    static struct sample sample, before;
    char why_text[COMPLAINT_TEXT];
    struct strbuf why;
    strbuf_init(&why, why_text, sizeof why_text);
    memset(&sample, 0, sizeof sample);
    before = sample;
    if (option_set(o, &sample, text, &why) < 0) {
        PROMISE(memcmp(&sample, &before, sizeof sample) == 0);
        PROMISE(why.len > 0 && !why.cut && str_is_text(why.text, why.len));
        return;
    }
    PROMISE(why.len == 0);
    print(o, &sample, first, sizeof first);
    before = sample;
    option_clear(o, &sample);
    PROMISE(!*first || option_set(o, &sample, first, &why) == 0);
    print(o, &sample, second, sizeof second);
    PROMISE(strcmp(first, second) == 0);
    PROMISE(memcmp((char *)&sample + o->offset, (char *)&before + o->offset, o->size) == 0);
}

static void identity_try(const uint8_t *data, size_t n)
{
    struct identity id;
    struct strbuf b;
    if (!identity_parse((const char *)data, n, &id))
        return;
    strbuf_init(&b, first, sizeof first);
    identity_print(&id, &b);
    PROMISE(b.len == n && memcmp(b.text, data, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 1 || n > sizeof text)
        return 0;
    size_t row = data[0] % (N_ROWS + 1);
    if (row == N_ROWS) {
        identity_try(data + 1, n - 1);
        return 0;
    }
    memcpy(text, data + 1, n - 1);
    text[n - 1] = '\0';
    option_try(&rows[row]);
    return 0;
}
