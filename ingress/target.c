/*
 * The request target: which hook is meant, and by which public URL.
 *
 * The one fact to know: a source has exactly one spelling. Percent-encoding is read only where it was needed, so that no
 * rule of a proxy in front (a limit, an allow-list for /hooks/stripe) can be walked around by writing %73tripe.
 */
#include "http.h"

#include <string.h>

static const char HOOKS[] = "/hooks/";

static bool
is_unreserved(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		   (c != 0 && strchr("-._~", c) != NULL);
}

static int
hex_value(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;

	return at ? (int) (at - digits) : -1;
}

/* Visible ASCII, and none that RFC 3986 leaves out of a URI; '#' would be a fragment, which is never sent. */
static bool
is_target(EwhSlice s)
{
	for (size_t i = 0; i < s.len; i++)
	{
		unsigned char c = (unsigned char) s.at[i];

		if (c <= ' ' || c >= 127 || strchr("\"#<>\\^`{|}", c) != NULL)
			return false;
	}
	return true;
}

/* http://authority/path → authority; the target loses it (RFC 9112 section 3.2.2). */
static int
take_authority(EwhSlice *rest, EwhSlice *authority)
{
	static const char *const schemes[] = {"http://", "https://"};
	const char *slash;

	for (size_t i = 0; i < 2; i++)
	{
		size_t n = strlen(schemes[i]);

		if (rest->len <= n || !ewh_slice_is((EwhSlice){rest->at, n}, schemes[i]))
			continue;
		rest->at += n;
		rest->len -= n;
		slash = memchr(rest->at, '/', rest->len);
		if (slash == NULL || slash == rest->at)
			return 400;
		*authority = (EwhSlice){rest->at, (size_t) (slash - rest->at)};
		rest->at = slash;
		rest->len -= authority->len;
		return 0;
	}
	return 400;
}

int
ewh_target_parse(const EwhHttpHead *head, EwhTarget *target)
{
	EwhSlice rest = head->target;
	const char *mark;

	memset(target, 0, sizeof *target);
	if (!is_target(rest))
		return 400;
	if (ewh_slice_is(rest, "*"))
		return 404;
	if (rest.at[0] != '/')
	{
		if (take_authority(&rest, &target->authority) != 0)
			return 400;
		/* The standard would ignore Host here; whoever sends two names that differ wants two readers to disagree. */
		if (head->host.at != NULL && (head->host.len != target->authority.len ||
									  memcmp(head->host.at, target->authority.at, head->host.len) != 0))
			return 400;
	}
	target->relative = rest;
	mark = memchr(rest.at, '?', rest.len);
	target->path = (EwhSlice){rest.at, mark ? (size_t) (mark - rest.at) : rest.len};
	if (mark)
		target->query = (EwhSlice){mark + 1, rest.len - target->path.len - 1};
	return 0;
}

/* Decodes one segment; false if encoding is broken or was not needed, or hides a separator or control. */
static bool
decode_segment(EwhSlice segment, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < segment.len; i++)
	{
		char c = segment.at[i];

		if (c == '%')
		{
			int high = segment.len - i > 2 ? hex_value(segment.at[i + 1]) : -1;
			int low = segment.len - i > 2 ? hex_value(segment.at[i + 2]) : -1;

			if (high < 0 || low < 0)
				return false;
			c = (char) (high << 4 | low);
			if (is_unreserved((unsigned char) c) || c == '/' || c == '\\' || c == '\t')
				return false;
			i += 2;
		}
		out[n++] = c;
	}
	out[n] = '\0';
	return ewh_text_is_clean(out, n);
}

/* "." or ".." between slashes: nothing honest sends them unresolved (RFC 3986 section 5.2.4). */
static bool
has_dot_segment(EwhSlice path)
{
	while (path.len > 0)
	{
		const char *slash = memchr(path.at, '/', path.len);
		EwhSlice segment = {path.at, slash ? (size_t) (slash - path.at) : path.len};

		if (ewh_slice_is(segment, ".") || ewh_slice_is(segment, ".."))
			return true;
		path.at += segment.len + (slash != NULL);
		path.len -= segment.len + (slash != NULL);
	}
	return false;
}

int
ewh_target_source(const EwhTarget *target, char *source)
{
	size_t prefix = strlen(HOOKS);
	EwhSlice last;

	if (has_dot_segment(target->path))
		return 400;
	if (target->path.len <= prefix || memcmp(target->path.at, HOOKS, prefix) != 0)
		return memchr(target->path.at, '%', target->path.len) ? 400 : 404;
	last = (EwhSlice){target->path.at + prefix, target->path.len - prefix};
	if (memchr(last.at, '/', last.len) != NULL)
		return 404;
	return decode_segment(last, source) ? 0 : 400;
}

bool
ewh_target_parameter(const EwhTarget *target, const char *name, char *value, size_t size)
{
	EwhSlice rest = target->query;
	size_t name_len = strlen(name);

	while (rest.len > 0)
	{
		const char *end = memchr(rest.at, '&', rest.len);
		size_t len = end ? (size_t) (end - rest.at) : rest.len;

		if (len > name_len && rest.at[name_len] == '=' && memcmp(rest.at, name, name_len) == 0)
		{
			size_t n = 0;

			for (size_t i = name_len + 1; i < len && n + 1 < size; i++)
			{
				char c = rest.at[i] == '+' ? ' ' : rest.at[i];

				if (c == '%' && i + 2 < len && hex_value(rest.at[i + 1]) >= 0 && hex_value(rest.at[i + 2]) >= 0)
				{
					c = (char) (hex_value(rest.at[i + 1]) << 4 | hex_value(rest.at[i + 2]));
					i += 2;
				}
				value[n++] = c;
			}
			value[n] = '\0';
			return ewh_text_is_clean(value, n) && memchr(value, '\0', n) == NULL;
		}
		rest.at += end ? len + 1 : len;
		rest.len -= end ? len + 1 : len;
	}
	return false;
}
