/*
 * row.c: rows of event, delivery and event_conflict, made in C.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "bytes.h"
#include "inbox/batch.h"
#include "reading/normalise.h"

static const char *const event_columns[EWH_COLUMNS] = {
	"company_id", "event_id", "source_id", "external_id", "type", "kind", "state", "reason", "occurred_at",
	"received_at", "signed_at", "delivery_id", "object_ref", "payment_ref", "account_ref", "subscription_ref",
	"correlation", "correlation_amounts", "amount", "currency", "fee", "fee_currency", "to_amount", "to_currency",
	"value_date", "attempt", "payout_ref", "bank_ref", "end_to_end_id", "digest", "origin", "attempts", "retry_at",
	"sqlstate", "error"
};
static const char *const delivery_columns[] = {
	"company_id", "delivery_id", "received_at", "source_id", "method", "url", "headers", "body", "secret_id", "signed_at"
};
static const char *const conflict_columns[] = {"company_id", "event_id", "digest", "delivery_id", "received_at"};

/* The row type of a table of ours. Its first columns must be the ones named: an upgrade only adds behind them. */
static TupleDesc
row_type(const char *table, const char *const *columns, int ncolumns)
{
	Oid			relid = get_relname_relid(table, get_namespace_oid("erp_webhook", false));
	TupleDesc	desc = lookup_rowtype_tupdesc(get_rel_type_id(relid), -1);

	for (int i = 0; i < ncolumns; i++)
		if (i >= desc->natts || strcmp(NameStr(TupleDescAttr(desc, i)->attname), columns[i]) != 0)
			elog(ERROR, "column %d of erp_webhook.%s is not %s", i + 1, table, columns[i]);
	return desc;
}

/* One row as a composite datum; columns an upgrade added behind ours are null. */
static Datum
form_row(TupleDesc desc, const Datum *values, const bool *nulls, int n)
{
	Datum	   *all = palloc0(sizeof(Datum) * desc->natts);
	bool	   *absent = palloc(desc->natts);

	memset(absent, true, desc->natts);
	memcpy(all, values, sizeof(Datum) * n);
	memcpy(absent, nulls, n);
	return HeapTupleGetDatum(heap_form_tuple(desc, all, absent));
}

/* The first n columns of a composite. */
void
ewh_take_composite(Datum composite, Datum *values, bool *nulls, int n)
{
	HeapTupleHeader header = DatumGetHeapTupleHeader(composite);
	TupleDesc	desc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header), HeapTupleHeaderGetTypMod(header));
	HeapTupleData tuple = {.t_data = header, .t_len = HeapTupleHeaderGetDatumLength(header)};
	Datum	   *all = palloc(sizeof(Datum) * desc->natts);
	bool	   *absent = palloc(sizeof(bool) * desc->natts);

	if (desc->natts < n)
		elog(ERROR, "a row of type %s has %d columns where the library of this version reads %d",
			 format_type_be(desc->tdtypeid), desc->natts, n);
	heap_deform_tuple(&tuple, desc, all, absent);
	memcpy(values, all, sizeof(Datum) * n);
	memcpy(nulls, absent, sizeof(bool) * n);
	ReleaseTupleDesc(desc);
}

static Datum
form_array(TupleDesc desc, Datum *rows, int n)
{
	Datum		array = PointerGetDatum(construct_array(rows, n, desc->tdtypeid, -1, false, TYPALIGN_DOUBLE));

	ReleaseTupleDesc(desc);
	return array;
}

EwhRows
ewh_event_rows(int max)
{
	return ewh_rows_begin(EWH_TABLE_EVENT, event_columns, EWH_COLUMNS, max);
}

void
ewh_add_event_row(EwhRows *rows, EwhFact *fact)
{
	fact->values[EWH_EVENT_ID] = Int64GetDatum(fact->event_id);
	fact->nulls[EWH_EVENT_ID] = false;
	ewh_rows_add(rows, fact->values, fact->nulls);
}

static Datum
text_or_null(const char *text, bool *isnull)
{
	*isnull = text == NULL;
	return text ? CStringGetTextDatum(text) : (Datum) 0;
}

