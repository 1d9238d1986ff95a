/*
 * expression.c: expressions, compiled from a mapping's jsonb.
 *
 *   "/a/b"  "item:/a"  "root:/a"  "body:/a"     a pointer
 *   "header:name"  "setting:name"  "=text"      a header, a setting of the source, a constant
 *   "{/a}:{header:b}:{/c?}"                     a text composed of them; with ? a part may be missing
 *   [e, e]                                      the first that is there
 *   {"of": e, …}  {"all": [e, e]}               something made of it; several values in a row
 *   {"sum": e | [e, e], …}                      amounts added up
 */
#include "postgres.h"

#include "miscadmin.h"

#include "config.h"
#include "expression.h"

static EwhExpression *
new_expression(EwhExpressionKind kind)
{
	EwhExpression *e = palloc0(sizeof(EwhExpression));

	e->kind = kind;
	return e;
}

/* Compile a plain pointer with selectors; NULL where it is none. */
EwhExpression *
ewh_expression_pointer(EwhBytes pointer)
{
	EwhExpression *e = new_expression(EWH_POINTER);

	e->path = ewh_path_compile(pointer, true);
	return e->path ? e : NULL;
}

static bool
has_prefix(const char *text, const char *prefix, const char **rest)
{
	size_t		len = strlen(prefix);

	if (strncmp(text, prefix, len) != 0)
		return false;
	*rest = text + len;
	return true;
}

static EwhExpression *
scoped_pointer(EwhScope scope, const char *pointer)
{
	EwhExpression *e = ewh_expression_pointer((EwhBytes) {pointer, strlen(pointer)});

	if (e == NULL)
		ewh_config_error("\"%s\" is not a JSON pointer", pointer);
	e->scope = scope;
	return e;
}

static EwhExpression *
named(EwhExpressionKind kind, const char *name)
{
	EwhExpression *e = new_expression(kind);

	e->text = pstrdup(name);
	return e;
}

/* One value without braces. */
static EwhExpression *
compile_atom(const char *text)
{
	const char *rest;
	EwhExpression *e;

	if (has_prefix(text, "header:", &rest))
	{
		e = named(EWH_HEADER, rest);
		for (char *c = e->text; *c; c++)
			*c = pg_ascii_tolower((unsigned char) *c);
		return e;
	}
	if (has_prefix(text, "setting:", &rest))
		return named(EWH_SETTING, rest);
	if (has_prefix(text, "=", &rest))
		return named(EWH_LITERAL, rest);
	if (has_prefix(text, "item:", &rest))
		return scoped_pointer(EWH_ITEM, rest);
	if (has_prefix(text, "root:", &rest))
		return scoped_pointer(EWH_ROOT, rest);
	if (has_prefix(text, "body:", &rest))
		return scoped_pointer(EWH_BODY, rest);
	return scoped_pointer(EWH_HERE, text);
}

static void
add_literal(EwhExpression *template, const char *start, const char *end)
{
	EwhExpression *part;

	if (start == end)
		return;
	part = new_expression(EWH_LITERAL);
	part->text = pnstrdup(start, end - start);
	template->parts = lappend(template->parts, part);
}

static EwhExpression *
compile_template(const char *text)
{
	EwhExpression *e = new_expression(EWH_TEMPLATE);
	const char *open;

	while ((open = strchr(text, '{')) != NULL)
	{
		const char *close = strchr(open, '}');
		EwhExpression *part;
		char	   *inner;
		bool		optional;

		if (close == NULL || close == open + 1)
			ewh_config_error("unbalanced braces in \"%s\"", text);
		add_literal(e, text, open);
		optional = close[-1] == '?';
		inner = pnstrdup(open + 1, close - open - 1 - optional);
		part = compile_atom(inner);
		part->optional = optional;
		e->parts = lappend(e->parts, part);
		text = close + 1;
	}
	add_literal(e, text, text + strlen(text));
	return e;
}

static EwhPattern *
compile_pattern(const JsonbValue *value, bool whole)
{
	static const struct
	{
		const char *hole;
		char		class;
	}			holes[] = {{"{}", 'a'}, {"{digits}", 'd'}, {"{word}", 'w'}};
	EwhPattern *pattern = palloc0(sizeof(EwhPattern));
	char	   *text;

	if (value->type != jbvString)
		ewh_config_error("a pattern must be a string");
	text = ewh_config_string(value);
	for (int i = 0; i < lengthof(holes); i++)
	{
		char	   *hole = strstr(text, holes[i].hole);

		if (hole == NULL)
			continue;
		pattern->hole = holes[i].class;
		pattern->whole = whole;
		pattern->before = (EwhBytes) {text, hole - text};
		pattern->behind.data = hole + strlen(holes[i].hole);
		pattern->behind.len = strlen(pattern->behind.data);
		return pattern;
	}
	ewh_config_error("pattern \"%s\" has none of {}, {digits}, {word}", text);
	return NULL;
}

