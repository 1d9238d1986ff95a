/*
 * json.c: a JSON text (RFC 8259) to a tape.
 *
 * The server's lexer finds the tokens; the grammar is a small state machine of ours with a stack of fixed depth, so
 * that no body makes us recurse or raise. Strings stay as they came: their escapes are decoded by who uses them.
 */
#include "postgres.h"

#include "common/jsonapi.h"
#include "mb/pg_wchar.h"

#include "compat.h"
#include "tape.h"

typedef enum Expecting
{
	A_VALUE,					/* at the start, behind ':', behind ',' in an array */
	A_VALUE_OR_END,				/* behind '[' */
	A_KEY,						/* behind ',' in an object */
	A_KEY_OR_END,				/* behind '{' */
	A_COMMA_OR_END,				/* behind a value */
	THE_END						/* behind the root */
} Expecting;

typedef struct JsonReader
{
	EwhDocument *doc;
	JsonLexContext *lex;
	Expecting	expecting;
	int			depth;
	EwhTapeLevel levels[EWH_MAX_DEPTH + 1];	/* levels[0] holds the root */
	int32		key;			/* the key read last, for the value that follows; -1 in arrays */
	int32		key_len;
	bool		key_escaped;
	bool		escapes;		/* is there a backslash anywhere? Most bodies have none */
} JsonReader;

static int32
token_start(const JsonReader *r)
{
	return r->lex->token_start - r->doc->bytes.data;
}

static int32
token_len(const JsonReader *r)
{
	return r->lex->token_terminator - r->lex->token_start;
}

static bool
has_escape(const JsonReader *r)
{
	return r->escapes && memchr(r->lex->token_start, '\\', token_len(r)) != NULL;
}

static bool
in_object(const JsonReader *r)
{
	EwhNode		container = r->levels[r->depth].container;

	return container >= 0 && r->doc->nodes[container].type == EWH_OBJECT;
}

/* What may follow a value that is complete. */
static Expecting
after_value(const JsonReader *r)
{
	return r->depth == 0 ? THE_END : A_COMMA_OR_END;
}

/* Write a node for the current token under the key read before. */
static EwhReadStatus
add_value(JsonReader *r, EwhNodeType type)
{
	EwhTapeNode *node = ewh_tape_add(r->doc, &r->levels[r->depth], type);
	int			quote = type == EWH_STRING ? 1 : 0;

	if (node == NULL)
		return EWH_UNREADABLE;
	node->start = token_start(r) + quote;
	node->len = token_len(r) - 2 * quote;
	node->escaped = quote && has_escape(r);
	node->key = r->key;
	node->key_len = r->key_len;
	node->key_escaped = r->key_escaped;
	r->key = -1;
	r->key_len = 0;
	r->key_escaped = false;
	r->expecting = after_value(r);
	return EWH_READ_OK;
}

static EwhReadStatus
open_container(JsonReader *r, EwhNodeType type)
{
	EwhReadStatus status;

	if (r->depth == EWH_MAX_DEPTH)
		return EWH_TOO_DEEP;
	status = add_value(r, type);
	r->levels[++r->depth] = (EwhTapeLevel) {r->doc->count - 1, -1};
	r->expecting = type == EWH_OBJECT ? A_KEY_OR_END : A_VALUE_OR_END;
	return status;
}

static EwhReadStatus
close_container(JsonReader *r, EwhNodeType type)
{
	EwhTapeNode *container;
	bool		may_end = r->expecting == A_COMMA_OR_END ||
		r->expecting == (type == EWH_OBJECT ? A_KEY_OR_END : A_VALUE_OR_END);

	if (r->depth == 0 || !may_end)
		return EWH_UNREADABLE;
	container = &r->doc->nodes[r->levels[r->depth].container];
	if (container->type != type)
		return EWH_UNREADABLE;
	container->len = token_start(r) + token_len(r) - container->start;
	r->depth--;
	r->expecting = after_value(r);
	return EWH_READ_OK;
}

/* A member's key and the colon behind it. */
static EwhReadStatus
read_key(JsonReader *r)
{
	r->key = token_start(r) + 1;
	r->key_len = token_len(r) - 2;
	r->key_escaped = has_escape(r);
	if (json_lex(r->lex) != JSON_SUCCESS || r->lex->token_type != JSON_TOKEN_COLON)
		return EWH_UNREADABLE;
	r->expecting = A_VALUE;
	return EWH_READ_OK;
}

static EwhReadStatus
read_comma(JsonReader *r)
{
	if (r->expecting != A_COMMA_OR_END)
		return EWH_UNREADABLE;
	r->expecting = in_object(r) ? A_KEY : A_VALUE;
	return EWH_READ_OK;
}

static EwhReadStatus
read_value(JsonReader *r, JsonTokenType token)
{
	switch (token)
	{
		case JSON_TOKEN_STRING:
			return add_value(r, EWH_STRING);
		case JSON_TOKEN_NUMBER:
			return add_value(r, EWH_NUMBER);
		case JSON_TOKEN_TRUE:
		case JSON_TOKEN_FALSE:
			return add_value(r, EWH_BOOL);
		case JSON_TOKEN_NULL:
			return add_value(r, EWH_NULL);
		case JSON_TOKEN_OBJECT_START:
			return open_container(r, EWH_OBJECT);
		case JSON_TOKEN_ARRAY_START:
			return open_container(r, EWH_ARRAY);
		default:
			return EWH_UNREADABLE;
	}
}

static EwhReadStatus
read_token(JsonReader *r, JsonTokenType token)
{
	switch (token)
	{
		case JSON_TOKEN_OBJECT_END:
			return close_container(r, EWH_OBJECT);
		case JSON_TOKEN_ARRAY_END:
			return close_container(r, EWH_ARRAY);
		case JSON_TOKEN_COMMA:
			return read_comma(r);
		default:
			break;
	}
	if (r->expecting == A_KEY || r->expecting == A_KEY_OR_END)
		return token == JSON_TOKEN_STRING ? read_key(r) : EWH_UNREADABLE;
	if (r->expecting == A_VALUE || r->expecting == A_VALUE_OR_END)
		return read_value(r, token);
	return EWH_UNREADABLE;
}

/* Read a whole body. Anything but exactly one JSON text in valid UTF-8 is unreadable. */
EwhReadStatus
ewh_document_json(EwhBytes body, EwhDocument **doc)
{
	JsonReader	r = {.expecting = A_VALUE, .key = -1};
	EwhReadStatus status = EWH_READ_OK;

	*doc = NULL;
	if (body.len == 0 || body.len > PG_INT32_MAX ||
		pg_encoding_verifymbstr(PG_UTF8, body.data, body.len) != (int) body.len)
		return EWH_UNREADABLE;
	r.doc = ewh_tape_begin(body);
	r.lex = ewh_json_lexer(body.data, body.len);
	r.escapes = memchr(body.data, '\\', body.len) != NULL;
	r.levels[0] = (EwhTapeLevel) {-1, -1};
	while (status == EWH_READ_OK)
	{
		if (json_lex(r.lex) != JSON_SUCCESS)
			return EWH_UNREADABLE;
		if (r.lex->token_type == JSON_TOKEN_END)
			break;
		status = read_token(&r, r.lex->token_type);
	}
	if (status == EWH_READ_OK && r.expecting != THE_END)
		status = EWH_UNREADABLE;
	if (status == EWH_READ_OK)
		*doc = r.doc;
	return status;
}
