/*
 * bytes.c: hex, base64 in its spellings, percent-encoding. What is accepted is canonical: encoded again it is the input,
 * but for the case of hexadecimal digits.
 */
#include "fuzz.h"

static void
try_hex(EwhBytes text)
{
	unsigned char *out = palloc(text.len / 2 + 1);
	char	   *again = palloc(text.len + 1);

	if (!ewh_hex_decode(text, out))
		return;
	ewh_hex_encode(out, text.len / 2, again);
	for (size_t i = 0; i < text.len; i++)
		must(again[i] == (text.data[i] >= 'A' && text.data[i] <= 'F' ? text.data[i] + 32 : text.data[i]));
}

static void
try_base64(EwhBytes text, EwhBase64 spelling)
{
	unsigned char *out = palloc(EWH_BASE64_DECODED_MAX(text.len));
	EwhBytes	data = {(char *) out, 0};
	char	   *again;

	if (!ewh_base64_decode(text, spelling, out, &data.len))
		return;
	again = palloc(EWH_BASE64_ENCODED_MAX(data.len) + 1);
	must(ewh_base64_encode(data, spelling, again) == text.len);
	must(spelling == EWH_BASE64_MIXED || text.len == 0 || memcmp(again, text.data, text.len) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	EwhBytes	text = {memcpy(palloc(size), data, size), size};
	char	   *out = palloc(size + 1);
	size_t		len;

	try_hex(text);
	try_base64(text, EWH_BASE64);
	try_base64(text, EWH_BASE64_UNPADDED);
	try_base64(text, EWH_BASE64URL);
	try_base64(text, EWH_BASE64_MIXED);
	if (ewh_percent_decode(text, size % 2 == 0, out, &len))
		must(len <= size);
	ewh_crc32(text);
	must(ewh_bytes_trim(text).len <= size);
	fuzz_forget();
	return 0;
}
