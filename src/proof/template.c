/*
 * template.c: compiling and rendering of signed strings.
 */
#include "postgres.h"

#include "nodes/pg_list.h"

#include "proof/reason.h"
#include "proof/token.h"

struct EwhTemplate
{
	EwhPart	   *parts;
	int			nparts;
};

static const char *
render_literal(const EwhPart *part, EwhView *view, EwhMessage *message)
{
	ewh_message_add(message, part->literal);
	return NULL;
}

/* All of the group, or nothing where a value in it is absent. */
static const char *
render_group(const EwhPart *part, EwhView *view, EwhMessage *message)
{
	int			before = message->nparts;
	const char *reason = ewh_template_render(part->group, view, message);

	if (reason == NULL)
		return NULL;
	message->nparts = before;
	return strcmp(reason, EWH_MISSING) == 0 ? NULL : reason;
}

static EwhPart
compile_literal(const char *text, size_t len)
{
	EwhPart		part = {0};

	part.render = render_literal;
	part.literal.data = pnstrdup(text, len);
	part.literal.len = len;
	return part;
}

static EwhPart
compile_group(const char *text, size_t len, const char *signed_headers, const char *row_name)
{
	EwhPart		part = {0};

	part.render = render_group;
	part.group = ewh_template_compile(pnstrdup(text, len), signed_headers, row_name);
	return part;
}

/* A row's template. An unclosed brace or bracket, or an unknown name, is a configuration error. */
EwhTemplate *
ewh_template_compile(const char *text, const char *signed_headers, const char *row_name)
{
	EwhTemplate *template = palloc0(sizeof(EwhTemplate));

	template->parts = palloc(sizeof(EwhPart) * (strlen(text) + 1));
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
			ewh_token_compile(pnstrdup(p + 1, end - p - 1), signed_headers, row_name) :
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
ewh_template_uses_url(const EwhTemplate *template)
{
	for (int i = 0; i < template->nparts; i++)
		if (ewh_token_reads_url(&template->parts[i]) ||
			(template->parts[i].group && ewh_template_uses_url(template->parts[i].group)))
			return true;
	return false;
}

bool
ewh_template_uses_secret(const EwhTemplate *template)
{
	for (int i = 0; i < template->nparts; i++)
		if (ewh_token_reads_secret(&template->parts[i]) ||
			(template->parts[i].group && ewh_template_uses_secret(template->parts[i].group)))
			return true;
	return false;
}

/* Add the header places that must be there for the template to be rendered. */
List *
ewh_template_needs(const EwhTemplate *template, List *places)
{
	for (int i = 0; i < template->nparts; i++)
	{
		const EwhPart *part = &template->parts[i];

		if (part->place && part->place->kind == EWH_AT_HEADER && !part->optional)
			places = lappend(places, part->place);
	}
	return places;
}

/* NAME of {header_values:NAME}; data NULL where there is none. */
EwhBytes
ewh_template_header_list(const EwhTemplate *template)
{
	EwhBytes	none = {NULL, 0};

	for (int i = 0; i < template->nparts; i++)
		if (ewh_token_reads_header_list(&template->parts[i]))
			return template->parts[i].literal;
	return none;
}
