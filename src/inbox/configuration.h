/*
 * configuration.h: reading a source from its tables; source.c keeps what is read.
 */
#ifndef EWH_CONFIGURATION_H
#define EWH_CONFIGURATION_H

#include "postgres.h"

#include "inbox/source.h"

/* Made in CurrentMemoryContext, in a context of its own. NULL: no source has this name. */
extern EwhSource *ewh_configuration_load(const char *name);
extern EwhSource *ewh_configuration_dummy(void);

#endif							/* EWH_CONFIGURATION_H */
