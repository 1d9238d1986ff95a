/*
 * outbox.h: messages on their way to subscribers.
 */
#ifndef EWH_OUTBOX_H
#define EWH_OUTBOX_H

#include "outside/http.h"

extern List *ewh_outbox_claim(int places, int lease_ms);
extern void ewh_outbox_record(List *finished);

#endif							/* EWH_OUTBOX_H */
