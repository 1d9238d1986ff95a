/*
 * rule.c: typed reading of the members of a jsonb object.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "datatype/timestamp.h"
#include "utils/numeric.h"

#include "proof/rule.h"

/* A member that is there but cannot be meant. */
void
ewh_rule_refuse(const char *name, const char *key, const char *value)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid \"%s\" in %s: %s", key, name, value)));
}

static void
refuse_type(EwhRule row, const char *key, const char *wanted)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" in %s must be %s", key, row.name, wanted)));
}

EwhRule
ewh_rule(Jsonb *jsonb, const char *name)
{
	EwhRule		row = {NULL, name};

	if (jsonb == NULL)
		return row;
	if (!JB_ROOT_IS_OBJECT(jsonb))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be a JSON object", name)));
	row.object = &jsonb->root;
	return row;
}

/* The member's value, or NULL where it is absent or null. */
static JsonbValue *
member(EwhRule row, const char *key, JsonbValue *buffer)
{
	JsonbValue *v;

	if (row.object == NULL)
		return NULL;
	v = getKeyJsonValueFromContainer(row.object, key, strlen(key), buffer);
	return v && v->type != jbvNull ? v : NULL;
}

EwhRule
ewh_rule_object(EwhRule row, const char *key)
{
	JsonbValue	buffer;
	JsonbValue *v = member(row, key, &buffer);
	EwhRule		inner = {NULL, psprintf("%s.%s", row.name, key)};

	if (v == NULL)
		return inner;
	if (v->type != jbvBinary || !JsonContainerIsObject(v->val.binary.data))
		refuse_type(row, key, "an object");
	inner.object = v->val.binary.data;
	return inner;
}

char *
ewh_rule_text(EwhRule row, const char *key)
{
	JsonbValue	buffer;
	JsonbValue *v = member(row, key, &buffer);

	if (v == NULL)
		return NULL;
	if (v->type != jbvString)
		refuse_type(row, key, "a string");
	return pnstrdup(v->val.string.val, v->val.string.len);
}

char *
ewh_rule_need(EwhRule row, const char *key)
{
	char	   *text = ewh_rule_text(row, key);

	if (text == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is missing in %s", key, row.name)));
	return text;
}

bool
ewh_rule_flag(EwhRule row, const char *key)
{
	JsonbValue	buffer;
	JsonbValue *v = member(row, key, &buffer);

	if (v && v->type != jbvBool)
		refuse_type(row, key, "true or false");
	return v && v->val.boolean;
}

int
ewh_rule_integer(EwhRule row, const char *key, int otherwise)
{
	JsonbValue	buffer;
	JsonbValue *v = member(row, key, &buffer);

	if (v == NULL)
		return otherwise;
	if (v->type != jbvNumeric)
		refuse_type(row, key, "a number");
	return DatumGetInt32(DirectFunctionCall1(numeric_int4, NumericGetDatum(v->val.numeric)));
}

/* A number of seconds, in microseconds; false where the member is absent. */
bool
ewh_rule_seconds(EwhRule row, const char *key, int64 *micros)
{
	int			seconds = ewh_rule_integer(row, key, -1);

	if (seconds < 0)
		return false;
	*micros = (int64) seconds * USECS_PER_SEC;
	return true;
}

/* A list of strings; a single string stands for a list of one. */
EwhTexts
ewh_rule_texts(EwhRule row, const char *key)
{
	JsonbValue	buffer;
	JsonbValue *v = member(row, key, &buffer);
	EwhTexts	texts = {NULL, 0};
	uint32		count;

	if (v == NULL)
		return texts;
	if (v->type == jbvString)
	{
		texts.items = palloc(sizeof(char *));
		texts.items[texts.count++] = pnstrdup(v->val.string.val, v->val.string.len);
		return texts;
	}
	if (v->type != jbvBinary || !JsonContainerIsArray(v->val.binary.data))
		refuse_type(row, key, "a list of strings");
	count = JsonContainerSize(v->val.binary.data);
	texts.items = palloc(sizeof(char *) * Max(count, 1));
	for (uint32 i = 0; i < count; i++)
	{
		JsonbValue *item = getIthJsonbValueFromContainer(v->val.binary.data, i);

		if (item->type != jbvString)
			refuse_type(row, key, "a list of strings");
		texts.items[texts.count++] = pnstrdup(item->val.string.val, item->val.string.len);
	}
	return texts;
}

/* A list of objects. */
EwhRule *
ewh_rule_objects(EwhRule row, const char *key, int *count)
{
	JsonbValue	buffer;
	JsonbValue *v = member(row, key, &buffer);
	EwhRule	   *rows;

	*count = 0;
	if (v == NULL)
		return NULL;
	if (v->type != jbvBinary || !JsonContainerIsArray(v->val.binary.data))
		refuse_type(row, key, "a list of objects");
	rows = palloc(sizeof(EwhRule) * Max(JsonContainerSize(v->val.binary.data), 1));
	for (uint32 i = 0; i < JsonContainerSize(v->val.binary.data); i++)
	{
		JsonbValue *item = getIthJsonbValueFromContainer(v->val.binary.data, i);

		if (item->type != jbvBinary || !JsonContainerIsObject(item->val.binary.data))
			refuse_type(row, key, "a list of objects");
		rows[*count].object = item->val.binary.data;
		rows[(*count)++].name = psprintf("%s.%s", row.name, key);
	}
	return rows;
}

/* The names of all members, in jsonb's order. */
char **
ewh_rule_keys(EwhRule row, int *count)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	v;
	char	  **keys;

	*count = 0;
	if (row.object == NULL)
		return NULL;
	keys = palloc(sizeof(char *) * Max(JsonContainerSize(row.object), 1));
	it = JsonbIteratorInit(row.object);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
		if (token == WJB_KEY)
			keys[(*count)++] = pnstrdup(v.val.string.val, v.val.string.len);
	return keys;
}
