/*
 * siglist.c: a signature header taken apart into candidate signatures and named values.
 *
 * Everything stays a range of the received text. The answer is a verdict's reason, or NULL where candidates were found.
 */
#include "postgres.h"

#include "proof/place.h"
#include "proof/reason.h"
#include "proof/siglist.h"

static bool
add_candidate(EwhSigList *list, EwhBytes signature, EwhBytes kid)
{
	if (list->ncandidates == EWH_MAX_SIGNATURES)
		return false;
	list->candidates[list->ncandidates].signature = signature;
	list->candidates[list->ncandidates++].kid = kid;
	return true;
}

static bool
add_named(EwhSigList *list, EwhBytes name, EwhBytes value)
{
	for (int i = 0; i < list->nnamed; i++)
	{
		if (ewh_bytes_equal(list->named[i].name, name))
		{
			list->named[i].repeated = true;
			return true;
		}
	}
	if (list->nnamed == EWH_MAX_NAMED)
		return false;
	list->named[list->nnamed].name = name;
	list->named[list->nnamed].repeated = false;
	list->named[list->nnamed++].value = value;
	return true;
}

static bool
is_wanted(const EwhListRule *rule, EwhBytes wanted, EwhBytes name)
{
	if (wanted.data)
		return ewh_bytes_equal(name, wanted);
	for (int i = 0; i < rule->wanted.count; i++)
		if (ewh_bytes_is(name, rule->wanted.items[i]))
			return true;
	return false;
}

/* name=value; an item without the separator says nothing. */
static bool
read_pair(const EwhListRule *rule, EwhBytes item, EwhBytes wanted, EwhSigList *list)
{
	size_t		at = ewh_bytes_find(item, rule->kv);
	EwhBytes	name = {item.data, at};
	EwhBytes	value = ewh_bytes_from(item, at + rule->kv.len);
	EwhBytes	no_kid = {NULL, 0};

	if (at == item.len)
		return true;
	if (is_wanted(rule, wanted, name))
		return add_candidate(list, value, no_kid);
	return add_named(list, name, value);
}

/* kid/alg/signature; the last field takes the rest. An item of another algorithm than the row's is passed over. */
static bool
read_fields(const EwhListRule *rule, EwhBytes item, EwhSigList *list)
{
	EwhBytes	signature = {NULL, 0};
	EwhBytes	kid = {NULL, 0};
	EwhBytes	alg = {NULL, 0};

	for (int i = 0; i < rule->fields.count; i++)
	{
		size_t		end = i == rule->fields.count - 1 ? item.len : ewh_bytes_find(item, rule->by);
		EwhBytes	field = {item.data, end};

		if (strcmp(rule->fields.items[i], "sig") == 0)
			signature = field;
		else if (strcmp(rule->fields.items[i], "kid") == 0)
			kid = field;
		else if (strcmp(rule->fields.items[i], "alg") == 0)
			alg = field;
		item = ewh_bytes_from(item, end + rule->by.len);
	}
	if (signature.len == 0 || (rule->alg_must && !ewh_bytes_is(alg, rule->alg_must)))
		return true;
	return add_candidate(list, signature, kid);
}

static bool
read_item(const EwhListRule *rule, EwhBytes item, EwhBytes wanted, int position, EwhSigList *list)
{
	EwhBytes	no_kid = {NULL, 0};

	if (rule->first && position == 0)
		return add_named(list, ewh_bytes(rule->first), item);
	if (rule->first)
		return add_candidate(list, item, no_kid);
	if (rule->fields.count > 0)
		return read_fields(rule, item, list);
	return read_pair(rule, item, wanted, list);
}

/* Why a list without a wanted signature is refused. */
static const char *
reason_of_none(const EwhListRule *rule, const EwhSigList *list)
{
	if (rule->alg_must)
		return EWH_MALFORMED;
	if (rule->named_only)
		return EWH_UNKNOWN_KEY;
	if (rule->holds_ts && list->nnamed < 2)
		return EWH_MALFORMED;	/* nothing but a timestamp, or not even that */
	return rule->absent;
}

static const char *
read_single(const EwhListRule *rule, EwhBytes text, EwhSigList *list)
{
	EwhBytes	no_kid = {NULL, 0};

	if (rule->strip)
	{
		EwhBytes	prefix = ewh_bytes(rule->strip);

		if (ewh_bytes_starts(text, prefix))
			text = ewh_bytes_from(text, prefix.len);
		else if (!rule->strip_optional)
			return EWH_INVALID;
	}
	add_candidate(list, text, no_kid);
	return NULL;
}

/* Take `text` apart. `wanted`, where its data is not NULL, is the one name whose signatures count. */
const char *
ewh_siglist_read(const EwhListRule *rule, EwhBytes text, EwhBytes wanted, EwhSigList *list)
{
	list->ncandidates = list->nnamed = 0;
	if (rule->split.data == NULL)
		return read_single(rule, text, list);
	for (int position = 0;; position++)
	{
		size_t		end = ewh_bytes_find(text, rule->split);
		EwhBytes	item = {text.data, end};

		if (!read_item(rule, rule->trim ? ewh_bytes_trim(item) : item, wanted, position, list))
			return EWH_MALFORMED;
		if (end == text.len)
			break;
		text = ewh_bytes_from(text, end + rule->split.len);
	}
	return list->ncandidates > 0 ? NULL : reason_of_none(rule, list);
}

/* The value of sig:NAME (an EwhFound). */
int
ewh_siglist_named(const EwhSigList *list, EwhBytes name, EwhBytes *value)
{
	for (int i = 0; i < list->nnamed; i++)
	{
		if (ewh_bytes_equal(list->named[i].name, name))
		{
			*value = list->named[i].value;
			return list->named[i].repeated ? EWH_AMBIGUOUS : EWH_FOUND;
		}
	}
	return EWH_NOT_FOUND;
}
