/*
 * moment.c: times. What reads as one lies in the calendar, and its day is a day.
 */
#include "fuzz.h"

#include "reading/moment.h"

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	EwhBytes	text;
	TimestampTz at = 0;
	char	   *day;
	int32		zone;

	if (size < 1)
		return 0;
	zone = data[0] % 2 ? EWH_NO_ZONE : ((int8) data[0]) * 600;
	text.len = size - 1;
	text.data = memcpy(palloc(text.len), data + 1, text.len);
	if (ewh_moment(text, zone, &at))
		must(IS_VALID_TIMESTAMP(at));
	day = ewh_moment_date(text, zone);
	if (day)
		must(strlen(day) >= 10 && day[4] == '-');
	fuzz_forget();
	return 0;
}
