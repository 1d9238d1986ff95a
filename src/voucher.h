/*
 * voucher.h: what a voucher says with its entries, as bytes.
 */
#ifndef EWH_VOUCHER_H
#define EWH_VOUCHER_H

#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"

/* An entry as the digest of its voucher sees it; amount is numeric, the others text. */
extern void ewh_add_entry_text(StringInfo out, Datum debit, Datum credit, Datum amount, Datum currency);

/* See voucher.c for its arguments. */
extern PGDLLEXPORT Datum erp_webhook_voucher_digest(PG_FUNCTION_ARGS);

#endif							/* EWH_VOUCHER_H */
