/*
 * evaluate.c: expressions applied to a document.
 *
 * Nothing here raises for content. What must not be used (a key given twice on the path, a string that is no text, a
 * repeated header) leaves its reason in `trouble`, and the event ends quarantined.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "expression.h"

/* Patterns look no further into a text than this: a longer one holds no reference. */
#define PATTERN_REACH 4096

static const EwhValue ABSENT = {EWH_ABSENT, {NULL, 0}};

static EwhValue
text_value(const char *data, size_t len)
{
	EwhValue	value = {len ? EWH_STRING : EWH_ABSENT, {data, len}};

	return value;
}

static const EwhDocument *
document_of(EwhScopes *s, const EwhExpression *e)
{
	return e->scope == EWH_BODY ? s->body : s->doc;
}

static EwhNode
start_of(EwhScopes *s, const EwhExpression *e)
{
	switch (e->scope)
	{
		case EWH_HERE:
			return s->here;
		case EWH_ITEM:
			return s->item;
		default:
			return 0;
	}
}

static EwhValue
value_at(EwhScopes *s, const EwhDocument *doc, EwhNode node)
{
	EwhValue	value = {ewh_node_type(doc, node), {NULL, 0}};

	if (value.type == EWH_ABSENT || value.type == EWH_NULL)
		return ABSENT;
	if (value.type == EWH_OBJECT || value.type == EWH_ARRAY)
		return value;
	if (!ewh_node_text(doc, node, &value.text) || memchr(value.text.data, '\0', value.text.len))
	{
		s->trouble = "unreadable";
		return ABSENT;
	}
	return value.text.len == 0 ? ABSENT : value;
}

static EwhValue
pointer(EwhScopes *s, const EwhExpression *e)
{
	const EwhDocument *doc = document_of(s, e);
	EwhReadStatus status = EWH_READ_OK;
	EwhNode		node;

	if (doc == NULL)
		return ABSENT;
	node = ewh_path_first(doc, start_of(s, e), e->path, &status);
	if (status != EWH_READ_OK)
		s->trouble = "unreadable";
	return value_at(s, doc, node);
}

static EwhValue
header(EwhScopes *s, const EwhExpression *e)
{
	const EwhHeader *h = ewh_request_header(s->req, e->text);

	if (h == NULL)
		return ABSENT;
	if (h->repeated)
	{
		s->trouble = "unreadable";
		return ABSENT;
	}
	return text_value(h->value.data, h->value.len);
}

static EwhValue
setting(EwhScopes *s, const EwhExpression *e)
{
	char	   *text = ewh_setting(s->req, e->text);

	return text ? text_value(text, strlen(text)) : ABSENT;
}

static bool
is_scalar(EwhValue value)
{
	return value.type != EWH_ABSENT && value.type != EWH_OBJECT && value.type != EWH_ARRAY;
}

/* The first alternative that is a scalar; else whatever is there, so that its wrong type can be told. */
static EwhValue
first_of(EwhScopes *s, const EwhExpression *e)
{
	EwhValue	found = ABSENT;
	ListCell   *lc;

	foreach(lc, e->parts)
	{
		EwhValue	value = ewh_evaluate(s, lfirst(lc));

		if (is_scalar(value))
			return value;
		if (found.type == EWH_ABSENT)
			found = value;
	}
	return found;
}

static EwhValue
template(EwhScopes *s, const EwhExpression *e)
{
	StringInfoData text;
	ListCell   *lc;

	initStringInfo(&text);
	foreach(lc, e->parts)
	{
		const EwhExpression *part = lfirst(lc);
		EwhValue	value = ewh_evaluate(s, part);

		if (is_scalar(value))
			appendBinaryStringInfo(&text, value.text.data, value.text.len);
		else if (!part->optional)
			return ABSENT;
	}
	return text_value(text.data, text.len);
}

static bool
in_hole(char class, char c)
{
	bool		digit = c >= '0' && c <= '9';

	if (class == 'd')
		return digit;
	return digit || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '-';
}

static bool
starts_with(const char *at, const char *end, EwhBytes text)
{
	return end - at >= (ptrdiff_t) text.len && memcmp(at, text.data, text.len) == 0;
}

/* The end of a hole that begins at `at`: where what stands behind it begins; NULL where the pattern does not fit. */
static const char *
hole_end(const EwhPattern *p, const char *at, const char *end)
{
	const char *c = at;

	if (p->hole == 'a')
	{
		if (p->behind.len == 0)
			return end > at ? end : NULL;
		while (c < end && !starts_with(c, end, p->behind))
			c++;
	}
	else
		while (c < end && in_hole(p->hole, *c))
			c++;
	return c > at && starts_with(c, end, p->behind) ? c : NULL;
}

/* The next place at or behind *at where the pattern fits; moves *at behind it. */
static EwhValue
next_match(const EwhPattern *p, const char **at, const char *end)
{
	for (const char *start = *at; start < end; start++)
	{
		const char *hole = start + p->before.len;
		const char *close;

		if (!starts_with(start, end, p->before))
			continue;
		close = hole_end(p, hole, end);
		if (close == NULL)
			continue;
		*at = close + p->behind.len;
		return p->whole ? text_value(start, *at - start) : text_value(hole, close - hole);
	}
	*at = end;
	return ABSENT;
}

