/*
 * place.c: reading values out of a request by the names that rows give them.
 *
 * Bodies are parsed at the first question for a field of theirs, so that the common scheme (an HMAC over the bytes)
 * never looks inside.
 */
#include "postgres.h"

#include "proof/place.h"

static const struct
{
	const char *prefix;
	EwhPlaceKind kind;
} KINDS[] = {
	{"header:", EWH_AT_HEADER},
	{"form:", EWH_AT_FORM},
	{"query:", EWH_AT_QUERY},
	{"json:", EWH_AT_JSON},
	{"item:", EWH_AT_ITEM},
	{"sig:", EWH_AT_SIG},
	{"config:", EWH_AT_CONFIG},
	{"claim:", EWH_AT_CLAIM},
	{"jose:", EWH_AT_JOSE},
};

/* The names of a header place, in lower case, split at the bar. */
static EwhTexts
header_names(const char *text)
{
	EwhTexts	names;
	char	   *copy = pstrdup(text);
	char	   *save = NULL;

	names.count = 0;
	names.items = palloc(sizeof(char *) * (strlen(text) / 2 + 2));
	for (char *c = copy; *c; c++)
		*c = pg_ascii_tolower((unsigned char) *c);
	for (char *name = strtok_r(copy, "|", &save); name; name = strtok_r(NULL, "|", &save))
		names.items[names.count++] = name;
	return names;
}

/* A member's name as the pointer to it (RFC 6901 section 3). */
static char *
pointer_to(const char *name)
{
	char	   *pointer = palloc(strlen(name) * 2 + 2);
	char	   *p = pointer;

	*p++ = '/';
	for (; *name; name++)
	{
		if (*name == '~' || *name == '/')
		{
			*p++ = '~';
			*p++ = *name == '~' ? '0' : '1';
		}
		else
			*p++ = *name;
	}
	*p = '\0';
	return pointer;
}

static bool
is_pointer(const char *text)
{
	return *text == '\0' || *text == '/';
}

EwhPlace *
ewh_place_compile(const char *text, const char *row_name)
{
	EwhPlace   *place = palloc0(sizeof(EwhPlace));

	if (strcmp(text, "body") == 0)
	{
		place->kind = EWH_AT_BODY;
		return place;
	}
	for (int i = 0; i < lengthof(KINDS); i++)
	{
		const char *rest = text + strlen(KINDS[i].prefix);

		if (strncmp(text, KINDS[i].prefix, strlen(KINDS[i].prefix)) != 0)
			continue;
		place->kind = KINDS[i].kind;
		if (place->kind == EWH_AT_HEADER)
			place->names = header_names(rest);
		else
		{
			bool		pointer = place->kind == EWH_AT_JSON || place->kind == EWH_AT_ITEM;
			bool		named = place->kind == EWH_AT_SIG || place->kind == EWH_AT_CONFIG;

			place->names.items = palloc(sizeof(char *));
			place->names.items[0] = pointer || named ? pstrdup(rest) : pointer_to(rest);
			place->names.count = pointer && !is_pointer(rest) ? 0 : 1;
		}
		if (place->names.count > 0)
			return place;
	}
	ewh_rule_refuse(row_name, "place", text);
}

EwhDocument *
ewh_view_json(EwhView *view)
{
	if (!view->json.tried)
	{
		view->json.tried = true;
		if (ewh_document_json(view->request->body, &view->json.doc) != EWH_READ_OK)
			view->json.doc = NULL;
	}
	return view->json.doc;
}

EwhDocument *
ewh_view_form(EwhView *view)
{
	if (!view->form.tried)
	{
		view->form.tried = true;
		if (ewh_document_form(view->request->body, &view->form.doc) != EWH_READ_OK)
			view->form.doc = NULL;
	}
	return view->form.doc;
}

/* The URL without its fragment, from its path on (RFC 3986 section 3). */
static EwhBytes
from_path(EwhBytes url)
{
	size_t		start = ewh_bytes_find(url, ewh_bytes("://"));

	url.len = ewh_bytes_find(url, ewh_bytes("#"));
	if (start < url.len)
	{
		url = ewh_bytes_from(url, start + 3);
		start = Min(ewh_bytes_find(url, ewh_bytes("/")), ewh_bytes_find(url, ewh_bytes("?")));
		url = ewh_bytes_from(url, start);
	}
	return url;
}

