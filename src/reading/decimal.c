/*
 * decimal.c: '-'? digit+ ('.' digit+)?  and nothing else: no exponent, plus sign, space, comma, NaN or hex.
 *
 * A minor-unit amount is the same text with its point moved. The result has exactly the currency's decimals, so that
 * equal amounts are equal texts.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "decimal.h"

/* A decimal as received: its digits without the point, and where the point stands in them. */
typedef struct Digits
{
	bool		negative;
	char	   *digits;
	int			count;
	int			point;
} Digits;

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
split(EwhBytes text, Digits *d)
{
	size_t		i = 0;
	size_t		digits_behind_point = 0;
	bool		point = false;

	memset(d, 0, sizeof(*d));
	if (text.len > 0 && text.data[0] == '-')
	{
		d->negative = true;
		i = 1;
	}
	d->digits = palloc(text.len + 1);
	for (; i < text.len; i++)
	{
		if (is_digit(text.data[i]))
		{
			d->digits[d->count++] = text.data[i];
			digits_behind_point += point;
		}
		else if (text.data[i] == '.' && !point && d->count > 0)
			point = true;
		else
			return false;
	}
	d->point = d->count - digits_behind_point;
	return d->count > 0 && (!point || digits_behind_point > 0);
}

/* The digit that stands `place` places left (positive) or right of the point. */
static char
digit_at(const Digits *d, int place)
{
	int			i = d->point - 1 - place;

	return i >= 0 && i < d->count ? d->digits[i] : '0';
}

static int
integer_digits(const Digits *d)
{
	int			leading = 0;

	while (leading < d->count && d->digits[leading] == '0')
		leading++;
	return leading == d->count ? 0 : d->point - leading;
}

static bool
has_more_decimals(const Digits *d, int digits)
{
	for (int i = Max(d->point + digits, 0); i < d->count; i++)
		if (d->digits[i] != '0')
			return true;
	return false;
}

/*
 * Read an amount: shift is how many places the unit stands below the currency's (2 for cents, 0 for decimals), digits
 * how many decimals the currency has. Returns NULL and the canonical text in *out, or the reason why not.
 */
const char *
ewh_decimal(EwhBytes text, int shift, int digits, char **out)
{
	Digits		d;
	char	   *to;
	int			places;

	if (!split(text, &d))
		return EWH_NOT_A_DECIMAL;
	d.point -= shift;
	if (integer_digits(&d) > EWH_MAX_INTEGER_DIGITS)
		return EWH_TOO_MANY_DIGITS;
	if (has_more_decimals(&d, digits))
		return EWH_TOO_MANY_DECIMALS;
	places = Max(integer_digits(&d), 1);
	*out = to = palloc(places + digits + 3);
	if (d.negative)
		*to++ = '-';
	for (int place = places - 1; place >= -digits; place--)
	{
		if (place == -1)
			*to++ = '.';
		*to++ = digit_at(&d, place);
	}
	*to = '\0';
	return NULL;
}

char *
ewh_decimal_negate(const char *decimal)
{
	return decimal[0] == '-' ? pstrdup(decimal + 1) : psprintf("-%s", decimal);
}

/* The sum of two canonical decimals; the server's numeric is exact and cannot overflow at our lengths. */
char *
ewh_decimal_add(const char *a, const char *b)
{
	Datum		x = DirectFunctionCall3(numeric_in, CStringGetDatum(a), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	Datum		y = DirectFunctionCall3(numeric_in, CStringGetDatum(b), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));

	return DatumGetCString(DirectFunctionCall1(numeric_out, DirectFunctionCall2(numeric_add, x, y)));
}

bool
ewh_decimal_is_zero(const char *decimal)
{
	return strspn(decimal, "-0.") == strlen(decimal);
}

/* ISO 4217, list one: the currencies whose minor unit is not 1/100. */
static const struct
{
	char		currency[4];
	int			digits;
}			iso_digits[] = {
	{"BHD", 3}, {"BIF", 0}, {"CLF", 4}, {"CLP", 0}, {"DJF", 0}, {"GNF", 0}, {"IQD", 3}, {"ISK", 0},
	{"JOD", 3}, {"JPY", 0}, {"KMF", 0}, {"KRW", 0}, {"KWD", 3}, {"LYD", 3}, {"OMR", 3}, {"PYG", 0},
	{"RWF", 0}, {"TND", 3}, {"UGX", 0}, {"UYI", 0}, {"UYW", 4}, {"VND", 0}, {"VUV", 0}, {"XAF", 0},
	{"XOF", 0}, {"XPF", 0},
};

/* Decimals of a currency (upper case); two for those the list does not name. */
int
ewh_currency_digits(const char *currency)
{
	for (int i = 0; i < lengthof(iso_digits); i++)
		if (strcmp(iso_digits[i].currency, currency) == 0)
			return iso_digits[i].digits;
	return 2;
}
