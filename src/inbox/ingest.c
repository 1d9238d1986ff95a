/*
 * ingest.c: the SQL-callable ingest() and ingest_batch(): judge every request, then write all that is kept at once.
 *
 * A call has two halves. The first reads: every request is judged in a memory context that is reset after it. The second
 * writes, and only if something is to be kept: a batch of forgeries assigns no transaction id.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "inbox/batch.h"
#include "settings.h"
#include "stats.h"

#define RECEIPT_COLUMNS 7

/* Serializable is not the guard here; under a fixed snapshot the locks of settlement would read the past. */
static void
check_transaction(void)
{
	if (XactIsoLevel != XACT_READ_COMMITTED)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("ingest needs a READ COMMITTED transaction"),
				 errhint("Set default_transaction_isolation to 'read committed' for this role.")));
	PreventCommandIfReadOnly("ingest()");
	PreventCommandIfParallelMode("ingest()");
}

/* Judge all, record what is to be kept, count. */
static EwhJudgement *
process(const EwhArrival *arrivals, int n)
{
	EwhJudgement *judgements = palloc0(sizeof(EwhJudgement) * Max(n, 1));
	TimestampTz now = ewh_setting_clock ? ewh_setting_clock : GetCurrentTimestamp();
	MemoryContext keep = CurrentMemoryContext;
	MemoryContext request = AllocSetContextCreate(keep, "erp_webhook request", ALLOCSET_DEFAULT_SIZES);

	for (int i = 0; i < n; i++)
	{
		MemoryContextSwitchTo(request);
		ewh_judge(&arrivals[i], now, keep, &judgements[i]);
		MemoryContextReset(request);
		CHECK_FOR_INTERRUPTS();
	}
	MemoryContextSwitchTo(keep);
	MemoryContextDelete(request);
	ewh_record(judgements, n, now);
	for (int i = 0; i < n; i++)
	{
		const EwhSource *source = judgements[i].source;

		ewh_stats_count(source ? source->company_id : 0, source ? source->source_id : 0,
						judgements[i].outcome, judgements[i].reason);
	}
	return judgements;
}

static int
count_fresh(const EwhJudgement *j)
{
	int			fresh = 0;

	for (int i = 0; i < j->nfacts; i++)
		fresh += j->facts[i].fresh;
	return fresh;
}

/* A judgement as the columns of type receipt. */
static void
make_receipt(const EwhJudgement *j, Datum *values, bool *nulls)
{
	int64		event_id = j->nfacts > 0 ? j->facts[0].event_id : 0;

	memset(nulls, false, RECEIPT_COLUMNS);
	values[0] = CStringGetTextDatum(j->outcome);
	values[1] = Int32GetDatum(j->reply.http_status);
	nulls[2] = j->reply.content_type == NULL;
	values[2] = nulls[2] ? (Datum) 0 : CStringGetTextDatum(j->reply.content_type);
	values[3] = PointerGetDatum(cstring_to_text_with_len(j->reply.body.data, j->reply.body.len));
	nulls[4] = event_id == 0;
	values[4] = Int64GetDatum(event_id);
	values[5] = Int32GetDatum(count_fresh(j));
	nulls[6] = j->reason == NULL;
	values[6] = nulls[6] ? (Datum) 0 : CStringGetTextDatum(j->reason);
}

static char *
text_arg(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

PG_FUNCTION_INFO_V1(erp_webhook_ingest);
/* ingest(source text, headers jsonb, body bytea, method text, url text) RETURNS receipt */
Datum
erp_webhook_ingest(PG_FUNCTION_ARGS)
{
	EwhArrival	arrival;
	TupleDesc	desc;
	Datum		values[RECEIPT_COLUMNS];
	bool		nulls[RECEIPT_COLUMNS];

	check_transaction();
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "receipt is not a composite type");
	arrival.source = text_arg(fcinfo, 0);
	arrival.headers = PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1);
	arrival.body = PG_ARGISNULL(2) ? NULL : PG_GETARG_BYTEA_PP(2);
	arrival.method = text_arg(fcinfo, 3);
	arrival.url = text_arg(fcinfo, 4);
	make_receipt(process(&arrival, 1), values, nulls);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* One array argument taken apart; an absent one has no elements. */
typedef struct Column
{
	Datum	   *values;
	bool	   *nulls;
	int			n;
	bool		absent;
} Column;

static Column
take_array(FunctionCallInfo fcinfo, int n, Oid type)
{
	Column		column = {.absent = PG_ARGISNULL(n)};
	ArrayType  *array;

	if (column.absent)
		return column;
	array = PG_GETARG_ARRAYTYPE_P(n);
	if (ARR_NDIM(array) > 1)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR), errmsg("the arrays of a batch have one dimension")));
	deconstruct_array(array, type, -1, false, TYPALIGN_INT, &column.values, &column.nulls, &column.n);
	return column;
}

static void
check_lengths(const Column *columns, int n)
{
	if (columns[0].absent || columns[1].absent || columns[2].absent)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("sources, headers and bodies of a batch must not be null")));
	for (int i = 1; i < n; i++)
		if (!columns[i].absent && columns[i].n != columns[0].n)
			ereport(ERROR,
					(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
					 errmsg("the arrays of a batch have unequal lengths: %d and %d", columns[0].n, columns[i].n)));
	if (columns[0].n > ewh_setting_max_batch)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a batch of %d requests is larger than erp_webhook.max_batch (%d)", columns[0].n, ewh_setting_max_batch)));
}

static char *
text_at(const Column *column, int i)
{
	return column->absent || column->nulls[i] ? NULL : TextDatumGetCString(column->values[i]);
}

PG_FUNCTION_INFO_V1(erp_webhook_ingest_batch);
/* ingest_batch(sources text[], headers jsonb[], bodies bytea[], methods text[], urls text[]) RETURNS SETOF receipt */
Datum
erp_webhook_ingest_batch(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Column		columns[5];
	EwhArrival *arrivals;
	EwhJudgement *judgements;

	check_transaction();
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < lengthof(columns); i++)
		columns[i] = take_array(fcinfo, i, i == 1 ? JSONBOID : i == 2 ? BYTEAOID : TEXTOID);
	check_lengths(columns, lengthof(columns));
	arrivals = palloc(sizeof(EwhArrival) * Max(columns[0].n, 1));
	for (int i = 0; i < columns[0].n; i++)
	{
		arrivals[i].source = text_at(&columns[0], i);
		arrivals[i].headers = columns[1].nulls[i] ? NULL : DatumGetJsonbP(columns[1].values[i]);
		arrivals[i].body = columns[2].nulls[i] ? NULL : DatumGetByteaPP(columns[2].values[i]);
		arrivals[i].method = text_at(&columns[3], i);
		arrivals[i].url = text_at(&columns[4], i);
	}
	judgements = process(arrivals, columns[0].n);
	for (int i = 0; i < columns[0].n; i++)
	{
		Datum		values[RECEIPT_COLUMNS];
		bool		nulls[RECEIPT_COLUMNS];

		make_receipt(&judgements[i], values, nulls);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
