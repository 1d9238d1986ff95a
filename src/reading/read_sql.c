/*
 * read_sql.c: a body read by a mapping that is given, for SQL: preview(), and trying a mapping before it is stored.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "compat.h"
#include "normalise.h"

#define RESULT_COLUMNS 25

static bool
set_text(Datum *value, const char *text)
{
	if (text)
		*value = CStringGetTextDatum(text);
	return text == NULL;
}

/* Amounts are canonical by now: numeric_in takes them as they are. */
static Datum
numeric_datum(const char *decimal)
{
	return DirectFunctionCall3(numeric_in, CStringGetDatum(decimal), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

static bool
set_numeric(Datum *value, const char *decimal)
{
	if (decimal)
		*value = numeric_datum(decimal);
	return decimal == NULL;
}

static bool
set_list(Datum *value, const List *texts, bool numbers)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(list_length(texts), 1));
	bool	   *nulls = palloc(sizeof(bool) * Max(list_length(texts), 1));
	int			count = list_length(texts);
	int			lower = 1;
	ListCell   *lc;

	foreach(lc, texts)
	{
		int			i = foreach_current_index(lc);

		nulls[i] = numbers ? set_numeric(&elements[i], lfirst(lc)) : set_text(&elements[i], lfirst(lc));
	}
	if (count == 0)
		return true;
	*value = PointerGetDatum(numbers ?
							 construct_md_array(elements, nulls, 1, &count, &lower, NUMERICOID, -1, false, TYPALIGN_INT) :
							 construct_md_array(elements, nulls, 1, &count, &lower, TEXTOID, -1, false, TYPALIGN_INT));
	return false;
}

static bool
set_date(Datum *value, const char *date)
{
	if (date)
		*value = DirectFunctionCall1(date_in, CStringGetDatum(date));
	return date == NULL;
}

static bool
set_bytes(Datum *value, const char *data, size_t len)
{
	bytea	   *copy = palloc(VARHDRSZ + len);

	SET_VARSIZE(copy, VARHDRSZ + len);
	memcpy(VARDATA(copy), data, len);
	*value = PointerGetDatum(copy);
	return false;
}

static void
put_event(ReturnSetInfo *result, const EwhEvent *e)
{
	Datum		v[RESULT_COLUMNS] = {0};
	bool		n[RESULT_COLUMNS] = {0};
	int			c = 0;

#define PUT(setter, ...) (n[c] = setter(&v[c], __VA_ARGS__), c++)
	PUT(set_text, e->external_id);
	PUT(set_text, e->type);
	PUT(set_text, e->kind);
	PUT(set_text, e->state);
	PUT(set_text, e->reason);
	PUT(set_text, e->object_ref);
	PUT(set_text, e->payment_ref);
	PUT(set_text, e->account_ref);
	PUT(set_text, e->subscription_ref);
	PUT(set_list, e->correlation, false);
	PUT(set_list, e->correlation_amounts, true);
	PUT(set_numeric, e->amount);
	PUT(set_text, e->currency);
	PUT(set_numeric, e->fee);
	PUT(set_text, e->fee_currency);
	PUT(set_numeric, e->to_amount);
	PUT(set_text, e->to_currency);
	n[c] = !e->has_occurred_at;
	v[c++] = TimestampTzGetDatum(e->occurred_at);
	PUT(set_date, e->value_date);
	PUT(set_text, e->attempt);
	PUT(set_text, e->payout_ref);
	PUT(set_text, e->bank_ref);
	PUT(set_text, e->end_to_end_id);
	PUT(set_bytes, e->digest, sizeof(e->digest));
#undef PUT
	v[c] = Int32GetDatum((int32) tuplestore_tuple_count(result->setResult) + 1);
	tuplestore_putvalues(result->setResult, result->setDesc, v, n);
}

static EwhBytes
bytes_arg(FunctionCallInfo fcinfo, int i)
{
	EwhBytes	bytes = {"", 0};

	if (!PG_ARGISNULL(i))
	{
		struct varlena *v = PG_GETARG_VARLENA_PP(i);

		bytes = (EwhBytes) {VARDATA_ANY(v), VARSIZE_ANY_EXHDR(v)};
	}
	return bytes;
}

static Jsonb *
jsonb_arg(FunctionCallInfo fcinfo, int i)
{
	return PG_ARGISNULL(i) ? NULL : PG_GETARG_JSONB_P(i);
}

/* The mapping compiled last, kept between the calls of one query, and the arguments it was made of as they came. */
typedef struct Compiled
{
	struct varlena *reading;
	struct varlena *events;
	EwhMapping *mapping;
} Compiled;

/* An argument as stored, perhaps compressed: telling that it is the same again must not cost what reading it does. */
static struct varlena *
raw_arg(FunctionCallInfo fcinfo, int i)
{
	return PG_ARGISNULL(i) ? NULL : PG_GETARG_RAW_VARLENA_P(i);
}

static bool
same_raw(const struct varlena *a, const struct varlena *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return VARSIZE_ANY(a) == VARSIZE_ANY(b) && memcmp(a, b, VARSIZE_ANY(a)) == 0;
}

static struct varlena *
copy_raw(const struct varlena *raw)
{
	struct varlena *copy = raw ? palloc(VARSIZE_ANY(raw)) : NULL;

	if (copy)
		memcpy(copy, raw, VARSIZE_ANY(raw));
	return copy;
}

static const EwhMapping *
compiled_mapping(FunctionCallInfo fcinfo)
{
	Compiled   *known = fcinfo->flinfo->fn_extra;
	struct varlena *reading = raw_arg(fcinfo, 0);
	struct varlena *events = raw_arg(fcinfo, 1);
	MemoryContext before;

	if (known && same_raw(known->reading, reading) && same_raw(known->events, events))
		return known->mapping;
	before = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	known = palloc(sizeof(Compiled));
	known->reading = copy_raw(reading);
	known->events = copy_raw(events);
	known->mapping = ewh_mapping_compile(jsonb_arg(fcinfo, 0), jsonb_arg(fcinfo, 1));
	fcinfo->flinfo->fn_extra = known;
	MemoryContextSwitchTo(before);
	return known->mapping;
}

static List *
read_args(FunctionCallInfo fcinfo)
{
	EwhRequest	req = {0};
	const EwhMapping *mapping = compiled_mapping(fcinfo);
	const char *trust = PG_ARGISNULL(7) ? "full" : text_to_cstring(PG_GETARG_TEXT_PP(7));

	req.settings = jsonb_arg(fcinfo, 2);
	if (!ewh_request_headers(jsonb_arg(fcinfo, 3), &req))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("headers must be an object of strings")));
	req.body = bytes_arg(fcinfo, 4);
	req.method = bytes_arg(fcinfo, 5);
	req.url = bytes_arg(fcinfo, 6);
	return ewh_normalise(mapping, &req, req.body, trust);
}

/* read_body(reading jsonb, events jsonb, settings jsonb, headers jsonb, body bytea, method text, url text, trust text) */
PG_FUNCTION_INFO_V1(erp_webhook_read_body);
PGDLLEXPORT Datum
erp_webhook_read_body(PG_FUNCTION_ARGS)
{
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, read_args(fcinfo))
		put_event((ReturnSetInfo *) fcinfo->resultinfo, lfirst(lc));
	return (Datum) 0;
}

/* count_events(reading jsonb, events jsonb, settings jsonb, headers jsonb, body bytea, method text, url text, trust text) */
PG_FUNCTION_INFO_V1(erp_webhook_count_events);
PGDLLEXPORT Datum
erp_webhook_count_events(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(list_length(read_args(fcinfo)));
}
