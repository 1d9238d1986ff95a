/*
 * verdict.c: a verdict as a row of type erp_webhook.verdict (ok, reason, secret_id, signed_at).
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "proof/verdict.h"

/* The row's shape, looked up once per call site. */
static TupleDesc
verdict_shape(FunctionCallInfo fcinfo)
{
	TupleDesc	shape = fcinfo->flinfo->fn_extra;
	MemoryContext old;

	if (shape)
		return shape;
	old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	if (get_call_result_type(fcinfo, NULL, &shape) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "the caller expects no row");
	shape = BlessTupleDesc(shape);
	fcinfo->flinfo->fn_extra = shape;
	MemoryContextSwitchTo(old);
	return shape;
}

Datum
ewh_verdict_datum(FunctionCallInfo fcinfo, const EwhVerdict *verdict)
{
	Datum		values[4];
	bool		nulls[4];

	values[0] = BoolGetDatum(verdict->ok);
	values[1] = verdict->reason ? CStringGetTextDatum(verdict->reason) : (Datum) 0;
	values[2] = Int32GetDatum(verdict->secret_id);
	values[3] = TimestampTzGetDatum(verdict->signed_at);
	nulls[0] = false;
	nulls[1] = verdict->reason == NULL;
	nulls[2] = verdict->secret_id == 0;
	nulls[3] = !verdict->has_signed_at;
	return HeapTupleGetDatum(heap_form_tuple(verdict_shape(fcinfo), values, nulls));
}
