/*
 * mapping.c: the mapping language, compiled (docs/adding-a-provider.md is its manual).
 *
 * `reading` says what holds for every event of a provider: format, where the events are, type, units, and the fields
 * that rows start from. The rows say which event is which canonical kind. Rows are looked up by type, so that a
 * provider with a hundred rows costs an event no more than one with three.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "config.h"
#include "moment.h"
#include "rule.h"

static const char *const field_names[EWH_FIELDS] = {
	"external_id", "object_ref", "payment_ref", "account_ref", "subscription_ref", "correlation",
	"correlation_amounts", "amount", "currency", "fee", "fee_currency", "to_amount", "to_currency", "occurred_at",
	"value_date", "attempt", "payout_ref", "bank_ref", "end_to_end_id",
};

static const char *const kinds[] = {
	"payment.pending", "payment.succeeded", "payment.failed", "payment.reversed", "payment.linked",
	"refund.succeeded", "refund.failed", "refund.total", "dispute.opened", "dispute.withdrawn",
	"dispute.reinstated", "dispute.closed", "payout.scheduled", "payout.paid", "payout.failed",
	"subscription.payment_failed", "subscription.recovered", "subscription.cancelled", "bank.credit",
	"bank.debit", "bank.reversed", "conversion", "other",
};

static const char *
known_kind(const char *kind)
{
	for (int i = 0; i < lengthof(kinds); i++)
		if (strcmp(kinds[i], kind) == 0)
			return kinds[i];
	ewh_config_error("unknown kind \"%s\"", kind);
	return NULL;
}

static const char *
known_state(const JsonbValue *value)
{
	static const char *const states[] = {"waiting", "no_effect"};

	for (int i = 0; i < lengthof(states); i++)
		if (value->type == jbvString && strcmp(states[i], ewh_config_string(value)) == 0)
			return states[i];
	ewh_config_error("a row's state is waiting or no_effect");
	return NULL;
}

static EwhFormat
known_format(const JsonbValue *value)
{
	static const char *const formats[] = {"json", "form", "query", "xml", "jwt"};

	if (value == NULL)
		return EWH_JSON;
	for (int i = 0; i < lengthof(formats); i++)
		if (value->type == jbvString && strcmp(formats[i], ewh_config_string(value)) == 0)
			return (EwhFormat) i;
	ewh_config_error("format is json, form, query, xml or jwt");
	return EWH_JSON;
}

static bool
holds_amount(EwhField field)
{
	return field == EWH_F_AMOUNT || field == EWH_F_FEE || field == EWH_F_TO_AMOUNT || field == EWH_F_CORRELATION_AMOUNTS;
}

static int
field_named(const char *name)
{
	for (int i = 0; i < EWH_FIELDS; i++)
		if (strcmp(field_names[i], name) == 0)
			return i;
	return -1;
}

static JsonbContainer *
object_of(const JsonbValue *value, const char *what)
{
	if (!ewh_config_is_object(value))
		ewh_config_error("\"%s\" must be an object", what);
	return value->val.binary.data;
}

static EwhPath *
path_of(const JsonbValue *value, const char *what)
{
	EwhPath    *path = NULL;
	char	   *text;

	if (value && value->type == jbvString)
	{
		text = ewh_config_string(value);
		path = ewh_path_compile((EwhBytes) {text, strlen(text)}, true);
	}
	if (path == NULL)
		ewh_config_error("\"%s\" must be a JSON pointer", what);
	return path;
}

static List *
compile_wrappers(const JsonbValue *value)
{
	List	   *wrappers = NIL;
	EwhConfigMembers m;

	if (value == NULL)
		return NIL;
	if (!ewh_config_is_array(value))
		ewh_config_error("\"unwrap\" must be a list");
	ewh_config_begin(&m, value->val.binary.data);
	while (ewh_config_next(&m))
	{
		JsonbContainer *object = object_of(&m.value, "unwrap");
		EwhWrapper *w = palloc0(sizeof(EwhWrapper));
		JsonbValue *decode = ewh_config_member(object, "decode");

		w->at = path_of(ewh_config_member(object, "at"), "at");
		w->format = known_format(ewh_config_member(object, "format"));
		w->base64 = decode && decode->type == jbvString && strcmp(ewh_config_string(decode), "base64") == 0;
		if (decode && !w->base64)
			ewh_config_error("\"decode\" is base64 or left out");
		wrappers = lappend(wrappers, w);
	}
	return wrappers;
}

static List *
compile_each(const JsonbValue *value)
{
	List	   *paths = NIL;
	EwhConfigMembers m;

	if (value == NULL)
		return NIL;
	if (!ewh_config_is_array(value))
		return list_make1(path_of(value, "each"));
	ewh_config_begin(&m, value->val.binary.data);
	while (ewh_config_next(&m))
		paths = lappend(paths, path_of(&m.value, "each"));
	return paths;
}

static List *
compile_places(const JsonbValue *value, const char *what)
{
	List	   *places = NIL;
	EwhConfigMembers m;

	if (value == NULL)
		return NIL;
	ewh_config_begin(&m, object_of(value, what));
	while (ewh_config_next(&m))
	{
		EwhExponent *e = palloc0(sizeof(EwhExponent));

		strlcpy(e->currency, ewh_config_string(&m.key), sizeof(e->currency));
		if (m.value.type != jbvNumeric)
			ewh_config_error("\"%s\" holds numbers", what);
		e->places = DatumGetInt32(DirectFunctionCall1(numeric_int4, NumericGetDatum(m.value.val.numeric)));
		if (e->places < 0 || e->places > 18)
			ewh_config_error("\"%s\" of %s must lie between 0 and 18", what, e->currency);
		places = lappend(places, e);
	}
	return places;
}

static void
compile_amounts(EwhMapping *mapping, const JsonbValue *value)
{
	JsonbContainer *object;
	JsonbValue *unit;
	JsonbValue *type;
	char	   *text;

	mapping->strings = true;
	if (value == NULL)
		return;
	object = object_of(value, "amounts");
	unit = ewh_config_member(object, "unit");
	type = ewh_config_member(object, "type");
	mapping->minor = unit && unit->type == jbvString && strcmp(ewh_config_string(unit), "minor") == 0;
	text = type && type->type == jbvString ? ewh_config_string(type) : "string";
	if (strcmp(text, "string") != 0 && strcmp(text, "number") != 0 && strcmp(text, "any") != 0)
		ewh_config_error("the type of amounts is string, number or any");
	mapping->strings = strcmp(text, "number") != 0;
	mapping->numbers = strcmp(text, "string") != 0;
	mapping->exponents = compile_places(ewh_config_member(object, "exponents"), "exponents");
	mapping->digits = compile_places(ewh_config_member(object, "digits"), "digits");
}

/* Lay the fields of `object` over those already there; null takes one away. */
static void
compile_fields(EwhExpression **fields, EwhRow *row, JsonbContainer *object, JsonbContainer *sets)
{
	JsonbValue *use = ewh_config_member(object, "use");
	EwhConfigMembers m;

	check_stack_depth();		/* a set may use itself */
	if (use)
	{
		JsonbValue *set = sets && use->type == jbvString ? ewh_config_member(sets, ewh_config_string(use)) : NULL;

		if (set == NULL)
			ewh_config_error("no set of fields \"%s\"", use->type == jbvString ? ewh_config_string(use) : "?");
		compile_fields(fields, row, object_of(set, "sets"), sets);
	}
	ewh_config_begin(&m, object);
	while (ewh_config_next(&m))
	{
		char	   *name = ewh_config_string(&m.key);
		int			field = field_named(name);

		if (field >= 0)
		{
			fields[field] = ewh_expression_compile(&m.value);
			if (ewh_expression_is_amount(fields[field]) && !holds_amount(field))
				ewh_config_error("\"%s\" is no amount", name);
		}
		else if (strcmp(name, "use") == 0)
			continue;
		else if (row && strcmp(name, "state") == 0)
			row->state = m.value.type == jbvNull ? NULL : known_state(&m.value);
		else if (row && strcmp(name, "fact") == 0 && m.value.type == jbvString)
			row->fact = ewh_config_string(&m.value);
		else if (row && strcmp(name, "each") == 0)
			row->each = path_of(&m.value, "each");
		else
			ewh_config_error("unknown field \"%s\"", name);
	}
}

