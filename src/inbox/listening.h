/*
 * listening.h: what a trigger asks before it does anything.
 */
#ifndef EWH_LISTENING_H
#define EWH_LISTENING_H

#include "postgres.h"

/* Is a dump being restored? Then its rows bring their consequences with them. */
extern bool ewh_is_restoring(void);

/* Is settlement at work, in C? In SQL its functions say so by the setting erp_webhook.settling. */
extern bool ewh_settling;

#endif							/* EWH_LISTENING_H */
