/* One answer of each kind, the same for both renderers. */
#pragma once

#include "scs/cli/cli.h"

extern struct cli cli;
extern struct answer answer;

void sample_command(const char *first, const char *second, const char *object);
void sample_status(void);
void sample_order(bool ok);
void sample_history(void);
void sample_why(bool decided);
void sample_complaints(void);
void sample_authority(bool leads);
int sample_clear(void **state);
/* What a renderer prints; freed by sample_clear(). */
const char *sample_text(unsigned width);
const char *sample_json(void);
const char *sample_result(void);
