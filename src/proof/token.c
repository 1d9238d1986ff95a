/*
 * token.c: what each {token} of a template stands for.
 *
 * The tokens stand in one table with the function that renders each. Rendering answers with a verdict's reason, or NULL.
 */
#include "postgres.h"

#include "proof/key.h"
#include "proof/reason.h"
#include "proof/token.h"

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
apply(EwhFilter filter, const EwhView *view, EwhBytes *value)
{
	EwhMessage	message = {value, 1, 1};
	unsigned char mac[EWH_MAX_MAC];

	switch (filter)
	{
		case EWH_NO_FILTER:
			break;
		case EWH_FILTER_SHA256HEX:
			*value = sha256hex_of(*value);
			break;
		case EWH_FILTER_B64:
			*value = base64_of(*value);
			break;
		case EWH_FILTER_HMAC:
			if (view->key == NULL || !ewh_hmac(view->key, &message, mac))
				return EWH_NO_SECRET;
			*value = hex_of(mac, view->key->mac_size);
			break;
	}
	return NULL;
}

static const char *
append_filtered(const EwhPart *part, EwhView *view, EwhMessage *message, EwhBytes value)
{
	const char *reason = apply(part->filter, view, &value);

	if (reason == NULL)
		ewh_message_add(message, value);
	return reason;
}

static const char *
render_place(const EwhPart *part, EwhView *view, EwhMessage *message)
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

static const char *
render_body(const EwhPart *part, EwhView *view, EwhMessage *message)
{
	return append_filtered(part, view, message, view->request->body);
}

static const char *
render_ts(const EwhPart *part, EwhView *view, EwhMessage *message)
{
	ewh_message_add(message, view->ts);
	return view->ts.data ? NULL : EWH_MISSING;
}

static const char *
render_method(const EwhPart *part, EwhView *view, EwhMessage *message)
{
	ewh_message_add(message, view->request->method);
	return NULL;
}

static const char *
render_url(const EwhPart *part, EwhView *view, EwhMessage *message)
{
	ewh_message_add(message, view->url);
	return view->url.data ? NULL : EWH_MISSING;
}

/* The path; the variant with its last slash taken off, or put on. */
static const char *
render_path(const EwhPart *part, EwhView *view, EwhMessage *message)
{
	EwhBytes	path = ewh_view_path(view);

	if (view->url.data == NULL)
		return EWH_MISSING;
	if (!part->variant)
		ewh_message_add(message, path);
	else if (path.data[path.len - 1] == '/')
	{
		path.len--;
		ewh_message_add(message, path);
	}
	else
	{
		ewh_message_add(message, path);
		ewh_message_add(message, ewh_bytes("/"));
	}
	return NULL;
}

static const char *
render_secret(const EwhPart *part, EwhView *view, EwhMessage *message)
{
	return append_filtered(part, view, message, view->secret);
}

static const char *
render_crc32(const EwhPart *part, EwhView *view, EwhMessage *message)
{
	ewh_message_add(message, ewh_bytes(psprintf("%u", ewh_crc32(view->request->body))));
	return NULL;
}

static const char *
render_sha256hex(const EwhPart *part, EwhView *view, EwhMessage *message)
{
	ewh_message_add(message, sha256hex_of(view->request->body));
	return NULL;
}

static const char *
render_b64body(const EwhPart *part, EwhView *view, EwhMessage *message)
{
	ewh_message_add(message, base64_of(view->request->body));
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

/* The fields of the form body by name; NULL where it cannot be read. No body is a form without fields. */
static Field *
sorted_fields(EwhView *view, int *count)
{
	EwhDocument *form;
	Field	   *fields;
	int			room = 1;

	*count = 0;
	if (view->request->body.len == 0)
		return palloc0(sizeof(Field));
	form = ewh_view_form(view);
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
render_form_sorted(const EwhPart *part, EwhView *view, EwhMessage *message)
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
			ewh_message_add(message, ewh_bytes("&"));
		first = false;
		ewh_message_add(message, fields[i].name);
		ewh_message_add(message, ewh_bytes("="));
		ewh_message_add(message, fields[i].value);
	}
	return NULL;
}

static const char *
render_form_concat(const EwhPart *part, EwhView *view, EwhMessage *message)
{
	int			count;
	Field	   *fields = sorted_fields(view, &count);

	if (fields == NULL)
		return EWH_MALFORMED;
	for (int i = 0; i < count; i++)
	{
		ewh_message_add(message, fields[i].name);
		ewh_message_add(message, fields[i].value);
	}
	return NULL;
}

/* "Name: value\n" for each header that the named member of the JOSE header lists, spelled as there. */
static const char *
render_signed_headers(const EwhPart *part, EwhView *view, EwhMessage *message)
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
		ewh_message_add(message, name);
		ewh_message_add(message, ewh_bytes(": "));
		ewh_message_add(message, value);
		ewh_message_add(message, ewh_bytes("\n"));
	}
	return NULL;
}

/* The values of the headers that sig:NAME lists, joined by dots; an absent header has an empty value. */
static const char *
render_header_values(const EwhPart *part, EwhView *view, EwhMessage *message)
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
			ewh_message_add(message, ewh_bytes("."));
		}
		end = ewh_bytes_find(names, ewh_bytes(" "));
		name.data = names.data;
		name.len = end;
		if (name.len > 0 && ewh_view_header(view, name, &value) == EWH_AMBIGUOUS)
			return EWH_MALFORMED;
		ewh_message_add(message, value);
	}
	return NULL;
}

static const struct
{
	const char *token;
	EwhRender		render;
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
	EwhFilter		filter;
} FILTERS[] = {
	{"|sha256hex", EWH_FILTER_SHA256HEX},
	{"|b64", EWH_FILTER_B64},
	{"|hmac", EWH_FILTER_HMAC},
};

/* Take a filter off the end of a token. A header's bar separates names. */
static EwhFilter
take_filter(char *token)
{
	size_t		len = strlen(token);

	if (strncmp(token, "header:", 7) == 0)
		return EWH_NO_FILTER;
	for (int i = 0; i < lengthof(FILTERS); i++)
	{
		size_t		n = strlen(FILTERS[i].name);

		if (len > n && strcmp(token + len - n, FILTERS[i].name) == 0)
		{
			token[len - n] = '\0';
			return FILTERS[i].filter;
		}
	}
	return EWH_NO_FILTER;
}

EwhPart
ewh_token_compile(char *token, const char *signed_headers, const char *row_name)
{
	static const char VALUES[] = "header_values:";
	EwhPart		part = {0};
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

bool
ewh_token_reads_url(const EwhPart *part)
{
	return part->render == render_url || part->render == render_path;
}

bool
ewh_token_reads_secret(const EwhPart *part)
{
	return part->render == render_secret;
}

bool
ewh_token_reads_header_list(const EwhPart *part)
{
	return part->render == render_header_values;
}