/* Insert the bodies to keep. */
void
ewh_insert_deliveries(EwhJudgement **judgements, int n)
{
	EwhRows		rows = ewh_rows_begin(EWH_TABLE_DELIVERY, delivery_columns, lengthof(delivery_columns), n);

	for (int i = 0; i < n; i++)
	{
		const EwhJudgement *j = judgements[i];
		Datum		values[lengthof(delivery_columns)];
		bool		nulls[lengthof(delivery_columns)] = {false};

		values[0] = Int32GetDatum(j->source->company_id);
		values[1] = Int64GetDatum(j->delivery_id);
		values[2] = TimestampTzGetDatum(j->received_at);
		values[3] = Int32GetDatum(j->source->source_id);
		values[4] = CStringGetTextDatum(j->method);
		values[5] = text_or_null(j->url, &nulls[5]);
		values[6] = CStringGetTextDatum(j->headers);
		values[7] = PointerGetDatum(j->body);
		values[8] = Int32GetDatum(j->secret_id);
		nulls[8] = j->secret_id == 0;
		values[9] = TimestampTzGetDatum(j->signed_at);
		nulls[9] = !j->has_signed_at;
		ewh_rows_add(&rows, values, nulls);
	}
	ewh_rows_insert(&rows);
}

/* What contradicts a known event as erp_webhook.event_conflict[]. */
Datum
ewh_conflict_array(EwhFact **facts, int n, EwhJudgement *judgements)
{
	TupleDesc	desc = row_type("event_conflict", conflict_columns, lengthof(conflict_columns));
	Datum	   *rows = palloc(sizeof(Datum) * n);

	for (int i = 0; i < n; i++)
	{
		const EwhJudgement *j = &judgements[facts[i]->request];
		bool		nulls[lengthof(conflict_columns)] = {false};
		Datum		values[lengthof(conflict_columns)] = {
			Int32GetDatum(facts[i]->company_id), Int64GetDatum(facts[i]->event_id), facts[i]->values[EWH_DIGEST],
			Int64GetDatum(j->delivery_id), TimestampTzGetDatum(j->received_at)
		};

		rows[i] = form_row(desc, values, nulls, lengthof(conflict_columns));
	}
	return form_array(desc, rows, n);
}

static void
put_text(EwhFact *fact, EwhColumn column, const char *text)
{
	fact->values[column] = text_or_null(text, &fact->nulls[column]);
}