static void
compile_reading(EwhMapping *mapping, JsonbContainer *reading, JsonbContainer *sets)
{
	JsonbValue *type = ewh_config_member(reading, "type");
	JsonbValue *zone = ewh_config_member(reading, "zone");
	JsonbValue *thin = ewh_config_member(reading, "thin");
	JsonbValue *fields = ewh_config_member(reading, "fields");

	mapping->thin = thin && thin->type == jbvBool && thin->val.boolean;
	mapping->format = known_format(ewh_config_member(reading, "format"));
	mapping->wrappers = compile_wrappers(ewh_config_member(reading, "unwrap"));
	mapping->each = compile_each(ewh_config_member(reading, "each"));
	mapping->type = type ? ewh_expression_compile(type) : NULL;
	mapping->zone = EWH_NO_ZONE;
	if (zone && !(zone->type == jbvString && ewh_zone(ewh_config_string(zone), &mapping->zone)))
		ewh_config_error("\"zone\" is an offset like +08:00");
	compile_amounts(mapping, ewh_config_member(reading, "amounts"));
	if (fields)
		compile_fields(mapping->fields, NULL, object_of(fields, "fields"), sets);
}

static EwhRow *
compile_row(const EwhMapping *mapping, JsonbContainer *object, JsonbContainer *sets)
{
	EwhRow	   *row = palloc0(sizeof(EwhRow));
	JsonbValue *match = ewh_config_member(object, "match");
	JsonbValue *kind = ewh_config_member(object, "kind");
	JsonbValue *fields = ewh_config_member(object, "fields");

	if (kind == NULL || kind->type != jbvString)
		ewh_config_error("an event row needs a kind");
	row->kind = known_kind(ewh_config_string(kind));
	row->fact = "";
	row->ordinal = list_length(mapping->rows);
	memcpy(row->fields, mapping->fields, sizeof(row->fields));
	if (match)
		row->conditions = ewh_conditions_compile(object_of(match, "match"));
	if (fields)
		compile_fields(row->fields, row, object_of(fields, "fields"), sets);
	for (int i = 0; i < EWH_FIELDS; i++)
		row->inherited[i] = row->fields[i] == mapping->fields[i];
	return row;
}

