/*
 * attempt.h: do something in a subtransaction.
 */
#ifndef EWH_ATTEMPT_H
#define EWH_ATTEMPT_H

#include "postgres.h"

/* NULL, or the error that undid it: every error, also those that say nothing about what was attempted (trouble.h). */
extern ErrorData *ewh_attempt(void (*work) (void *), void *arg);

#endif							/* EWH_ATTEMPT_H */
