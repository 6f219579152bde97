/* The part of a definition that says how its process is set up. */
#pragma once

#include "common/base/exec_setup.h"
#include "common/base/str.h"
#include "proto/agent.pb-c.h"

/* Reads it; what is absent is not set. False with what is wrong in `why`. */
bool exec_read(const Understudy__Agent__Exec *m, struct exec_setup *ret_setup, struct strbuf *why);
/* The texts of a definition that belong to it: groups, files, hooks, signal. Adds to `room` what a start needs for them. */
bool exec_texts_check(const Understudy__Agent__Define *m, size_t *room, struct strbuf *why);