/* The texts a row's type must be one of; NULL where it tests the type otherwise or not at all. */
static const List *
types_of(const EwhRow *row)
{
	ListCell   *lc;

	foreach(lc, row->conditions)
	{
		const EwhCondition *c = lfirst(lc);

		if (c->of == NULL && c->test == EWH_IS_ONE_OF)
			return c->texts;
	}
	return NULL;
}

static bool
names_type(const EwhRow *row, const char *type)
{
	ListCell   *lc;

	foreach(lc, types_of(row))
		if (strcmp(lfirst(lc), type) == 0)
			return true;
	return false;
}

static void
index_type(EwhMapping *mapping, const char *type)
{
	char		key[NAMEDATALEN * 2] = {0};
	EwhTypeRows *entry;
	bool		found;
	ListCell   *lc;

	if (strlen(type) >= sizeof(key))
		ewh_config_error("type \"%s\" is too long", type);
	strlcpy(key, type, sizeof(key));
	entry = hash_search(mapping->by_type, key, HASH_ENTER, &found);
	if (found)
		return;
	entry->rows = NIL;
	foreach(lc, mapping->rows)
	{
		EwhRow	   *row = lfirst(lc);

		if (types_of(row) == NULL || names_type(row, type))
			entry->rows = lappend(entry->rows, row);
	}
}

static void
index_rows(EwhMapping *mapping)
{
	HASHCTL		ctl = {0};
	ListCell   *lc;
	ListCell   *tc;

	ctl.keysize = NAMEDATALEN * 2;
	ctl.entrysize = sizeof(EwhTypeRows);
	ctl.hcxt = CurrentMemoryContext;
	mapping->by_type = hash_create("event rows by type", 64, &ctl, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	foreach(lc, mapping->rows)
	{
		EwhRow	   *row = lfirst(lc);

		if (types_of(row) == NULL)
			mapping->untyped = lappend(mapping->untyped, row);
		foreach(tc, types_of(row))
			index_type(mapping, lfirst(tc));
	}
}

static void
collect_facts(EwhMapping *mapping)
{
	ListCell   *lc;
	ListCell   *fc;

	mapping->facts = list_make1("");
	foreach(lc, mapping->rows)
	{
		const EwhRow *row = lfirst(lc);
		bool		known = false;

		foreach(fc, mapping->facts)
			known |= strcmp(lfirst(fc), row->fact) == 0;
		if (!known)
			mapping->facts = lappend(mapping->facts, (char *) row->fact);
	}
}

/*
 * Compile a provider's reading object and its event rows, an array of {match, kind, fields} in the order they are
 * tried. In CurrentMemoryContext; raises for a mapping that is not well made.
 */
EwhMapping *
ewh_mapping_compile(Jsonb *reading, Jsonb *provider_events)
{
	EwhMapping *mapping = palloc0(sizeof(EwhMapping));
	JsonbContainer *sets = NULL;
	JsonbValue *value;
	EwhConfigMembers m;

	mapping->zone = EWH_NO_ZONE;
	mapping->strings = true;
	if (reading)
	{
		if (!JB_ROOT_IS_OBJECT(reading))
			ewh_config_error("\"reading\" must be an object");
		value = ewh_config_member(&reading->root, "sets");
		if (value)
			sets = object_of(value, "sets");
		compile_reading(mapping, &reading->root, sets);
	}
	if (provider_events)
	{
		if (!JB_ROOT_IS_ARRAY(provider_events))
			ewh_config_error("\"events\" must be a list");
		ewh_config_begin(&m, &provider_events->root);
		while (ewh_config_next(&m))
			mapping->rows = lappend(mapping->rows, compile_row(mapping, object_of(&m.value, "events"), sets));
	}
	collect_facts(mapping);
	index_rows(mapping);
	return mapping;
}