EwhBytes
ewh_view_path(const EwhView *view)
{
	EwhBytes	path = from_path(view->url);

	path.len = ewh_bytes_find(path, ewh_bytes("?"));
	return path.len > 0 ? path : ewh_bytes("/");
}

/* The query of the request's URL, else of the configured one. */
static EwhBytes
query_of(const EwhView *view)
{
	EwhBytes	url = view->request->url;

	if (url.data == NULL)
		url = ewh_bytes(ewh_setting(view->request, "url"));
	url = from_path(url);
	return ewh_bytes_from(url, ewh_bytes_find(url, ewh_bytes("?")) + 1);
}

/* The header of this name, in any case. */
EwhFound
ewh_view_header(const EwhView *view, EwhBytes name, EwhBytes *value)
{
	char	   *lower = pnstrdup(name.data, name.len);
	const EwhHeader *header;

	for (char *c = lower; *c; c++)
		*c = pg_ascii_tolower((unsigned char) *c);
	header = ewh_request_header(view->request, lower);
	if (header == NULL)
		return EWH_NOT_FOUND;
	*value = header->value;
	return header->repeated ? EWH_AMBIGUOUS : EWH_FOUND;
}

static EwhFound
read_header(const EwhPlace *place, const EwhView *view, EwhBytes *value)
{
	for (int i = 0; i < place->names.count; i++)
	{
		const EwhHeader *header = ewh_request_header(view->request, place->names.items[i]);

		if (header)
		{
			*value = header->value;
			return header->repeated ? EWH_AMBIGUOUS : EWH_FOUND;
		}
	}
	return EWH_NOT_FOUND;
}

/* The plain value at the pointer; null counts as absent. */
static EwhFound
read_document(const EwhDocument *doc, EwhNode from, const char *pointer, EwhBytes *value)
{
	EwhReadStatus status = EWH_READ_OK;
	EwhNode		node;

	if (doc == NULL)
		return EWH_AMBIGUOUS;
	node = ewh_document_find(doc, from, pointer, &status);
	if (status != EWH_READ_OK)
		return EWH_AMBIGUOUS;
	if (node < 0)
		return EWH_NOT_FOUND;
	switch (ewh_node_type(doc, node))
	{
		case EWH_STRING:
		case EWH_NUMBER:
		case EWH_BOOL:
			return ewh_node_text(doc, node, value) ? EWH_FOUND : EWH_AMBIGUOUS;
		case EWH_NULL:
		case EWH_ABSENT:
			return EWH_NOT_FOUND;
		default:
			return EWH_AMBIGUOUS;
	}
}

static EwhFound
read_query(EwhView *view, const char *name, EwhBytes *value)
{
	EwhBytes	query;

	if (!view->query.tried)
	{
		view->query.tried = true;
		query = query_of(view);
		view->no_query = query.len == 0;
		if (ewh_document_form(query, &view->query.doc) != EWH_READ_OK)
			view->query.doc = NULL;
	}
	return view->no_query ? EWH_NOT_FOUND : read_document(view->query.doc, 0, name, value);
}

EwhFound
ewh_place_read(const EwhPlace *place, EwhView *view, EwhBytes *value)
{
	const char *name = place->names.count > 0 ? place->names.items[0] : NULL;
	char	   *setting;

	switch (place->kind)
	{
		case EWH_AT_HEADER:
			return read_header(place, view, value);
		case EWH_AT_FORM:
			if (view->request->body.len == 0)
				return EWH_NOT_FOUND;
			return read_document(ewh_view_form(view), 0, name, value);
		case EWH_AT_QUERY:
			return read_query(view, name, value);
		case EWH_AT_JSON:
			return read_document(ewh_view_json(view), 0, name, value);
		case EWH_AT_ITEM:
			return read_document(ewh_view_json(view), view->item, name, value);
		case EWH_AT_CLAIM:
			return read_document(view->claims, 0, name, value);
		case EWH_AT_JOSE:
			return read_document(view->jose, 0, name, value);
		case EWH_AT_SIG:
			return view->list ? ewh_siglist_named(view->list, ewh_bytes(name), value) : EWH_NOT_FOUND;
		case EWH_AT_CONFIG:
			setting = ewh_setting(view->request, name);
			*value = ewh_bytes(setting);
			return setting ? EWH_FOUND : EWH_NOT_FOUND;
		case EWH_AT_BODY:
			*value = view->request->body;
			return EWH_FOUND;
	}
	return EWH_NOT_FOUND;
}