static EwhValue
change_case(EwhValue value, bool upper)
{
	char	   *copy = pnstrdup(value.text.data, value.text.len);

	for (size_t i = 0; i < value.text.len; i++)
		copy[i] = upper ? pg_ascii_toupper((unsigned char) copy[i]) : pg_ascii_tolower((unsigned char) copy[i]);
	value.text.data = copy;
	return value;
}

static bool
reads(EwhValue value, const char *text)
{
	return strlen(text) == value.text.len && memcmp(text, value.text.data, value.text.len) == 0;
}

/* What the map has for a value; a value it does not name stays. */
static EwhValue
mapped(const EwhExpression *e, EwhValue value)
{
	ListCell   *from;
	ListCell   *to;

	forboth(from, e->map_from, to, e->map_to)
		if (reads(value, lfirst(from)))
			return text_value(lfirst(to), strlen(lfirst(to)));
	return value;
}

/* Apply what is done to a text. Sums, signs and units belong to amounts and are applied there. */
static EwhValue
changed(const EwhExpression *e, EwhValue value)
{
	if (!is_scalar(value))
		return value;
	if (e->pattern)
	{
		const char *at = value.text.data;

		value = next_match(e->pattern, &at, at + Min(value.text.len, PATTERN_REACH));
		if (value.type == EWH_ABSENT)
			return value;
	}
	if (e->lower || e->upper)
		value = change_case(value, e->upper);
	return mapped(e, value);
}

/* The one value of an expression. */
EwhValue
ewh_evaluate(EwhScopes *s, const EwhExpression *e)
{
	if (e == NULL)
		return ABSENT;
	switch (e->kind)
	{
		case EWH_POINTER:
			return pointer(s, e);
		case EWH_HEADER:
			return header(s, e);
		case EWH_SETTING:
			return setting(s, e);
		case EWH_LITERAL:
			return text_value(e->text, strlen(e->text));
		case EWH_TEMPLATE:
			return template(s, e);
		case EWH_FIRST_OF:
			return first_of(s, e);
		case EWH_DERIVED:
			return changed(e, ewh_evaluate(s, linitial(e->parts)));
	}
	return ABSENT;
}

static List *
append_value(List *values, EwhValue value)
{
	EwhValue   *copy;

	if (value.type == EWH_ABSENT)
		return values;
	copy = palloc(sizeof(EwhValue));
	*copy = value;
	return lappend(values, copy);
}

/* All that a pointer points at; an array stands for its elements. */
static List *
pointer_all(EwhScopes *s, const EwhExpression *e)
{
	const EwhDocument *doc = document_of(s, e);
	EwhReadStatus status = EWH_READ_OK;
	List	   *values = NIL;
	ListCell   *lc;

	if (doc == NULL)
		return NIL;
	foreach(lc, ewh_path_all(doc, start_of(s, e), e->path, &status))
	{
		EwhNode		node = lfirst_int(lc);

		if (ewh_node_type(doc, node) != EWH_ARRAY)
			values = append_value(values, value_at(s, doc, node));
		else
			for (EwhNode n = ewh_node_first(doc, node); n >= 0; n = ewh_node_next(doc, n))
				values = append_value(values, value_at(s, doc, n));
	}
	if (status != EWH_READ_OK)
		s->trouble = "unreadable";
	return values;
}

static List *
find_all(const EwhExpression *e, List *values)
{
	List	   *found = NIL;
	ListCell   *lc;

	foreach(lc, values)
	{
		EwhValue   *value = lfirst(lc);
		const char *at = value->text.data;
		const char *end;

		if (!is_scalar(*value))
			continue;			/* an object or array has no text */
		end = at + Min(value->text.len, PATTERN_REACH);
		while (at < end)
			found = append_value(found, next_match(e->pattern, &at, end));
	}
	return found;
}

static List *
derived_all(EwhScopes *s, const EwhExpression *e)
{
	List	   *values = NIL;
	ListCell   *lc;

	foreach(lc, e->parts)
		values = list_concat(values, ewh_evaluate_all(s, lfirst(lc)));
	if (e->pattern && e->pattern->whole)
		return find_all(e, values);
	foreach(lc, values)
	{
		EwhValue   *value = lfirst(lc);

		*value = changed(e, *value);
	}
	return values;
}

/* Every value of an expression, in the order of the body; of alternatives those of the first that has any. */
List *
ewh_evaluate_all(EwhScopes *s, const EwhExpression *e)
{
	ListCell   *lc;

	if (e == NULL)
		return NIL;
	if (e->kind == EWH_POINTER)
		return pointer_all(s, e);
	if (e->kind == EWH_DERIVED)
		return derived_all(s, e);
	if (e->kind != EWH_FIRST_OF)
		return append_value(NIL, ewh_evaluate(s, e));
	foreach(lc, e->parts)
	{
		List	   *values = ewh_evaluate_all(s, lfirst(lc));

		if (values != NIL)
			return values;
	}
	return NIL;
}

/* The value as a C string; NULL where there is none or it is no scalar. */
char *
ewh_evaluate_text(EwhScopes *s, const EwhExpression *e)
{
	EwhValue	value = ewh_evaluate(s, e);

	return is_scalar(value) ? pnstrdup(value.text.data, value.text.len) : NULL;
}
