/*
 * fact.c: the fields of one canonical event, and what state they leave it in.
 *
 * State, in this order: content that must not be used or is impossible quarantines; a row may say waiting or
 * no_effect; money without an amount waits where the provider never sends one; zero moves nothing; a source whose
 * bodies are not authenticated waits for confirmation; all else applies.
 */
#include "postgres.h"

#include "compat.h"
#include "decimal.h"
#include "fact.h"
#include "moment.h"

/* What a kind demands of its fields. */
typedef struct KindRule
{
	const char *kind;
	bool		money;			/* books its amount: needs one, and zero is nothing */
	bool		negative;		/* a payout may be taken from the bank */
} KindRule;

static const KindRule kind_rules[] = {
	{"payment.succeeded", true, false}, {"refund.succeeded", true, false}, {"refund.total", true, false},
	{"dispute.withdrawn", true, false}, {"dispute.reinstated", true, false}, {"payout.paid", true, true},
	{"payout.scheduled", false, true}, {"payout.failed", false, true}, {"bank.credit", true, false},
	{"bank.debit", true, false}, {"conversion", true, false},
};

static const KindRule *
kind_rule(const char *kind)
{
	static const KindRule quiet = {NULL, false, false};

	for (int i = 0; i < lengthof(kind_rules); i++)
		if (strcmp(kind_rules[i].kind, kind) == 0)
			return &kind_rules[i];
	return &quiet;
}

static bool
is_other(const EwhEvent *event)
{
	return strcmp(event->kind, "other") == 0;
}

/* Everything one event is read from, and the first reason found against it. */
typedef struct FactReader
{
	const EwhMapping *mapping;
	EwhExpression *const *fields;
	const bool *inherited;		/* NULL where no row holds */
	EwhScopes  *scopes;
	EwhNode		here;
	EwhEvent   *event;
	const KindRule *rule;
	const char *reason;
} FactReader;

static void
refuse(FactReader *r, const char *reason)
{
	if (r->reason == NULL)
		r->reason = reason;
}

/* The scopes to evaluate a field in: fields that a row inherits speak of the item, its own of where it stands. */
static EwhScopes *
scopes_of(FactReader *r, EwhField field)
{
	r->scopes->here = r->inherited && r->inherited[field] ? r->scopes->item : r->here;
	return r->scopes;
}

static char *
read_reference(FactReader *r, EwhField field)
{
	char	   *text = ewh_evaluate_text(scopes_of(r, field), r->fields[field]);

	if (text && strlen(text) > EWH_MAX_REFERENCE)
	{
		refuse(r, "wrong_type");
		return NULL;
	}
	return text;
}

/* Three to ten letters or digits, in upper case; anything else is no currency. */
static char *
read_currency(FactReader *r, EwhField field)
{
	char	   *text = ewh_evaluate_text(scopes_of(r, field), r->fields[field]);
	size_t		len = text ? strlen(text) : 0;

	if (text == NULL)
		return NULL;
	for (size_t i = 0; i < len; i++)
	{
		text[i] = pg_ascii_toupper((unsigned char) text[i]);
		if (!((text[i] >= 'A' && text[i] <= 'Z') || (text[i] >= '0' && text[i] <= '9')))
			len = 0;
	}
	if (len >= 3 && len <= 10)
		return text;
	refuse(r, "wrong_type");
	return NULL;
}

static int
places_in(const List *places, const char *currency, int otherwise)
{
	ListCell   *lc;

	foreach(lc, places)
	{
		const EwhExponent *e = lfirst(lc);

		if (currency && strcmp(e->currency, currency) == 0)
			return e->places;
	}
	return otherwise;
}

static int
digits_of(const EwhMapping *mapping, const char *currency)
{
	return places_in(mapping->digits, currency, currency ? ewh_currency_digits(currency) : 2);
}

static int
shift_of(const EwhMapping *mapping, const EwhExpression *e, const char *currency)
{
	bool		minor = e->unit ? e->unit == 'm' : mapping->minor;

	return minor ? places_in(mapping->exponents, currency, digits_of(mapping, currency)) : 0;
}

static bool
type_allowed(const EwhMapping *mapping, const EwhExpression *e, EwhNodeType type)
{
	if (type == EWH_NUMBER)
		return mapping->numbers || e->number_too;
	return type == EWH_STRING && (mapping->strings || e->number_too);
}

/* One received value as a decimal; NULL, with the reason noted, where it is none. */
static char *
read_decimal(FactReader *r, const EwhExpression *e, EwhValue value, const char *currency)
{
	char	   *decimal = NULL;
	const char *reason;

	if (!type_allowed(r->mapping, e, value.type))
	{
		refuse(r, "wrong_type");
		return NULL;
	}
	reason = ewh_decimal(value.text, shift_of(r->mapping, e, currency), digits_of(r->mapping, currency), &decimal);
	if (reason)
		refuse(r, reason);
	return decimal;
}

