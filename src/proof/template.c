/*
 * template.c: compiling and rendering of signed strings.
 *
 * The tokens stand in one table with the function that renders each. Rendering answers with a verdict's reason, or NULL.
 */
#include "postgres.h"

#include "nodes/pg_list.h"

#include "proof/key.h"
#include "proof/reason.h"
#include "proof/template.h"

typedef struct Part Part;

/* Append to the message what the part stands for. */
typedef const char *(*Render) (const Part *part, EwhView *view, EwhMessage *message);

typedef enum Filter
{
	NO_FILTER, FILTER_SHA256HEX, FILTER_B64, FILTER_HMAC
} Filter;

struct Part
{
	Render		render;
	EwhBytes	literal;		/* of text; the argument of a token */
	EwhPlace   *place;
	EwhTemplate *group;
	Filter		filter;
	bool		optional;
	bool		variant;		/* the second of two tokens that share a function */
};

struct EwhTemplate
{
	Part	   *parts;
	int			nparts;
};

/* Messages grow by doubling; most fit what compile saw. */
static void
append(EwhMessage *message, EwhBytes bytes)
{
	if (message->nparts == message->room)
	{
		EwhBytes   *larger = palloc(sizeof(EwhBytes) * (message->room * 2 + 8));

		if (message->nparts > 0)
			memcpy(larger, message->parts, sizeof(EwhBytes) * message->nparts);
		message->room = message->room * 2 + 8;
		message->parts = larger;
	}
	message->parts[message->nparts++] = bytes;
}

static EwhBytes
hex_of(const unsigned char *data, size_t len)
{
	EwhBytes	hex = {palloc(2 * len), 2 * len};

	ewh_hex_encode(data, len, (char *) hex.data);
	return hex;
}

static EwhBytes
base64_of(EwhBytes data)
{
	char	   *out = palloc(EWH_BASE64_ENCODED_MAX(data.len) + 1);
	EwhBytes	text = {out, ewh_base64_encode(data, EWH_BASE64, out)};

	return text;
}

static EwhBytes
sha256hex_of(EwhBytes data)
{
	EwhMessage	message = {&data, 1, 1};
	unsigned char digest[EWH_MAX_MAC];

	ewh_digest(EWH_SHA256, &message, digest);
	return hex_of(digest, ewh_digest_size(EWH_SHA256));
}

static const char *
apply(Filter filter, const EwhView *view, EwhBytes *value)
{
	EwhMessage	message = {value, 1, 1};
	unsigned char mac[EWH_MAX_MAC];

	switch (filter)
	{
		case NO_FILTER:
			break;
		case FILTER_SHA256HEX:
			*value = sha256hex_of(*value);
			break;
		case FILTER_B64:
			*value = base64_of(*value);
			break;
		case FILTER_HMAC:
			if (view->key == NULL || !ewh_hmac(view->key, &message, mac))
				return EWH_NO_SECRET;
			*value = hex_of(mac, view->key->mac_size);
			break;
	}
	return NULL;
}

static const char *
append_filtered(const Part *part, EwhView *view, EwhMessage *message, EwhBytes value)
{
	const char *reason = apply(part->filter, view, &value);

	if (reason == NULL)
		append(message, value);
	return reason;
}

static const char *
render_literal(const Part *part, EwhView *view, EwhMessage *message)
{
	append(message, part->literal);
	return NULL;
}

static const char *
render_place(const Part *part, EwhView *view, EwhMessage *message)
{
	EwhBytes	value = {NULL, 0};

	switch (ewh_place_read(part->place, view, &value))
	{
		case EWH_AMBIGUOUS:
			return EWH_MALFORMED;
		case EWH_NOT_FOUND:
			return part->optional ? NULL : EWH_MISSING;
		case EWH_FOUND:
			break;
	}
	return append_filtered(part, view, message, value);
}

/* All of the group, or nothing where a value in it is absent. */
static const char *
render_group(const Part *part, EwhView *view, EwhMessage *message)
{
	int			before = message->nparts;
	const char *reason = ewh_template_render(part->group, view, message);

	if (reason == NULL)
		return NULL;
	message->nparts = before;
	return strcmp(reason, EWH_MISSING) == 0 ? NULL : reason;
}

