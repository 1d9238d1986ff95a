/*
 * voucher.c: what a voucher says with its entries, as bytes, and the digest of them.
 *
 * In C because every payment passes here: as SQL it took thirty calls a voucher to put the text together, and thirty nodes
 * in the plan of each statement that posts one.
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"

#include "compat.h"
#include "sha256.h"
#include "voucher.h"

static void
add_text(StringInfo out, const text *t)
{
	appendBinaryStringInfo(out, VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t));
}

/* A number, and what ends it. */
static void
add_int(StringInfo out, int64 n, char end)
{
	char		digits[MAXINT8LEN + 1];

	appendBinaryStringInfo(out, digits, pg_lltoa(n, digits));
	appendStringInfoChar(out, end);
}

/* An infinite day is refused, as its number would be one of a day that exists. */
static void
add_day(StringInfo out, DateADT day)
{
	if (DATE_NOT_FINITE(day))
		ereport(ERROR, (errcode(ERRCODE_DATETIME_FIELD_OVERFLOW), errmsg("the day of a voucher is infinite")));
	add_int(out, day, '|');
}

void
ewh_add_entry_text(StringInfo out, Datum debit, Datum credit, Datum amount, Datum currency)
{
	add_text(out, DatumGetTextPP(debit));
	appendStringInfoChar(out, '<');
	add_text(out, DatumGetTextPP(credit));
	appendStringInfoChar(out, ':');
	appendStringInfoString(out, DatumGetCString(DirectFunctionCall1(numeric_out, amount)));
	add_text(out, DatumGetTextPP(currency));
	appendStringInfoChar(out, ';');
}

PG_FUNCTION_INFO_V1(erp_webhook_entry_text);
/* entry_text(debit text, credit text, amount numeric, currency text) RETURNS text */
Datum
erp_webhook_entry_text(PG_FUNCTION_ARGS)
{
	StringInfoData out;

	initStringInfo(&out);
	ewh_add_entry_text(&out, PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), PG_GETARG_DATUM(2), PG_GETARG_DATUM(3));
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}

PG_FUNCTION_INFO_V1(erp_webhook_voucher_digest);
/*
 * voucher_digest(company_id int, source_id int, object text, object_ref text, step int, event_id bigint, booked_on date,
 *                occurred_on date, entries text) RETURNS bytea
 */
Datum
erp_webhook_voucher_digest(PG_FUNCTION_ARGS)
{
	StringInfoData said;
	text	   *ref;
	bytea	   *digest;

	for (int i = 0; i < 9; i++)
		if (PG_ARGISNULL(i) && i != 5)
			PG_RETURN_NULL();
	ref = PG_GETARG_TEXT_PP(3);
	initStringInfo(&said);
	add_int(&said, PG_GETARG_INT32(0), '|');
	add_int(&said, PG_GETARG_INT32(1), '|');
	add_text(&said, PG_GETARG_TEXT_PP(2));
	appendStringInfoChar(&said, '|');
	/* the length before it, in characters: a reference may hold anything, a '|' too */
	add_int(&said, pg_mbstrlen_with_len(VARDATA_ANY(ref), VARSIZE_ANY_EXHDR(ref)), ':');
	add_text(&said, ref);
	appendStringInfoChar(&said, '|');
	add_int(&said, PG_GETARG_INT32(4), '|');
	if (PG_ARGISNULL(5))
		appendStringInfoString(&said, "-|");
	else
		add_int(&said, PG_GETARG_INT64(5), '|');
	add_day(&said, PG_GETARG_DATEADT(6));
	add_day(&said, PG_GETARG_DATEADT(7));
	add_text(&said, PG_GETARG_TEXT_PP(8));

	digest = palloc(VARHDRSZ + EWH_SHA256_LEN);
	SET_VARSIZE(digest, VARHDRSZ + EWH_SHA256_LEN);
	ewh_sha256(said.data, said.len, VARDATA(digest));
	PG_RETURN_BYTEA_P(digest);
}
