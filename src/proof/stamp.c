/*
 * stamp.c: digits-only epochs and ISO 8601 with a zone.
 *
 * Stricter than the server's own timestamp input, which takes names of days and a dozen orders of fields: what is
 * signed is the text, so there must be one way to read it.
 */
#include "postgres.h"

#include "pgtime.h"

#include "proof/stamp.h"

#define MAX_DIGITS 17
#define MILLISECOND_DIGITS 12
#define EPOCH_OFFSET ((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

/* Far beyond any tolerance and far inside what a timestamptz holds: the year 10000. */
#define LAST_SECOND INT64CONST(253402300800)

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
read_epoch(EwhTimeUnit unit, EwhBytes text, TimestampTz *moment)
{
	int64		number = 0;

	if (text.len == 0 || text.len > MAX_DIGITS)
		return false;
	for (size_t i = 0; i < text.len; i++)
	{
		if (!is_digit(text.data[i]))
			return false;
		number = number * 10 + (text.data[i] - '0');
	}
	if (unit == EWH_SECONDS_OR_MILLISECONDS)
		unit = text.len < MILLISECOND_DIGITS ? EWH_SECONDS : EWH_MILLISECONDS;
	if (unit == EWH_SECONDS)
		*moment = Min(number, LAST_SECOND) * USECS_PER_SEC - EPOCH_OFFSET;
	else
		*moment = Min(number, LAST_SECOND * 1000) * 1000 - EPOCH_OFFSET;
	return true;
}

/* The number in exactly `digits` digits at *at. */
static bool
read_number(EwhBytes text, size_t *at, int digits, int *number)
{
	*number = 0;
	for (int i = 0; i < digits; i++, (*at)++)
	{
		if (*at >= text.len || !is_digit(text.data[*at]))
			return false;
		*number = *number * 10 + (text.data[*at] - '0');
	}
	return true;
}

static bool
read_mark(EwhBytes text, size_t *at, char mark)
{
	return *at < text.len && text.data[(*at)++] == mark;
}

/* A fraction of any length, of which the microseconds count. */
static bool
read_fraction(EwhBytes text, size_t *at, int *micros)
{
	int			unit = 100000;

	*micros = 0;
	if (*at >= text.len || text.data[*at] != '.')
		return true;
	(*at)++;
	if (*at >= text.len || !is_digit(text.data[*at]))
		return false;
	for (; *at < text.len && is_digit(text.data[*at]); (*at)++, unit /= 10)
		*micros += (text.data[*at] - '0') * unit;
	return true;
}

/* Z, +hh:mm or +hhmm, to the end of the text. */
static bool
read_zone(EwhBytes text, size_t *at, int *seconds)
{
	int			hours,
				minutes;
	bool		west;

	*seconds = 0;
	if (*at < text.len && text.data[*at] == 'Z')
		return ++(*at) == text.len;
	if (*at >= text.len || (text.data[*at] != '+' && text.data[*at] != '-'))
		return false;
	west = text.data[(*at)++] == '-';
	if (!read_number(text, at, 2, &hours))
		return false;
	if (*at < text.len && text.data[*at] == ':')
		(*at)++;
	if (!read_number(text, at, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*seconds = (hours * 60 + minutes) * 60 * (west ? -1 : 1);
	return *at == text.len;
}

/* Days since 1970-01-01 of a day of the Gregorian calendar (years from March, so that the leap day is the last). */
static int64
days_of(int year, int month, int day)
{
	int64		y = month > 2 ? year : year - 1;
	int64		shifted = month > 2 ? month - 3 : month + 9;
	int64		era = y / 400;
	int64		year_of_era = y - era * 400;
	int64		day_of_year = (153 * shifted + 2) / 5 + day - 1;

	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static int
days_in_month(int year, int month)
{
	static const int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool		leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return DAYS[month - 1] + (month == 2 && leap ? 1 : 0);
}

/* yyyy-mm-ddThh:mm:ss[.f](Z|±hh:mm|±hhmm): the profile of RFC 3339 section 5.6, upper case only. */
static bool
read_iso(EwhBytes text, TimestampTz *moment)
{
	size_t		at = 0;
	int			year, month, day, hour, minute, second, micros, zone;

	if (!read_number(text, &at, 4, &year) || !read_mark(text, &at, '-') ||
		!read_number(text, &at, 2, &month) || !read_mark(text, &at, '-') ||
		!read_number(text, &at, 2, &day) || !read_mark(text, &at, 'T') ||
		!read_number(text, &at, 2, &hour) || !read_mark(text, &at, ':') ||
		!read_number(text, &at, 2, &minute) || !read_mark(text, &at, ':') ||
		!read_number(text, &at, 2, &second) || !read_fraction(text, &at, &micros) ||
		!read_zone(text, &at, &zone))
		return false;
	if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 || minute > 59 ||
		second > 59)
		return false;
	*moment = (days_of(year, month, day) * SECS_PER_DAY + hour * SECS_PER_HOUR + minute * SECS_PER_MINUTE +
			   second - zone) * USECS_PER_SEC + micros - EPOCH_OFFSET;
	return true;
}

bool
ewh_stamp_read(EwhTimeUnit unit, EwhBytes text, TimestampTz *moment)
{
	return unit == EWH_ISO8601 ? read_iso(text, moment) : read_epoch(unit, text, moment);
}

/* The moment as a sender of this unit writes it. */
char *
ewh_stamp_write(EwhTimeUnit unit, TimestampTz moment)
{
	int64		micros = moment + EPOCH_OFFSET;
	pg_time_t	seconds = micros / USECS_PER_SEC;
	struct pg_tm *tm;

	switch (unit)
	{
		case EWH_SECONDS:
		case EWH_SECONDS_OR_MILLISECONDS:
			return psprintf(INT64_FORMAT, micros / USECS_PER_SEC);
		case EWH_MILLISECONDS:
			return psprintf(INT64_FORMAT, micros / 1000);
		case EWH_ISO8601:
			tm = pg_gmtime(&seconds);
			return psprintf("%04d-%02d-%02dT%02d:%02d:%02dZ", tm->tm_year + 1900, tm->tm_mon + 1,
							tm->tm_mday, tm->tm_hour, tm->tm_min, tm->tm_sec);
	}
	return NULL;
}