static const char *
render_body(const Part *part, EwhView *view, EwhMessage *message)
{
	return append_filtered(part, view, message, view->request->body);
}

static const char *
render_ts(const Part *part, EwhView *view, EwhMessage *message)
{
	append(message, view->ts);
	return view->ts.data ? NULL : EWH_MISSING;
}

static const char *
render_method(const Part *part, EwhView *view, EwhMessage *message)
{
	append(message, view->request->method);
	return NULL;
}

static const char *
render_url(const Part *part, EwhView *view, EwhMessage *message)
{
	append(message, view->url);
	return view->url.data ? NULL : EWH_MISSING;
}

/* The path; the variant with its last slash taken off, or put on. */
static const char *
render_path(const Part *part, EwhView *view, EwhMessage *message)
{
	EwhBytes	path = ewh_view_path(view);

	if (view->url.data == NULL)
		return EWH_MISSING;
	if (!part->variant)
		append(message, path);
	else if (path.data[path.len - 1] == '/')
	{
		path.len--;
		append(message, path);
	}
	else
	{
		append(message, path);
		append(message, ewh_bytes("/"));
	}
	return NULL;
}

static const char *
render_secret(const Part *part, EwhView *view, EwhMessage *message)
{
	return append_filtered(part, view, message, view->secret);
}

static const char *
render_crc32(const Part *part, EwhView *view, EwhMessage *message)
{
	append(message, ewh_bytes(psprintf("%u", ewh_crc32(view->request->body))));
	return NULL;
}

static const char *
render_sha256hex(const Part *part, EwhView *view, EwhMessage *message)
{
	append(message, sha256hex_of(view->request->body));
	return NULL;
}

static const char *
render_b64body(const Part *part, EwhView *view, EwhMessage *message)
{
	append(message, base64_of(view->request->body));
	return NULL;
}

typedef struct Field
{
	EwhBytes	name;
	EwhBytes	value;
	int			place;			/* equal names stay in order */
} Field;

static int
compare_fields(const void *a, const void *b)
{
	const Field *x = a;
	const Field *y = b;
	int			order = memcmp(x->name.data, y->name.data, Min(x->name.len, y->name.len));

	if (order == 0 && x->name.len != y->name.len)
		order = x->name.len < y->name.len ? -1 : 1;
	return order ? order : x->place - y->place;
}

/* The fields of the form body by name; NULL where it cannot be read. */
static Field *
sorted_fields(EwhView *view, int *count)
{
	EwhDocument *form = ewh_view_form(view);
	Field	   *fields;
	int			room = 1;

	*count = 0;
	if (form == NULL)
		return NULL;
	for (EwhNode n = ewh_node_first(form, 0); n >= 0; n = ewh_node_next(form, n))
		room++;
	fields = palloc(sizeof(Field) * room);
	for (EwhNode n = ewh_node_first(form, 0); n >= 0; n = ewh_node_next(form, n))
	{
		if (!ewh_node_key(form, n, &fields[*count].name) || !ewh_node_text(form, n, &fields[*count].value))
			return NULL;
		fields[*count].place = *count;
		(*count)++;
	}
	qsort(fields, *count, sizeof(Field), compare_fields);
	return fields;
}

/* name=value&…; a field given twice could be read either way. The variant keeps sign_type. */
static const char *
render_form_sorted(const Part *part, EwhView *view, EwhMessage *message)
{
	int			count;
	Field	   *fields = sorted_fields(view, &count);
	bool		first = true;

	if (fields == NULL)
		return EWH_MALFORMED;
	for (int i = 0; i < count; i++)
	{
		if (i > 0 && ewh_bytes_equal(fields[i].name, fields[i - 1].name))
			return EWH_MALFORMED;
		if (ewh_bytes_is(fields[i].name, "sign") ||
			(!part->variant && ewh_bytes_is(fields[i].name, "sign_type")))
			continue;
		if (!first)
			append(message, ewh_bytes("&"));
		first = false;
		append(message, fields[i].name);
		append(message, ewh_bytes("="));
		append(message, fields[i].value);
	}
	return NULL;
}

