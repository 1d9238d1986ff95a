/*
 * bytes.c: hex, base64, percent-encoding and CRC-32, strictly.
 *
 * Nothing here allocates or raises: the caller gives the room (the macros of bytes.h say how much) and is told false
 * where the text is not what it claims to be.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE				/* memmem */
#endif

#include "bytes.h"

static const char HEX_DIGITS[] = "0123456789abcdef";
static const char BASE64_DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char BASE64URL_DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

bool
ewh_bytes_starts(EwhBytes text, EwhBytes prefix)
{
	return text.len >= prefix.len && (prefix.len == 0 || memcmp(text.data, prefix.data, prefix.len) == 0);
}

/* What follows the first `start` bytes. */
EwhBytes
ewh_bytes_from(EwhBytes text, size_t start)
{
	EwhBytes	rest = {text.data, 0};

	if (start < text.len)
	{
		rest.data = text.data + start;
		rest.len = text.len - start;
	}
	return rest;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

EwhBytes
ewh_bytes_trim(EwhBytes text)
{
	while (text.len > 0 && is_blank(text.data[0]))
		text = ewh_bytes_from(text, 1);
	while (text.len > 0 && is_blank(text.data[text.len - 1]))
		text.len--;
	return text;
}

/* Where `wanted` first stands in text; text.len if nowhere. */
size_t
ewh_bytes_find(EwhBytes text, EwhBytes wanted)
{
	const char *at;

	if (wanted.len == 0 || wanted.len > text.len)
		return text.len;
	at = wanted.len == 1 ? memchr(text.data, wanted.data[0], text.len) :
		memmem(text.data, text.len, wanted.data, wanted.len);
	return at ? (size_t) (at - text.data) : text.len;
}

/* The value of a digit plus one; zero for what is none. */
static const unsigned char HEX_VALUE[256] = {
	['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6, ['6'] = 7, ['7'] = 8, ['8'] = 9, ['9'] = 10,
	['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
	['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16
};

/* Decode all of text, digits of any case, into text.len / 2 bytes. */
bool
ewh_hex_decode(EwhBytes text, unsigned char *out)
{
	if (text.len == 0 || text.len % 2 != 0)
		return false;
	for (size_t i = 0; i < text.len; i += 2)
	{
		int			high = HEX_VALUE[(unsigned char) text.data[i]];
		int			low = HEX_VALUE[(unsigned char) text.data[i + 1]];

		if (high == 0 || low == 0)
			return false;
		out[i / 2] = (unsigned char) ((high - 1) << 4 | (low - 1));
	}
	return true;
}

/* Write 2 * len lower-case digits, without a final NUL. */
void
ewh_hex_encode(const unsigned char *data, size_t len, char *out)
{
	for (size_t i = 0; i < len; i++)
	{
		*out++ = HEX_DIGITS[data[i] >> 4];
		*out++ = HEX_DIGITS[data[i] & 15];
	}
}

static int
base64_value(unsigned char c, EwhBase64 spelling)
{
	bool		plain = spelling != EWH_BASE64URL;
	bool		url = spelling == EWH_BASE64URL || spelling == EWH_BASE64_MIXED;

	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if ((plain && c == '+') || (url && c == '-'))
		return 62;
	if ((plain && c == '/') || (url && c == '_'))
		return 63;
	return -1;
}

/* Take the padding off; false if it is not exactly what the length asks for (RFC 4648 section 3.2). */
static bool
strip_padding(EwhBytes *text, EwhBase64 spelling)
{
	if (spelling != EWH_BASE64)
		return text->len % 4 != 1;
	if (text->len % 4 != 0)
		return false;
	for (int i = 0; i < 2 && text->len > 0 && text->data[text->len - 1] == '='; i++)
		text->len--;
	return true;
}

/* Decode all of text into at most EWH_BASE64_DECODED_MAX(text.len) bytes; the bits left over must be zero (section 3.5). */
bool
ewh_base64_decode(EwhBytes text, EwhBase64 spelling, unsigned char *out, size_t *out_len)
{
	uint32_t	bits = 0;
	int			nbits = 0;
	size_t		n = 0;

	*out_len = 0;
	if (!strip_padding(&text, spelling))
		return false;
	for (size_t i = 0; i < text.len; i++)
	{
		int			value = base64_value((unsigned char) text.data[i], spelling);

		if (value < 0)
			return false;
		bits = (bits << 6 | (uint32_t) value) & 0xFFFFFF;
		nbits += 6;
		if (nbits >= 8)
		{
			nbits -= 8;
			out[n++] = (unsigned char) (bits >> nbits & 0xFF);
		}
	}
	*out_len = n;
	return (bits & ((1u << nbits) - 1)) == 0;
}

/* Write at most EWH_BASE64_ENCODED_MAX(data.len) digits, without a final NUL; returns how many. */
size_t
ewh_base64_encode(EwhBytes data, EwhBase64 spelling, char *out)
{
	const char *digits = spelling == EWH_BASE64URL ? BASE64URL_DIGITS : BASE64_DIGITS;
	const unsigned char *in = (const unsigned char *) data.data;
	char	   *o = out;

	for (size_t i = 0; i < data.len; i += 3)
	{
		size_t		left = data.len - i;
		uint32_t	bits = (uint32_t) in[i] << 16;

		if (left > 1)
			bits |= (uint32_t) in[i + 1] << 8;
		if (left > 2)
			bits |= in[i + 2];
		*o++ = digits[bits >> 18];
		*o++ = digits[bits >> 12 & 63];
		if (left > 1)
			*o++ = digits[bits >> 6 & 63];
		else if (spelling == EWH_BASE64)
			*o++ = '=';
		if (left > 2)
			*o++ = digits[bits & 63];
		else if (spelling == EWH_BASE64)
			*o++ = '=';
	}
	return o - out;
}

/* Decode %XX, and + where it stands for a space, into at most text.len bytes. */
bool
ewh_percent_decode(EwhBytes text, bool plus_is_space, char *out, size_t *out_len)
{
	size_t		n = 0;

	*out_len = 0;
	for (size_t i = 0; i < text.len; i++)
	{
		char		c = text.data[i];

		if (c == '%')
		{
			EwhBytes	digits = {text.data + i + 1, 2};

			if (text.len - i < 3 || !ewh_hex_decode(digits, (unsigned char *) &out[n]))
				return false;
			n++;
			i += 2;
		}
		else
			out[n++] = (c == '+' && plus_is_space) ? ' ' : c;
	}
	*out_len = n;
	return true;
}

/* CRC-32 as in gzip and PNG (reflected polynomial 0xEDB88320), four bits at a time. */
uint32_t
ewh_crc32(EwhBytes data)
{
	static const uint32_t STEP[16] = {
		0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
		0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C, 0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C
	};
	uint32_t	crc = 0xFFFFFFFF;

	for (size_t i = 0; i < data.len; i++)
	{
		crc ^= (unsigned char) data.data[i];
		crc = crc >> 4 ^ STEP[crc & 15];
		crc = crc >> 4 ^ STEP[crc & 15];
	}
	return ~crc;
}

/* Zero what was secret; the barrier keeps the compiler from leaving it out. */
void
ewh_wipe(void *data, size_t len)
{
	if (data == NULL || len == 0)
		return;
	memset(data, 0, len);
	__asm__ __volatile__("" : : "r"(data) : "memory");
}
