/*
 * stamp.c: signed timestamps in every unit. What was read is written and read again as the same second.
 */
#include "fuzz.h"

#include <time.h>

#include "pgtime.h"

#include "proof/stamp.h"

struct pg_tm *
pg_gmtime(const pg_time_t *seconds)
{
	static struct pg_tm tm;
	time_t		t = (time_t) *seconds;
	struct tm	broken;

	must(gmtime_r(&t, &broken) != NULL);
	tm.tm_year = broken.tm_year;
	tm.tm_mon = broken.tm_mon;
	tm.tm_mday = broken.tm_mday;
	tm.tm_hour = broken.tm_hour;
	tm.tm_min = broken.tm_min;
	tm.tm_sec = broken.tm_sec;
	return &tm;
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	EwhTimeUnit unit;
	EwhBytes	text;
	TimestampTz moment,
				again;
	int64		second = USECS_PER_SEC;

	if (size == 0)
		return 0;
	unit = data[0] % 4;
	text.data = memcpy(palloc(size), data + 1, size - 1);
	text.len = size - 1;
	if (ewh_stamp_read(unit, text, &moment))
	{
		/* Years of four digits, which is what is written. */
		must(unit == EWH_ISO8601 || moment >= INT64CONST(-946684800) * second);
		if (moment >= INT64CONST(-946684800) * second && moment < INT64CONST(252455616000) * second)
		{
			unit = unit == EWH_SECONDS_OR_MILLISECONDS ? EWH_SECONDS : unit;
			must(ewh_stamp_read(unit, ewh_bytes(ewh_stamp_write(unit, moment)), &again));
			must(moment - again >= 0 && moment - again < second);
		}
	}
	fuzz_forget();
	return 0;
}