static char *
read_sum(FactReader *r, EwhField field, const char *currency)
{
	const EwhExpression *e = r->fields[field];
	char	   *sum = NULL;
	ListCell   *lc;

	foreach(lc, ewh_evaluate_all(scopes_of(r, field), e))
	{
		char	   *decimal = read_decimal(r, e, *(EwhValue *) lfirst(lc), currency);

		if (decimal == NULL)
			return NULL;
		sum = sum ? ewh_decimal_add(sum, decimal) : decimal;
	}
	return sum;
}

static bool
is_derived(const EwhExpression *e)
{
	return e->kind == EWH_DERIVED;
}

/* An amount of a currency; NULL where the body has none or the reason is noted. */
static char *
read_amount(FactReader *r, EwhField field, const char *currency, bool negative)
{
	const EwhExpression *e = r->fields[field];
	char	   *decimal = NULL;
	EwhValue	value;

	if (e == NULL)
		return NULL;
	if (is_derived(e) && e->sum)
		decimal = read_sum(r, field, currency);
	else if ((value = ewh_evaluate(scopes_of(r, field), e)).type != EWH_ABSENT)
		decimal = read_decimal(r, e, value, currency);
	if (decimal == NULL)
		return NULL;
	if (is_derived(e) && e->negate)
		decimal = ewh_decimal_negate(decimal);
	if (is_derived(e) && e->unless_zero && ewh_decimal_is_zero(decimal))
		return NULL;
	if (decimal[0] == '-' && !negative)
	{
		refuse(r, "negative");
		return NULL;
	}
	return decimal;
}

static bool
is_listed(const List *texts, const char *text)
{
	ListCell   *lc;

	foreach(lc, texts)
		if (strcmp(lfirst(lc), text) == 0)
			return true;
	return false;
}

/* Add a reference with the amount given for it (or NULL), unless it is known or too long to be one. */
static void
add_reference(FactReader *r, EwhValue *value, char *amount)
{
	EwhEvent   *event = r->event;
	char	   *text;

	if (value->text.data == NULL || value->text.len > EWH_MAX_REFERENCE)
		return;
	text = pnstrdup(value->text.data, value->text.len);
	if (is_listed(event->correlation, text))
		return;
	if (list_length(event->correlation) == EWH_MAX_REFERENCES)
	{
		refuse(r, "wrong_type");
		return;
	}
	event->correlation = lappend(event->correlation, text);
	event->correlation_amounts = lappend(event->correlation_amounts, amount);
}

/* Take what one pointer of the merchant's own leads to: from the item, or else from the top of the content. */
static void
add_own_references(FactReader *r, const JsonbValue *pointer)
{
	EwhScopes	scopes = *r->scopes;
	EwhExpression *e = NULL;
	List	   *values;
	ListCell   *lc;

	if (pointer->type == jbvString)
		e = ewh_expression_pointer((EwhBytes) {pnstrdup(pointer->val.string.val, pointer->val.string.len),
											   pointer->val.string.len});
	if (e == NULL)
		return;
	scopes.here = r->scopes->item;
	values = ewh_evaluate_all(&scopes, e);
	scopes.here = 0;
	if (values == NIL)
		values = ewh_evaluate_all(&scopes, e);
	foreach(lc, values)
		add_reference(r, lfirst(lc), NULL);
	if (scopes.trouble)
		r->scopes->trouble = scopes.trouble;
}

/* Where this merchant puts its invoice numbers: settings.correlation, a list of pointers or one. */
static void
read_own_correlation(FactReader *r)
{
	Jsonb	   *settings = r->scopes->req->settings;
	JsonbValue *own;

	if (settings == NULL || !JB_ROOT_IS_OBJECT(settings))
		return;
	own = getKeyJsonValueFromContainer(&settings->root, "correlation", strlen("correlation"), NULL);
	if (own == NULL)
		return;
	if (own->type != jbvBinary || !JsonContainerIsArray(own->val.binary.data))
	{
		add_own_references(r, own);
		return;
	}
	for (int i = 0; i < JsonContainerSize(own->val.binary.data); i++)
		add_own_references(r, getIthJsonbValueFromContainer(own->val.binary.data, i));
}

/* The invoices this event speaks of, the merchant's own pointers first, and the amounts it gives for them. */
static void
read_correlation(FactReader *r)
{
	const EwhExpression *amounts = r->fields[EWH_F_CORRELATION_AMOUNTS];
	List	   *given = ewh_evaluate_all(scopes_of(r, EWH_F_CORRELATION), r->fields[EWH_F_CORRELATION]);
	List	   *amount_values = ewh_evaluate_all(scopes_of(r, EWH_F_CORRELATION_AMOUNTS), amounts);
	bool		known = false;
	ListCell   *lc;

	read_own_correlation(r);
	if (amount_values && list_length(amount_values) != list_length(given))
	{
		refuse(r, "missing");
		amount_values = NIL;
	}
	foreach(lc, given)
	{
		char	   *amount = NULL;

		if (amount_values)
		{
			amount = read_decimal(r, amounts, *(EwhValue *) list_nth(amount_values, foreach_current_index(lc)),
								  r->event->currency);
			if (amount && amount[0] == '-')
				refuse(r, "negative");
			known |= amount != NULL;
		}
		add_reference(r, lfirst(lc), amount);
	}
	if (!known)
		r->event->correlation_amounts = NIL;
}

