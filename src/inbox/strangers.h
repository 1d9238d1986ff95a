/*
 * strangers.h: triggers that are not ours.
 */
#ifndef EWH_STRANGERS_H
#define EWH_STRANGERS_H

#include "postgres.h"

/* Has anybody hung triggers of his own on the tables that a payment changes? */
extern bool ewh_has_strangers(void);

#endif							/* EWH_STRANGERS_H */
