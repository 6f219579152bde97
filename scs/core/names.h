/* The index of names inside a configuration. */
#pragma once

#include "scs/core/config.h"

/* Builds it anew from the sections that are there. */
void scs_names_build(struct scs_config *c);
