/*
 * turn.h: the transactions of a turn, the same for the background worker and for CALL run_jobs().
 */
#ifndef EWH_TURN_H
#define EWH_TURN_H

#include "postgres.h"

extern void ewh_turn_in_procedure(void);
extern void ewh_turn_begin(void);
extern void ewh_turn_commit(void);
extern bool ewh_turn_guarded(void (*work) (void *arg), void *arg);

#endif							/* EWH_TURN_H */
