/*
 * amount.c: the decimal grammar. The first two bytes are the shift and the currency's digits. What is accepted is
 * canonical: it reads as itself, has exactly the digits, and no digit of the input but zeros was lost.
 */
#include "fuzz.h"

#include "reading/decimal.h"

static int
significant(const char *text, size_t len)
{
	int			count = 0;

	for (size_t i = 0; i < len; i++)
		count += text[i] >= '1' && text[i] <= '9';
	return count;
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	char	   *out;
	char	   *again;
	EwhBytes	text;
	int			shift;
	int			digits;

	if (size < 2)
		return 0;
	shift = data[0] % 19;
	digits = data[1] % 19;
	text.len = size - 2;
	text.data = memcpy(palloc(text.len), data + 2, text.len);
	if (ewh_decimal(text, shift, digits, &out) == NULL)
	{
		const char *point = strchr(out, '.');

		must((point ? strlen(point + 1) : 0) == (size_t) digits);
		must(strspn(out, "-0123456789.") == strlen(out));
		must(significant(out, strlen(out)) == significant(text.data, text.len));
		must(ewh_decimal(ewh_bytes(out), 0, digits, &again) == NULL && strcmp(out, again) == 0);
		must((out[0] == '-') == (text.data[0] == '-'));
	}
	fuzz_forget();
	return 0;
}
