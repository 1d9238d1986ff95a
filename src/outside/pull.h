/*
 * pull.h: what is read from providers: pages of events, objects, keys.
 */
#ifndef EWH_PULL_H
#define EWH_PULL_H

#include "outside/http.h"

extern List *ewh_pull_claim(int places, int lease_ms);
extern EwhExchange *ewh_pull_continue(EwhExchange *token_answer);
extern void ewh_pull_record(void *finished);

#endif							/* EWH_PULL_H */