static void
read_times(FactReader *r)
{
	EwhValue	at = ewh_evaluate(scopes_of(r, EWH_F_OCCURRED_AT), r->fields[EWH_F_OCCURRED_AT]);
	EwhValue	day = ewh_evaluate(scopes_of(r, EWH_F_VALUE_DATE), r->fields[EWH_F_VALUE_DATE]);

	if (at.text.data)
		r->event->has_occurred_at = ewh_moment(at.text, r->mapping->zone, &r->event->occurred_at);
	if (day.text.data)
		r->event->value_date = ewh_moment_date(day.text, r->mapping->zone);
}

static void
read_money(FactReader *r)
{
	EwhEvent   *event = r->event;

	event->currency = read_currency(r, EWH_F_CURRENCY);
	event->amount = read_amount(r, EWH_F_AMOUNT, event->currency, r->rule->negative);
	event->fee_currency = read_currency(r, EWH_F_FEE_CURRENCY);
	event->fee = read_amount(r, EWH_F_FEE, event->fee_currency ? event->fee_currency : event->currency, false);
	event->to_currency = read_currency(r, EWH_F_TO_CURRENCY);
	event->to_amount = read_amount(r, EWH_F_TO_AMOUNT, event->to_currency, false);
	if (event->fee == NULL)
		event->fee_currency = NULL;
}

static void
read_references(FactReader *r)
{
	EwhEvent   *event = r->event;

	event->external_id = ewh_evaluate_text(scopes_of(r, EWH_F_EXTERNAL_ID), r->fields[EWH_F_EXTERNAL_ID]);
	event->object_ref = read_reference(r, EWH_F_OBJECT_REF);
	event->payment_ref = read_reference(r, EWH_F_PAYMENT_REF);
	event->account_ref = read_reference(r, EWH_F_ACCOUNT_REF);
	event->subscription_ref = read_reference(r, EWH_F_SUBSCRIPTION_REF);
	event->attempt = read_reference(r, EWH_F_ATTEMPT);
	event->payout_ref = read_reference(r, EWH_F_PAYOUT_REF);
	event->bank_ref = read_reference(r, EWH_F_BANK_REF);
	event->end_to_end_id = read_reference(r, EWH_F_END_TO_END_ID);
}

/* What is missing for this kind; NULL where all is there. */
static const char *
what_is_missing(const FactReader *r)
{
	const EwhEvent *event = r->event;

	if (event->object_ref == NULL)
		return "missing";
	if (!r->rule->money)
		return NULL;
	if (event->amount == NULL || event->currency == NULL)
		return "missing";
	if (strcmp(event->kind, "conversion") == 0 && (event->to_amount == NULL || event->to_currency == NULL))
		return "missing";
	return NULL;
}

static void
set_state(EwhEvent *event, const char *state, const char *reason)
{
	event->state = (char *) state;
	event->reason = (char *) reason;
}

static void
decide_state(FactReader *r, const EwhRow *row, const char *trust)
{
	EwhEvent   *event = r->event;
	const char *row_state = row ? row->state : NULL;

	if (r->scopes->trouble)
		set_state(event, "quarantined", r->scopes->trouble);
	else if (is_other(event))
		set_state(event, row_state ? row_state : "no_effect", row_state ? "fetch" : NULL);
	else if (r->reason)
		set_state(event, "quarantined", r->reason);
	else if (row_state)
		set_state(event, row_state, strcmp(row_state, "waiting") == 0 ? "fetch" : NULL);
	else if (r->rule->money && event->amount == NULL && (r->mapping->thin || r->fields[EWH_F_AMOUNT] == NULL))
		set_state(event, "waiting", "fetch");
	else if (what_is_missing(r))
		set_state(event, "quarantined", what_is_missing(r));
	else if (r->rule->money && ewh_decimal_is_zero(event->amount))
		set_state(event, "no_effect", NULL);
	else if (strcmp(trust, "confirm") == 0)
		set_state(event, "waiting", "confirm");
	else
		set_state(event, "applied", NULL);
}

/*
 * Read the event that a row makes of the item at hand; row NULL: the kind `other` by the mapping's own fields. Its
 * external_id is what the mapping says, or NULL.
 */
EwhEvent *
ewh_fact_read(const EwhMapping *mapping, const EwhRow *row, EwhScopes *scopes, const char *type, const char *trust)
{
	EwhEvent   *event = palloc0(sizeof(EwhEvent));
	FactReader	r = {
		.mapping = mapping, .fields = row ? row->fields : mapping->fields, .inherited = row ? row->inherited : NULL,
		.scopes = scopes, .here = scopes->here, .event = event,
	};

	event->kind = (char *) (row ? row->kind : "other");
	event->type = type ? pstrdup(type) : NULL;
	r.rule = kind_rule(event->kind);
	read_references(&r);
	read_money(&r);
	read_correlation(&r);
	read_times(&r);
	decide_state(&r, row, trust);
	scopes->here = r.here;
	return event;
}