static const char *
render_form_concat(const Part *part, EwhView *view, EwhMessage *message)
{
	int			count;
	Field	   *fields = sorted_fields(view, &count);

	if (fields == NULL)
		return EWH_MALFORMED;
	for (int i = 0; i < count; i++)
	{
		append(message, fields[i].name);
		append(message, fields[i].value);
	}
	return NULL;
}

/* "Name: value\n" for each header that the named member of the JOSE header lists, spelled as there. */
static const char *
render_signed_headers(const Part *part, EwhView *view, EwhMessage *message)
{
	EwhPlace	place = {EWH_AT_JOSE, {(char **) &part->literal.data, 1}};
	EwhBytes	names = {NULL, 0};
	EwhFound	found = ewh_place_read(&place, view, &names);

	if (found == EWH_AMBIGUOUS)
		return EWH_MALFORMED;
	while (found == EWH_FOUND && names.len > 0)
	{
		EwhBytes	name = {names.data, ewh_bytes_find(names, ewh_bytes(","))};
		EwhBytes	value;

		names = ewh_bytes_from(names, name.len + 1);
		if (name.len == 0)
			continue;
		switch (ewh_view_header(view, name, &value))
		{
			case EWH_AMBIGUOUS:
				return EWH_MALFORMED;
			case EWH_NOT_FOUND:
				return EWH_MISSING;
			case EWH_FOUND:
				break;
		}
		append(message, name);
		append(message, ewh_bytes(": "));
		append(message, value);
		append(message, ewh_bytes("\n"));
	}
	return NULL;
}

/* The values of the headers that sig:NAME lists, joined by dots; an absent header has an empty value. */
static const char *
render_header_values(const Part *part, EwhView *view, EwhMessage *message)
{
	EwhBytes	names = {NULL, 0};
	bool		first = true;

	if (view->list && ewh_siglist_named(view->list, part->literal, &names) == EWH_AMBIGUOUS)
		return EWH_MALFORMED;
	for (size_t end = 0; first || end < names.len; first = false)
	{
		EwhBytes	name;
		EwhBytes	value = {"", 0};

		if (!first)
		{
			names = ewh_bytes_from(names, end + 1);
			append(message, ewh_bytes("."));
		}
		end = ewh_bytes_find(names, ewh_bytes(" "));
		name.data = names.data;
		name.len = end;
		if (name.len > 0 && ewh_view_header(view, name, &value) == EWH_AMBIGUOUS)
			return EWH_MALFORMED;
		append(message, value);
	}
	return NULL;
}

static const struct
{
	const char *token;
	Render		render;
	bool		variant;
} TOKENS[] = {
	{"body", render_body},
	{"ts", render_ts},
	{"method", render_method},
	{"url", render_url},
	{"path", render_path},
	{"path_slash", render_path, true},
	{"secret", render_secret},
	{"crc32", render_crc32},
	{"sha256hex", render_sha256hex},
	{"b64body", render_b64body},
	{"form_sorted", render_form_sorted},
	{"form_sorted+sign_type", render_form_sorted, true},
	{"form_concat", render_form_concat},
	{"signed_headers", render_signed_headers},
};

static const struct
{
	const char *name;
	Filter		filter;
} FILTERS[] = {
	{"|sha256hex", FILTER_SHA256HEX},
	{"|b64", FILTER_B64},
	{"|hmac", FILTER_HMAC},
};

/* Take a filter off the end of a token. A header's bar separates names. */
static Filter
take_filter(char *token)
{
	size_t		len = strlen(token);

	if (strncmp(token, "header:", 7) == 0)
		return NO_FILTER;
	for (int i = 0; i < lengthof(FILTERS); i++)
	{
		size_t		n = strlen(FILTERS[i].name);

		if (len > n && strcmp(token + len - n, FILTERS[i].name) == 0)
		{
			token[len - n] = '\0';
			return FILTERS[i].filter;
		}
	}
	return NO_FILTER;
}

