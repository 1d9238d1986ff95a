/*
 * fact.h: one canonical event of an item, by the row that holds for it.
 */
#ifndef EWH_FACT_H
#define EWH_FACT_H

#include "postgres.h"

#include "normalise.h"
#include "rule.h"

/* Longer texts name nothing: no provider's id comes near, and an index takes no more. */
#define EWH_MAX_REFERENCE 512

/* One payment for more invoices than this is a mistake, and comparing them would take long. */
#define EWH_MAX_REFERENCES 1000

extern EwhEvent *ewh_fact_read(const EwhMapping *mapping, const EwhRow *row, EwhScopes *scopes, const char *type,
							   const char *trust);
extern void ewh_fact_digest(EwhEvent *event);
extern char *ewh_hash_name(EwhBytes bytes);

#endif							/* EWH_FACT_H */
