/* Durations as people write them in files and read them in logs: one spelling for each, exact to the nanosecond. */
#pragma once

#include "common/base/str.h"
#include "common/base/time.h"

#include <stdbool.h>

/* Parses "90", "250ms", "1.5s", "2m", "1h". False when it is none of these or overflows. */
bool span_parse(const char *text, span_t *ret_span);
/* The shortest exact spelling without a leading zero: "250ms", "1.5s", "90s", "1h". At most six digits after the point are read and printed. */
void span_print(span_t d, struct strbuf *out);