static Part
compile_token(char *token, const char *signed_headers, const char *row_name)
{
	static const char VALUES[] = "header_values:";
	Part		part = {0};
	size_t		len = strlen(token);

	part.optional = len > 0 && token[len - 1] == '?';
	if (part.optional)
		token[len - 1] = '\0';
	part.filter = take_filter(token);
	for (int i = 0; i < lengthof(TOKENS); i++)
	{
		if (strcmp(token, TOKENS[i].token) == 0)
		{
			part.render = TOKENS[i].render;
			part.variant = TOKENS[i].variant;
			if (part.render == render_signed_headers)
				part.literal = ewh_bytes(psprintf("/%s", signed_headers ? signed_headers : "tl_headers"));
			return part;
		}
	}
	if (strncmp(token, VALUES, strlen(VALUES)) == 0)
	{
		part.render = render_header_values;
		part.literal = ewh_bytes(pstrdup(token + strlen(VALUES)));
		return part;
	}
	part.render = render_place;
	part.place = ewh_place_compile(token, row_name);
	return part;
}

static Part
compile_literal(const char *text, size_t len)
{
	Part		part = {0};

	part.render = render_literal;
	part.literal.data = pnstrdup(text, len);
	part.literal.len = len;
	return part;
}

static Part
compile_group(const char *text, size_t len, const char *signed_headers, const char *row_name)
{
	Part		part = {0};

	part.render = render_group;
	part.group = ewh_template_compile(pnstrdup(text, len), signed_headers, row_name);
	return part;
}

/* A row's template. An unclosed brace or bracket, or an unknown name, is a configuration error. */
EwhTemplate *
ewh_template_compile(const char *text, const char *signed_headers, const char *row_name)
{
	EwhTemplate *template = palloc0(sizeof(EwhTemplate));

	template->parts = palloc(sizeof(Part) * (strlen(text) + 1));
	for (const char *p = text; *p;)
	{
		size_t		len = strcspn(p, "[]{}");
		const char *end;

		if (len > 0)
		{
			template->parts[template->nparts++] = compile_literal(p, len);
			p += len;
			continue;
		}
		end = *p == '{' ? strchr(p, '}') : *p == '[' ? strchr(p, ']') : NULL;
		if (end == NULL)
			ewh_rule_refuse(row_name, "template", text);
		template->parts[template->nparts++] = *p == '{' ?
			compile_token(pnstrdup(p + 1, end - p - 1), signed_headers, row_name) :
			compile_group(p + 1, end - p - 1, signed_headers, row_name);
		p = end + 1;
	}
	return template;
}

/* Append what the template stands for in this request; the reason why it cannot, or NULL. */
const char *
ewh_template_render(const EwhTemplate *template, EwhView *view, EwhMessage *message)
{
	for (int i = 0; i < template->nparts; i++)
	{
		const char *reason = template->parts[i].render(&template->parts[i], view, message);

		if (reason)
			return reason;
	}
	return NULL;
}

bool
ewh_template_reads(const EwhTemplate *template, EwhPlaceKind kind)
{
	for (int i = 0; i < template->nparts; i++)
	{
		const Part *part = &template->parts[i];

		if ((part->place && part->place->kind == kind) || (part->group && ewh_template_reads(part->group, kind)))
			return true;
	}
	return false;
}

static bool
renders_by(const EwhTemplate *template, Render render)
{
	for (int i = 0; i < template->nparts; i++)
		if (template->parts[i].render == render ||
			(template->parts[i].group && renders_by(template->parts[i].group, render)))
			return true;
	return false;
}

bool
ewh_template_uses_url(const EwhTemplate *template)
{
	return renders_by(template, render_url) || renders_by(template, render_path);
}

bool
ewh_template_uses_secret(const EwhTemplate *template)
{
	return renders_by(template, render_secret);
}

/* Add the names of the headers that the template reads. */
List *
ewh_template_headers(const EwhTemplate *template, List *names)
{
	for (int i = 0; i < template->nparts; i++)
	{
		const Part *part = &template->parts[i];

		if (part->group)
			names = ewh_template_headers(part->group, names);
		if (part->place)
			names = ewh_place_headers(part->place, names);
	}
	return names;
}
