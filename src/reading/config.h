/*
 * config.h: walking the jsonb of a mapping, and refusing one that is wrong.
 */
#ifndef EWH_CONFIG_H
#define EWH_CONFIG_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "compat.h"

#define ewh_config_error(...) \
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg(__VA_ARGS__)))

static inline char *
ewh_config_string(const JsonbValue *v)
{
	return pnstrdup(v->val.string.val, v->val.string.len);
}

static inline bool
ewh_config_is_object(const JsonbValue *v)
{
	return v->type == jbvBinary && JsonContainerIsObject(v->val.binary.data);
}

static inline bool
ewh_config_is_array(const JsonbValue *v)
{
	return v->type == jbvBinary && JsonContainerIsArray(v->val.binary.data);
}

/* The member `key`; NULL where it is missing or null. */
static inline JsonbValue *
ewh_config_member(JsonbContainer *object, const char *key)
{
	JsonbValue *v = getKeyJsonValueFromContainer(object, key, strlen(key), NULL);

	return v && v->type == jbvNull ? NULL : v;
}

/* An iterator over the members of an object or the elements of an array, one level deep. */
typedef struct EwhConfigMembers
{
	JsonbIterator *it;
	JsonbValue	key;
	JsonbValue	value;
} EwhConfigMembers;

static inline void
ewh_config_begin(EwhConfigMembers *m, JsonbContainer *container)
{
	m->it = JsonbIteratorInit(container);
	JsonbIteratorNext(&m->it, &m->value, false);
}

static inline bool
ewh_config_next(EwhConfigMembers *m)
{
	JsonbIteratorToken token = JsonbIteratorNext(&m->it, &m->value, true);

	if (token == WJB_KEY)
	{
		m->key = m->value;
		token = JsonbIteratorNext(&m->it, &m->value, true);
	}
	return token == WJB_VALUE || token == WJB_ELEM;
}

/* Is the key of the member at hand `name`? */
static inline bool
ewh_config_key_is(const EwhConfigMembers *m, const char *name)
{
	return m->key.val.string.len == (int) strlen(name) &&
		memcmp(m->key.val.string.val, name, m->key.val.string.len) == 0;
}

#endif							/* EWH_CONFIG_H */
