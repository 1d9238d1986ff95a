/*
 * statement.h: the statements C runs, by name.
 */
#ifndef EWH_STATEMENT_H
#define EWH_STATEMENT_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"

typedef enum EwhStatement
{
	EWH_CHECK_ACCESS,
	EWH_VISIBLE_COMPANIES,
	EWH_LOAD_SOURCE,
	EWH_LOAD_SECRETS,
	EWH_FIND_LISTENER,
	EWH_READ_HOUSE,
	EWH_INSERT_EVENTS,
	EWH_SETTLE,
	EWH_SETTLE_OTHERWISE,
	EWH_PAY_INVOICE,
	EWH_PAY_INVOICES,
	EWH_DAY_OF,
	EWH_FIND_EVENTS,
	EWH_INSERT_DELIVERIES,
	EWH_INSERT_OBJECTS,
	EWH_INSERT_VOUCHERS,
	EWH_INSERT_ENTRIES,
	EWH_INSERT_ALLOCATIONS,
	EWH_INSERT_CONFLICTS,
	EWH_ASK_AGAIN,
	EWH_KEEP_UNVERIFIED,
	EWH_CLAIM_DISPATCHES,
	EWH_RECORD_DISPATCHES,
	EWH_CLAIM_CALLS,
	EWH_RECORD_CALL,
	EWH_DO_CHORES,
	EWH_STATEMENTS				/* how many */
} EwhStatement;

/* Called for each row of a result, in the memory context of whoever ran the statement. */
typedef void (*EwhRow) (HeapTuple row, TupleDesc desc, void *arg);

extern uint64 ewh_statement_run(EwhStatement which, Datum *args, const char *nulls, EwhRow row, void *arg);
extern void ewh_statement_begin_procedure(void);
extern void ewh_statement_commit(void);
extern void ewh_statement_end_procedure(void);
extern char *ewh_row_text(HeapTuple row, TupleDesc desc, int column);
extern Datum ewh_row_datum(HeapTuple row, TupleDesc desc, int column, bool *isnull);

#endif							/* EWH_STATEMENT_H */
