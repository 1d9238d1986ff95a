/*
 * moment.c: Unix seconds and milliseconds, ISO 8601 with any fraction and offset, and local times of a known zone.
 *
 * The server's own input functions are not used: they raise, follow session settings, and accept far more than a
 * provider means. What does not read as a time here is no time; the event then goes by when it was signed.
 * Fractions of a second are dropped: settlement compares whole seconds (SETTLEMENT.md 1.4), and one event whose time
 * is written once with and once without them must stay one moment.
 */
#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/datetime.h"

#include "moment.h"

typedef struct Reader
{
	const char *at;
	const char *end;
} Reader;

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Exactly n digits. */
static bool
number(Reader *r, int n, int *value)
{
	*value = 0;
	if (r->end - r->at < n)
		return false;
	for (int i = 0; i < n; i++, r->at++)
	{
		if (!is_digit(*r->at))
			return false;
		*value = *value * 10 + (*r->at - '0');
	}
	return true;
}

static bool
one_of(Reader *r, const char *set)
{
	if (r->at == r->end || *r->at == '\0' || strchr(set, *r->at) == NULL)
		return false;
	r->at++;
	return true;
}

/* Z, +hh, +hhmm or +hh:mm. */
static bool
offset(Reader *r, int32 *seconds_east)
{
	int			sign;
	int			hours;
	int			minutes = 0;

	*seconds_east = 0;
	if (one_of(r, "Zz"))
		return true;
	if (r->at == r->end || (*r->at != '+' && *r->at != '-'))
		return false;
	sign = *r->at++ == '+' ? 1 : -1;
	if (!number(r, 2, &hours))
		return false;
	one_of(r, ":");
	if (r->at < r->end && !number(r, 2, &minutes))
		return false;
	*seconds_east = sign * (hours * 3600 + minutes * 60);
	return hours <= 15 && minutes <= 59;
}

/* A zone as a row writes it: +08:00, Z. */
bool
ewh_zone(const char *text, int32 *seconds_east)
{
	Reader		r = {text, text + strlen(text)};

	return offset(&r, seconds_east) && r.at == r.end;
}

/* yyyy-mm-dd or yyyymmdd, in the Gregorian calendar. */
static bool
calendar_day(Reader *r, int *year, int *month, int *day)
{
	bool		dashed;

	if (!number(r, 4, year))
		return false;
	dashed = one_of(r, "-");
	if (!number(r, 2, month) || (dashed && !one_of(r, "-")) || !number(r, 2, day))
		return false;
	return *year >= 1900 && *month >= 1 && *month <= 12 && *day >= 1 &&
		*day <= day_tab[isleap(*year)][*month - 1];
}

/* hh:mm[:ss[.fraction]] or hhmmss. A leap second counts as the one before. */
static bool
time_of_day(Reader *r, int *seconds)
{
	int			hour;
	int			minute;
	int			second = 0;
	bool		colon;

	if (!number(r, 2, &hour))
		return false;
	colon = one_of(r, ":");
	if (!number(r, 2, &minute))
		return false;
	if ((!colon || one_of(r, ":")) && !number(r, 2, &second))
		return false;
	if (one_of(r, ".,"))
		while (r->at < r->end && is_digit(*r->at))
			r->at++;
	*seconds = hour * 3600 + minute * 60 + Min(second, 59);
	return hour <= 23 && minute <= 59 && second <= 60;
}

static TimestampTz
from_unix(int64 seconds)
{
	return (seconds - (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY) * USECS_PER_SEC;
}

/* Nine to eleven digits are seconds, twelve and thirteen are milliseconds; more are no time of ours. */
static bool
unix_time(EwhBytes text, TimestampTz *at)
{
	int64		value = 0;

	if (text.len < 9 || text.len > 13)
		return false;
	for (size_t i = 0; i < text.len; i++)
	{
		if (!is_digit(text.data[i]))
			return false;
		value = value * 10 + (text.data[i] - '0');
	}
	*at = from_unix(text.len >= 12 ? value / 1000 : value);
	return true;
}

static bool
written_time(EwhBytes text, int32 zone, TimestampTz *at)
{
	Reader		r = {text.data, text.data + text.len};
	int			year;
	int			month;
	int			day;
	int			seconds = 0;
	int32		east = zone;

	if (!calendar_day(&r, &year, &month, &day))
		return false;
	if (r.at < r.end)
	{
		one_of(&r, "T t.");
		if (!time_of_day(&r, &seconds))
			return false;
		one_of(&r, " ");
	}
	if (r.at < r.end && (!offset(&r, &east) || r.at < r.end))
		return false;
	if (east == EWH_NO_ZONE)
		return false;
	*at = from_unix((int64) (date2j(year, month, day) - UNIX_EPOCH_JDATE) * SECS_PER_DAY + seconds - east);
	return true;
}

/* A moment as any provider writes it; `zone` (seconds east, or EWH_NO_ZONE) is for texts that name none. */
bool
ewh_moment(EwhBytes text, int32 zone, TimestampTz *at)
{
	/* fourteen digits are yyyymmddhhmmss, which no Unix time of this millennium is */
	if (text.len != 14 && unix_time(text, at))
		return true;
	return written_time(text, zone, at);
}

/* The day of a moment, YYYY-MM-DD: of a written one the day that is written, of a Unix time the one in `zone` or UTC. */
char *
ewh_moment_date(EwhBytes text, int32 zone)
{
	Reader		r = {text.data, text.data + text.len};
	TimestampTz at;
	int			year;
	int			month;
	int			day;

	if (text.len != 14 && unix_time(text, &at))
	{
		int64		east = zone == EWH_NO_ZONE ? 0 : zone;

		j2date((at + east * USECS_PER_SEC) / USECS_PER_DAY + POSTGRES_EPOCH_JDATE, &year, &month, &day);
	}
	else if (!calendar_day(&r, &year, &month, &day) || (r.at < r.end && is_digit(*r.at) && text.len != 14))
		return NULL;
	return psprintf("%04d-%02d-%02d", year, month, day);
}