static Datum
numeric_of(const char *decimal)
{
	return DirectFunctionCall3(numeric_in, CStringGetDatum(decimal), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

static void
put_amount(EwhFact *fact, EwhColumn column, const char *decimal)
{
	fact->nulls[column] = decimal == NULL;
	if (decimal)
		fact->values[column] = numeric_of(decimal);
}

static void
put_time(EwhFact *fact, EwhColumn column, bool there, TimestampTz at)
{
	fact->nulls[column] = !there;
	fact->values[column] = TimestampTzGetDatum(at);
}

/* A list of strings as text[] or numeric[]; NIL as null; an element may be NULL. */
static void
put_list(EwhFact *fact, EwhColumn column, List *list, Oid type)
{
	int			n = list_length(list);
	Datum	   *values = palloc(sizeof(Datum) * Max(n, 1));
	bool	   *nulls = palloc0(Max(n, 1));
	int			lower = 1;

	fact->nulls[column] = n == 0;
	if (n == 0)
		return;
	for (int i = 0; i < n; i++)
	{
		const char *text = list_nth(list, i);

		nulls[i] = text == NULL;
		if (text)
			values[i] = type == TEXTOID ? CStringGetTextDatum(text) : numeric_of(text);
	}
	fact->values[column] = PointerGetDatum(construct_md_array(values, nulls, 1, &n, &lower, type, -1, false, TYPALIGN_INT));
}

/* Never longer than an index page takes: reading sees to that (EWH_MAX_REFERENCE). */
static void
put_external_id(EwhFact *fact, const char *external_id)
{
	fact->external_id = pstrdup(external_id);
	fact->external_id_len = strlen(external_id);
	put_text(fact, EWH_EXTERNAL_ID, external_id);
}

/* Fill the row of one canonical event of a request. */
void
ewh_fact_fill(EwhFact *fact, const EwhJudgement *j, const EwhEvent *event)
{
	memset(fact->nulls, true, sizeof(fact->nulls));
	fact->company_id = j->source->company_id;
	fact->source_id = j->source->source_id;
	fact->values[EWH_COMPANY_ID] = Int32GetDatum(fact->company_id);
	fact->values[EWH_SOURCE_ID] = Int32GetDatum(fact->source_id);
	fact->nulls[EWH_COMPANY_ID] = fact->nulls[EWH_SOURCE_ID] = false;
	put_external_id(fact, event->external_id);
	put_text(fact, EWH_TYPE, event->type);
	put_text(fact, EWH_KIND, event->kind);
	ewh_fact_state(fact, event->state, event->reason);
	fact->names_only = strcmp(event->state, "waiting") == 0 && strcmp(event->kind, "other") == 0;
	put_time(fact, EWH_OCCURRED_AT, event->has_occurred_at, event->occurred_at);
	put_time(fact, EWH_RECEIVED_AT, true, j->received_at);
	put_time(fact, EWH_SIGNED_AT, j->has_signed_at, j->signed_at);
	put_text(fact, EWH_OBJECT_REF, event->object_ref);
	put_text(fact, EWH_PAYMENT_REF, event->payment_ref);
	put_text(fact, EWH_ACCOUNT_REF, event->account_ref);
	put_text(fact, EWH_SUBSCRIPTION_REF, event->subscription_ref);
	put_list(fact, EWH_CORRELATION, event->correlation, TEXTOID);
	put_list(fact, EWH_CORRELATION_AMOUNTS, event->correlation_amounts, NUMERICOID);
	put_amount(fact, EWH_AMOUNT, event->amount);
	put_text(fact, EWH_CURRENCY, event->currency);
	put_amount(fact, EWH_FEE, event->fee);
	put_text(fact, EWH_FEE_CURRENCY, event->fee_currency);
	put_amount(fact, EWH_TO_AMOUNT, event->to_amount);
	put_text(fact, EWH_TO_CURRENCY, event->to_currency);
	fact->nulls[EWH_VALUE_DATE] = event->value_date == NULL;
	if (event->value_date)
		fact->values[EWH_VALUE_DATE] = DirectFunctionCall1(date_in, CStringGetDatum(event->value_date));
	put_text(fact, EWH_ATTEMPT, event->attempt);
	put_text(fact, EWH_PAYOUT_REF, event->payout_ref);
	put_text(fact, EWH_BANK_REF, event->bank_ref);
	put_text(fact, EWH_END_TO_END_ID, event->end_to_end_id);
	fact->values[EWH_DIGEST] = PointerGetDatum(cstring_to_text_with_len(event->digest, sizeof(event->digest)));
	fact->nulls[EWH_DIGEST] = false;
	put_text(fact, EWH_ORIGIN, "push");
	fact->values[EWH_ATTEMPTS] = Int32GetDatum(0);
	fact->nulls[EWH_ATTEMPTS] = false;
}

/* Give an event its state, and why. */
void
ewh_fact_state(EwhFact *fact, const char *state, const char *reason)
{
	fact->state = pstrdup(state);
	fact->reason = reason ? pstrdup(reason) : NULL;
	put_text(fact, EWH_STATE, state);
	put_text(fact, EWH_REASON, reason);
}

/* Mark an event whose settling raised an error of its own. */
void
ewh_fact_failed(EwhFact *fact, const char *sqlstate, const char *message)
{
	ewh_fact_state(fact, "failed", NULL);
	fact->reason = pstrdup(sqlstate);
	put_text(fact, EWH_SQLSTATE, sqlstate);
	put_text(fact, EWH_ERROR, message);
	fact->values[EWH_ATTEMPTS] = Int32GetDatum(1);
}

/* Join an event to the body it came in. */
void
ewh_fact_delivery(EwhFact *fact, int64 delivery_id)
{
	fact->values[EWH_DELIVERY_ID] = Int64GetDatum(delivery_id);
	fact->nulls[EWH_DELIVERY_ID] = false;
}