static void
compile_map(EwhExpression *e, const JsonbValue *value)
{
	EwhConfigMembers m;

	if (!ewh_config_is_object(value))
		ewh_config_error("\"map\" must be an object");
	ewh_config_begin(&m, value->val.binary.data);
	while (ewh_config_next(&m))
	{
		if (m.value.type != jbvString)
			ewh_config_error("\"map\" must hold strings");
		e->map_from = lappend(e->map_from, ewh_config_string(&m.key));
		e->map_to = lappend(e->map_to, ewh_config_string(&m.value));
	}
}

static char
compile_unit(const JsonbValue *value)
{
	if (value->type == jbvString && value->val.string.len == 5)
	{
		if (memcmp(value->val.string.val, "minor", 5) == 0)
			return 'm';
		if (memcmp(value->val.string.val, "major", 5) == 0)
			return 'M';
	}
	ewh_config_error("\"unit\" must be minor or major");
	return 0;
}

/* Does this do what only amounts have done to them: sums, signs, units? */
bool
ewh_expression_is_amount(const EwhExpression *e)
{
	return e && e->kind == EWH_DERIVED && (e->sum || e->negate || e->unless_zero || e->unit || e->number_too);
}

/* What others are made of. An amount's operations are applied where the amount is read, so none may hide further in. */
static EwhExpression *
compile_operand(const JsonbValue *value)
{
	EwhExpression *e = ewh_expression_compile(value);

	if (ewh_expression_is_amount(e))
		ewh_config_error("sum, negate, unit, number_too and unless_zero stand at the top of an amount");
	return e;
}

static List *
compile_operands(const JsonbValue *value)
{
	List	   *operands = NIL;
	EwhConfigMembers m;

	if (!ewh_config_is_array(value))
		return list_make1(compile_operand(value));
	ewh_config_begin(&m, value->val.binary.data);
	while (ewh_config_next(&m))
		operands = lappend(operands, compile_operand(&m.value));
	return operands;
}

static bool
is_true(const JsonbValue *value)
{
	if (value->type != jbvBool)
		ewh_config_error("a switch must be true or false");
	return value->val.boolean;
}

static EwhExpression *
compile_derived(JsonbContainer *object)
{
	EwhExpression *e = new_expression(EWH_DERIVED);
	EwhConfigMembers m;

	ewh_config_begin(&m, object);
	while (ewh_config_next(&m))
	{
		if (ewh_config_key_is(&m, "of"))
			e->parts = list_make1(compile_operand(&m.value));
		else if (ewh_config_key_is(&m, "sum"))
		{
			e->sum = true;
			e->parts = compile_operands(&m.value);
		}
		else if (ewh_config_key_is(&m, "all"))
			e->parts = compile_operands(&m.value);
		else if (ewh_config_key_is(&m, "take"))
			e->pattern = compile_pattern(&m.value, false);
		else if (ewh_config_key_is(&m, "find"))
			e->pattern = compile_pattern(&m.value, true);
		else if (ewh_config_key_is(&m, "map"))
			compile_map(e, &m.value);
		else if (ewh_config_key_is(&m, "unit"))
			e->unit = compile_unit(&m.value);
		else if (ewh_config_key_is(&m, "number_too"))
			e->number_too = is_true(&m.value);
		else if (ewh_config_key_is(&m, "negate"))
			e->negate = is_true(&m.value);
		else if (ewh_config_key_is(&m, "unless_zero"))
			e->unless_zero = is_true(&m.value);
		else if (ewh_config_key_is(&m, "lower"))
			e->lower = is_true(&m.value);
		else if (ewh_config_key_is(&m, "upper"))
			e->upper = is_true(&m.value);
		else
			ewh_config_error("unknown operation \"%s\"", ewh_config_string(&m.key));
	}
	if (e->parts == NIL)
		ewh_config_error("an operation needs \"of\", \"all\" or \"sum\"");
	return e;
}

/* Compile an expression; raises for one that is not well made. NULL for null. */
EwhExpression *
ewh_expression_compile(const JsonbValue *value)
{
	EwhExpression *e;
	char	   *text;

	check_stack_depth();
	if (value->type == jbvNull)
		return NULL;
	if (value->type == jbvString)
	{
		text = ewh_config_string(value);
		return text[0] != '=' && strchr(text, '{') ? compile_template(text) : compile_atom(text);
	}
	if (ewh_config_is_object(value))
		return compile_derived(value->val.binary.data);
	if (!ewh_config_is_array(value))
		ewh_config_error("an expression is a string, a list of alternatives or an object");
	e = new_expression(EWH_FIRST_OF);
	e->parts = compile_operands(value);
	return e;
}
