/*
 * kept.c: which headers are kept with a body: those its provider's rows read, so that it can be proven and read again.
 *
 * A row names a header as `header:name` or `header:one|other`, in any of its strings or keys (the tests of a match). A
 * static credential (alg `equal`) is the exception: its header is the secret itself, proves nothing about the bytes, and
 * is not kept.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/json.h"

#include "inbox/kept.h"

/* Scheme keys whose header lists name further headers: then nothing can be left out beforehand. */
#define EVERY_HEADER "*"

static bool
is_token_char(char c)
{
	/* RFC 9110 section 5.6.2, without '|' which separates alternatives here. */
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		(c != '\0' && strchr("!#$%&'*+-.^_`~", c) != NULL);
}

static bool
is_named(List *names, const char *name)
{
	for (int i = 0; i < list_length(names); i++)
		if (strcmp(list_nth(names, i), name) == 0)
			return true;
	return false;
}

static List *
add_name(List *names, const char *name, size_t len)
{
	char	   *lower = asc_tolower(name, len);

	if (len == 0 || is_named(names, lower))
		return names;
	return lappend(names, lower);
}

/* The headers one string of a row names. */
static List *
names_in_string(List *names, const char *text)
{
	static const char mark[] = "header:";
	const char *at = text;

	while ((at = strstr(at, mark)) != NULL)
	{
		at += sizeof(mark) - 1;
		for (;;)
		{
			const char *start = at;

			while (is_token_char(*at))
				at++;
			names = add_name(names, start, at - start);
			if (*at != '|')
				break;
			at++;
		}
	}
	if (strstr(text, "header_values:") || strstr(text, "signed_headers"))
		names = add_name(names, EVERY_HEADER, 1);
	return names;
}

static List *
names_in_row(List *names, Jsonb *row)
{
	JsonbIterator *it = JsonbIteratorInit(&row->root);
	JsonbIteratorToken token;
	JsonbValue	v;

	while ((token = JsonbIteratorNext(&it, &v, false)) != WJB_DONE)
		if ((token == WJB_KEY || token == WJB_VALUE || token == WJB_ELEM) && v.type == jbvString)
			names = names_in_string(names, pnstrdup(v.val.string.val, v.val.string.len));
	return names;
}

static char *
string_member(Jsonb *object, const char *key)
{
	JsonbValue	buffer;
	JsonbValue *v = NULL;

	if (JB_ROOT_IS_OBJECT(object))
		v = getKeyJsonValueFromContainer(&object->root, key, strlen(key), &buffer);
	return v && v->type == jbvString ? pnstrdup(v->val.string.val, v->val.string.len) : NULL;
}

/* The lower-case names of all headers that the rows of a provider look at. */
List *
ewh_kept_headers(Jsonb *scheme, Jsonb *response, Jsonb *reading, Jsonb *events)
{
	List	   *names = NIL;
	char	   *alg = string_member(scheme, "alg");

	names = names_in_row(names, reading);
	names = names_in_row(names, events);
	names = names_in_row(names, response);
	if (alg && strcmp(alg, "equal") == 0)
		return names;
	names = names_in_row(names, scheme);
	return names;
}

static bool
is_kept(List *names, const EwhHeader *header)
{
	char	   *name = pnstrdup(header->name.data, header->name.len);

	return is_named(names, name) ||
		(is_named(names, EVERY_HEADER) && strcmp(name, "authorization") != 0 && strcmp(name, "cookie") != 0);
}

/* The kept headers of a request as a JSON object. One that came twice keeps its first value; what read it refused it. */
char *
ewh_kept_text(List *names, const EwhRequest *req)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoChar(&text, '{');
	for (int i = 0; i < req->nheaders; i++)
	{
		if (!is_kept(names, &req->headers[i]))
			continue;
		if (text.len > 1)
			appendStringInfoString(&text, ", ");
		escape_json(&text, pnstrdup(req->headers[i].name.data, req->headers[i].name.len));
		appendStringInfoString(&text, ": ");
		escape_json(&text, pnstrdup(req->headers[i].value.data, req->headers[i].value.len));
	}
	appendStringInfoChar(&text, '}');
	return text.data;
}
