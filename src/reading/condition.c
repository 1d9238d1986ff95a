/*
 * condition.c: the `match` of a row: {expression: test, …}, all of which must hold.
 *
 * A test is a text (equal), a list of texts (one of), or an object of one or more of in, not, prefix, suffix, contains,
 * same_as (another expression), exists, zero, negative. What is absent passes only `not` and exists: false.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "condition.h"
#include "config.h"

static char *
scalar_text(const JsonbValue *value)
{
	if (value->type == jbvString)
		return ewh_config_string(value);
	if (value->type == jbvBool)
		return pstrdup(value->val.boolean ? "true" : "false");
	if (value->type == jbvNumeric)
		return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
	ewh_config_error("a test compares with texts");
	return NULL;
}

static List *
texts_of(const JsonbValue *value)
{
	List	   *texts = NIL;
	EwhConfigMembers m;

	if (!ewh_config_is_array(value))
		return list_make1(scalar_text(value));
	ewh_config_begin(&m, value->val.binary.data);
	while (ewh_config_next(&m))
		texts = lappend(texts, scalar_text(&m.value));
	return texts;
}

static EwhCondition *
condition(EwhExpression *of, EwhTest test, List *texts)
{
	EwhCondition *c = palloc0(sizeof(EwhCondition));

	c->of = of;
	c->test = test;
	c->texts = texts;
	return c;
}

static bool
switch_of(const JsonbValue *value)
{
	if (value->type != jbvBool)
		ewh_config_error("exists, zero and negative are true or false");
	return value->val.boolean;
}

/* One member of a test object. */
static EwhCondition *
compile_test(EwhExpression *of, const EwhConfigMembers *m)
{
	static const struct
	{
		const char *name;
		EwhTest		test;
	}			comparisons[] = {
		{"in", EWH_IS_ONE_OF}, {"not", EWH_IS_NONE_OF}, {"prefix", EWH_HAS_PREFIX},
		{"suffix", EWH_HAS_SUFFIX}, {"contains", EWH_CONTAINS},
	};
	static const struct
	{
		const char *name;
		EwhTest		yes;
		EwhTest		no;
	}			switches[] = {
		{"exists", EWH_EXISTS, EWH_IS_ABSENT}, {"zero", EWH_IS_ZERO, EWH_IS_NOT_ZERO},
		{"negative", EWH_IS_NEGATIVE, EWH_IS_NOT_NEGATIVE},
	};

	for (int i = 0; i < lengthof(comparisons); i++)
		if (ewh_config_key_is(m, comparisons[i].name))
			return condition(of, comparisons[i].test, texts_of(&m->value));
	for (int i = 0; i < lengthof(switches); i++)
		if (ewh_config_key_is(m, switches[i].name))
			return condition(of, switch_of(&m->value) ? switches[i].yes : switches[i].no, NIL);
	if (ewh_config_key_is(m, "same_as"))
	{
		EwhCondition *c = condition(of, EWH_IS_SAME_AS, NIL);

		c->other = ewh_expression_compile(&m->value);
		return c;
	}
	ewh_config_error("unknown test \"%s\"", ewh_config_string(&m->key));
	return NULL;
}

/* Compile a match object; raises for one that is not well made. */
List *
ewh_conditions_compile(JsonbContainer *match)
{
	List	   *conditions = NIL;
	EwhConfigMembers m;

	ewh_config_begin(&m, match);
	while (ewh_config_next(&m))
	{
		EwhExpression *of = ewh_config_key_is(&m, "type") ? NULL : ewh_expression_compile(&m.key);
		EwhConfigMembers test;

		if (!ewh_config_is_object(&m.value))
		{
			conditions = lappend(conditions, condition(of, EWH_IS_ONE_OF, texts_of(&m.value)));
			continue;
		}
		ewh_config_begin(&test, m.value.val.binary.data);
		while (ewh_config_next(&test))
			conditions = lappend(conditions, compile_test(of, &test));
	}
	return conditions;
}

static bool
text_passes(EwhTest test, EwhBytes value, const char *text)
{
	size_t		len = strlen(text);

	switch (test)
	{
		case EWH_HAS_PREFIX:
			return value.len >= len && memcmp(value.data, text, len) == 0;
		case EWH_HAS_SUFFIX:
			return value.len >= len && memcmp(value.data + value.len - len, text, len) == 0;
		case EWH_CONTAINS:
			return memmem(value.data, value.len, text, len) != NULL;
		default:
			return value.len == len && memcmp(value.data, text, len) == 0;
	}
}

static bool
any_passes(EwhTest test, EwhBytes value, const List *texts)
{
	ListCell   *lc;

	foreach(lc, texts)
		if (text_passes(test, value, lfirst(lc)))
			return true;
	return false;
}

/* Zero in any spelling: 0, 0.00, -0. */
static bool
is_zero(EwhBytes value)
{
	for (size_t i = 0; i < value.len; i++)
		if (strchr("-0.", value.data[i]) == NULL)
			return false;
	return true;
}

static bool
is_same(EwhScopes *scopes, EwhBytes value, const EwhExpression *other)
{
	EwhValue	wanted = ewh_evaluate(scopes, other);

	return wanted.text.data && wanted.text.len == value.len && memcmp(wanted.text.data, value.data, value.len) == 0;
}

static bool
holds(EwhScopes *scopes, const EwhCondition *c, const char *type)
{
	EwhValue	value = {EWH_ABSENT, {NULL, 0}};
	bool		scalar;

	if (c->of)
		value = ewh_evaluate(scopes, c->of);
	else if (type)
		value = (EwhValue) {EWH_STRING, {type, strlen(type)}};
	scalar = value.text.data != NULL;
	switch (c->test)
	{
		case EWH_EXISTS:
			return value.type != EWH_ABSENT;
		case EWH_IS_ABSENT:
			return value.type == EWH_ABSENT;
		case EWH_IS_ZERO:
			return scalar && is_zero(value.text);
		case EWH_IS_NOT_ZERO:
			return scalar && !is_zero(value.text);
		case EWH_IS_NEGATIVE:
			return scalar && value.text.data[0] == '-';
		case EWH_IS_NOT_NEGATIVE:
			return scalar && value.text.data[0] != '-';
		case EWH_IS_SAME_AS:
			return scalar && is_same(scopes, value.text, c->other);
		case EWH_IS_NONE_OF:
			return !scalar || !any_passes(c->test, value.text, c->texts);
		default:
			return scalar && any_passes(c->test, value.text, c->texts);
	}
}

/* Do all conditions hold? */
bool
ewh_conditions_hold(EwhScopes *scopes, const List *conditions, const char *type)
{
	ListCell   *lc;

	foreach(lc, conditions)
		if (!holds(scopes, lfirst(lc), type))
			return false;
	return true;
}
