/*
 * waiting.c: what ingest leaves to the worker: a request whose key has to be fetched first, and a notice that came again.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "inbox/batch.h"
#include "statement.h"

static void
take_answer(HeapTuple row, TupleDesc desc, void *arg)
{
	bool		isnull;
	Datum		kept = ewh_row_datum(row, desc, 1, &isnull);

	*(bool *) arg = !isnull && DatumGetBool(kept);
}

/*
 * A request signed with a key that we do not have but may fetch is kept, without effect, until the worker has the key. If
 * it cannot be (too many wait already, the key is at an address we do not call) it is rejected after all.
 */
void
ewh_await_key(EwhJudgement *j)
{
	Datum		args[6];
	char		nulls[7] = "      ";
	bool		kept = false;

	args[0] = Int32GetDatum(j->source->company_id);
	args[1] = Int32GetDatum(j->source->source_id);
	args[2] = DirectFunctionCall1(jsonb_in, CStringGetDatum(j->headers));
	args[3] = PointerGetDatum(j->body);
	args[4] = CStringGetTextDatum(j->method);
	args[5] = j->url ? CStringGetTextDatum(j->url) : (Datum) 0;
	nulls[5] = j->url ? ' ' : 'n';
	ewh_statement_run(EWH_KEEP_UNVERIFIED, args, nulls, take_answer, &kept);
	if (!kept)
		return;
	j->outcome = "waiting";
	j->reply = j->success;
}

/*
 * Providers that only name what changed send the same bytes for every change (Mollie classic, Plaid): each arrival asks
 * for the object again, unless that is still to be asked.
 */
void
ewh_ask_again(EwhFact **facts, int n, TimestampTz at)
{
	Datum	   *companies = palloc(sizeof(Datum) * n);
	Datum	   *events = palloc(sizeof(Datum) * n);
	Datum		args[3];
	int			asked = 0;

	for (int i = 0; i < n; i++)
	{
		if (facts[i]->fresh || !facts[i]->names_only)
			continue;
		companies[asked] = Int32GetDatum(facts[i]->company_id);
		events[asked++] = Int64GetDatum(facts[i]->event_id);
	}
	if (asked == 0)
		return;
	args[0] = PointerGetDatum(construct_array(companies, asked, INT4OID, sizeof(int32), true, TYPALIGN_INT));
	args[1] = PointerGetDatum(construct_array(events, asked, INT8OID, sizeof(int64), true, TYPALIGN_DOUBLE));
	args[2] = TimestampTzGetDatum(at);
	ewh_statement_run(EWH_ASK_AGAIN, args, NULL, NULL, NULL);
}
