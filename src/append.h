/*
 * append.h: rows for the tables that every payment writes to.
 */
#ifndef EWH_APPEND_H
#define EWH_APPEND_H

#include "postgres.h"

#include "access/htup.h"
#include "utils/rel.h"

typedef enum EwhTable
{
	EWH_TABLE_EVENT,			/* rows whose key is known are passed over */
	EWH_TABLE_DELIVERY,
	EWH_TABLE_MONEY_OBJECT,
	EWH_TABLE_VOUCHER,
	EWH_TABLE_ENTRY,
	EWH_TABLE_ALLOCATION,
	EWH_TABLES					/* how many */
} EwhTable;

/* Rows on their way into a table, which is open and locked meanwhile. */
typedef struct EwhRows
{
	EwhTable	which;
	Relation	table;
	int			ncolumns;
	HeapTuple  *tuples;
	bool	   *inserted;		/* which of them were; the others were known */
	int			n;
} EwhRows;

extern EwhRows ewh_rows_begin(EwhTable which, const char *const *columns, int ncolumns, int max);
extern void ewh_rows_add(EwhRows *rows, const Datum *values, const bool *nulls);
extern void ewh_rows_insert(EwhRows *rows);

#endif							/* EWH_APPEND_H */
