/*
 * moment.c: the time that orders facts. An undated fact sorts after every dated one: it stands a thousand years later, in
 * hours rather than years, which is exact and in every time zone the same.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "moment.h"

#define A_THOUSAND_YEARS (8766000 * USECS_PER_HOUR)	/* day_of_moment() takes them off again */

TimestampTz
ewh_undated(TimestampTz told_at)
{
	Interval	later = {.time = A_THOUSAND_YEARS};

	return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(told_at),
												   IntervalPGetDatum(&later)));
}

PG_FUNCTION_INFO_V1(erp_webhook_moment);
/* moment(occurred_at timestamptz, signed_at timestamptz, received_at timestamptz) RETURNS timestamptz */
Datum
erp_webhook_moment(PG_FUNCTION_ARGS)
{
	if (!PG_ARGISNULL(0))
		PG_RETURN_TIMESTAMPTZ(PG_GETARG_TIMESTAMPTZ(0));
	for (int i = 1; i < 3; i++)
		if (!PG_ARGISNULL(i))
			PG_RETURN_TIMESTAMPTZ(ewh_undated(PG_GETARG_TIMESTAMPTZ(i)));
	PG_RETURN_NULL();
}
