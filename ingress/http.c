/*
 * The head of a request: request line and header fields.
 *
 * The one fact to know: every line must end with CR LF, and neither CR, LF nor NUL may stand anywhere else. With that
 * checked first, everything after can split lines without thinking of line ends again.
 */
#include "http.h"

#include <string.h>
#include <strings.h>

/* Token characters of RFC 9110 section 5.6.2. */
static bool
is_token_char(unsigned char c)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
		return true;
	return c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool
is_token(EwhSlice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_token_char((unsigned char) s.at[i]))
			return false;
	return s.len > 0;
}

bool
ewh_slice_is(EwhSlice slice, const char *lower_word)
{
	return slice.len == strlen(lower_word) && strncasecmp(slice.at, lower_word, slice.len) == 0;
}

static EwhSlice
trim(EwhSlice s)
{
	while (s.len > 0 && (s.at[0] == ' ' || s.at[0] == '\t'))
		s.at++, s.len--;
	while (s.len > 0 && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* Sequence length of a UTF-8 lead byte and the smallest code point it may carry, by RFC 3629. */
static size_t
utf8_sequence(unsigned char lead, uint32_t *bits, uint32_t *least)
{
	if (lead >= 0xC2 && lead <= 0xDF)
		return *bits = lead & 0x1F, *least = 0x80, 2;
	if (lead >= 0xE0 && lead <= 0xEF)
		return *bits = lead & 0x0F, *least = 0x800, 3;
	if (lead >= 0xF0 && lead <= 0xF4)
		return *bits = lead & 0x07, *least = 0x10000, 4;
	return 0;
}

bool
ewh_text_is_clean(const char *text, size_t len)
{
	for (size_t i = 0; i < len;)
	{
		unsigned char c = (unsigned char) text[i];
		uint32_t code, least;
		size_t n;

		if (c < 0x80)
		{
			if ((c < ' ' && c != '\t') || c == 127)
				return false;
			i++;
			continue;
		}
		n = utf8_sequence(c, &code, &least);
		if (n == 0 || len - i < n)
			return false;
		for (size_t k = 1; k < n; k++)
		{
			if (((unsigned char) text[i + k] & 0xC0) != 0x80)
				return false;
			code = code << 6 | ((unsigned char) text[i + k] & 0x3F);
		}
		if (code < least || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
			return false;
		i += n;
	}
	return true;
}

long
ewh_http_head_end(const char *bytes, size_t len, size_t *scanned)
{
	for (size_t i = *scanned; i < len; i++)
	{
		char c = bytes[i];

		if (c == '\0')
			return -1;
		if (c == '\n' && (i == 0 || bytes[i - 1] != '\r'))
			return -1;
		if (i > 0 && bytes[i - 1] == '\r' && c != '\n')
			return -1;
		if (c == '\n' && i >= 3 && bytes[i - 2] == '\n')
			return (long) i + 1;
	}
	*scanned = len;
	return 0;
}

/* Takes one line off the front, without its CR LF. */
static EwhSlice
take_line(EwhSlice *rest)
{
	const char *end = memchr(rest->at, '\r', rest->len);
	EwhSlice line = {rest->at, (size_t) (end - rest->at)};

	rest->at += line.len + 2;
	rest->len -= line.len + 2;
	return line;
}

/* method SP target SP version, single spaces (RFC 9112 section 3). */
static int
parse_request_line(EwhSlice line, EwhHttpHead *head)
{
	const char *first = memchr(line.at, ' ', line.len);
	const char *second;
	EwhSlice version;

	if (line.len > EWH_HTTP_MAX_LINE)
		return 414;
	if (first == NULL)
		return 400;
	head->method = (EwhSlice){line.at, (size_t) (first - line.at)};
	second = memchr(first + 1, ' ', line.len - head->method.len - 1);
	if (second == NULL)
		return 400;
	head->target = (EwhSlice){first + 1, (size_t) (second - first - 1)};
	version = (EwhSlice){second + 1, (size_t) (line.at + line.len - second - 1)};

	if (!is_token(head->method) || head->target.len == 0)
		return 400;
	if (version.len != 8 || memcmp(version.at, "HTTP/", 5) != 0 || version.at[6] != '.')
		return 400;
	if (version.at[5] != '1')
		return version.at[5] >= '0' && version.at[5] <= '9' ? 505 : 400;
	if (version.at[7] != '0' && version.at[7] != '1')
		return 400;
	head->minor = version.at[7] - '0';
	return 0;
}

/* One field. A name ends right at its colon: space before it, and folded lines, are refused (sections 5.1, 5.2). */
static int
parse_field(EwhSlice line, EwhHttpHead *head)
{
	const char *colon = memchr(line.at, ':', line.len);
	EwhHttpField field;

	if (colon == NULL)
		return 400;
	field.name = (EwhSlice){line.at, (size_t) (colon - line.at)};
	field.value = trim((EwhSlice){colon + 1, line.len - field.name.len - 1});
	if (!is_token(field.name) || !ewh_text_is_clean(field.value.at, field.value.len))
		return 400;
	if (head->nfields == EWH_HTTP_MAX_HEADERS)
		return 431;
	head->fields[head->nfields++] = field;
	return 0;
}

/* Digits only: no sign, no list, no space (section 6.3). Eighteen digits cannot overflow. */
static int
read_length(EwhSlice value, EwhHttpHead *head)
{
	if (head->has_length || value.len == 0 || value.len > 18)
		return 400;
	for (size_t i = 0; i < value.len; i++)
	{
		if (value.at[i] < '0' || value.at[i] > '9')
			return 400;
		head->length = head->length * 10 + (uint64_t) (value.at[i] - '0');
	}
	head->has_length = true;
	return 0;
}

/* "chunked" alone; anything more is a coding we would have to guess about. */
static int
read_transfer_encoding(EwhSlice value, EwhHttpHead *head)
{
	if (head->chunked || !ewh_slice_is(value, "chunked"))
		return 400;
	head->chunked = true;
	return 0;
}

static int
read_connection(EwhSlice value, EwhHttpHead *head)
{
	while (value.len > 0)
	{
		const char *comma = memchr(value.at, ',', value.len);
		size_t len = comma ? (size_t) (comma - value.at) : value.len;

		if (ewh_slice_is(trim((EwhSlice){value.at, len}), "close"))
			head->close = true;
		value.at += comma ? len + 1 : len;
		value.len -= comma ? len + 1 : len;
	}
	return 0;
}

/* uri-host [":" port]: no user info, no path. */
static int
read_host(EwhSlice value, EwhHttpHead *head)
{
	if (head->host.at != NULL)
		return 400;
	for (size_t i = 0; i < value.len; i++)
	{
		unsigned char c = (unsigned char) value.at[i];

		if (c <= ' ' || c >= 127 || strchr("/?#@\\\"<>^`{|}", c) != NULL)
			return 400;
	}
	head->host = value;
	return 0;
}

static int
read_expect(EwhSlice value, EwhHttpHead *head)
{
	if (!ewh_slice_is(value, "100-continue"))
		return 417;
	head->expect_continue = true;
	return 0;
}

/* The signature is over the bytes as sent; a coding would make us choose which bytes those are. */
static int
read_content_encoding(EwhSlice value, EwhHttpHead *head)
{
	(void) head;
	return ewh_slice_is(value, "identity") ? 0 : 415;
}

static const struct
{
	const char *name;
	int (*read)(EwhSlice value, EwhHttpHead *head);
} framing_fields[] = {
	{"content-length", read_length},   {"transfer-encoding", read_transfer_encoding},
	{"connection", read_connection},   {"host", read_host},
	{"expect", read_expect},		   {"content-encoding", read_content_encoding},
};

static int
read_framing_field(const EwhHttpField *field, EwhHttpHead *head)
{
	for (size_t i = 0; i < sizeof framing_fields / sizeof framing_fields[0]; i++)
		if (ewh_slice_is(field->name, framing_fields[i].name))
			return framing_fields[i].read(field->value, head);
	return 0;
}

/* What the fields say together (RFC 9112 sections 3.2, 6.1, 6.3). */
static int
check_framing(EwhHttpHead *head)
{
	if (head->chunked && (head->has_length || head->minor == 0))
		return 400;
	if (head->minor == 1 && head->host.at == NULL)
		return 400;
	if (head->minor == 0)
	{
		head->close = true;
		head->expect_continue = false; /* RFC 9110 section 10.1.1 */
	}
	return 0;
}

/* A refusal for what a field asks (415, 417) waits until all fields are known to be well-formed. */
int
ewh_http_parse_head(const char *bytes, size_t len, EwhHttpHead *head)
{
	EwhSlice rest = {bytes, len - 2}; /* without the empty line */
	int refusal = 0;
	int status;

	memset(head, 0, offsetof(EwhHttpHead, fields));
	head->nfields = 0;
	head->has_length = head->chunked = head->expect_continue = head->close = false;
	head->length = 0;

	status = parse_request_line(take_line(&rest), head);
	while (status == 0 && rest.len > 0)
		status = parse_field(take_line(&rest), head);
	for (int i = 0; status == 0 && i < head->nfields; i++)
	{
		int asked = read_framing_field(&head->fields[i], head);

		if (asked == 400)
			status = asked;
		else if (refusal == 0)
			refusal = asked;
	}
	if (status == 0)
		status = check_framing(head);
	return status ? status : refusal;
}
