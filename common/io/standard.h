/* Descriptors 0, 1 and 2: they are there before a program opens anything, and what was printed is known to have arrived. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

/* Opens /dev/null at each of 0, 1 and 2 that is closed, so that no socket, lock or timer becomes a standard stream. They stay open in programs that
 * this one executes. The first thing that a main() does. */
void standard_open(void);
/* Writes out what `stream` holds back. false: some of what was ever printed to it was lost; `errno` says why, where the loss is this call's. */
bool standard_flush(FILE *stream);
