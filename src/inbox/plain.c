/*
 * plain.c: the short path of settle(): payments that each name one open invoice with enough due, and of which nothing else
 * is known (75_settle_plain says why the result is the same).
 *
 * In C because every payment passes here: one statement pays the invoices, payment.c writes what follows.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "jit/jit.h"
#include "optimizer/cost.h"
#include "storage/proc.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "attempt.h"
#include "compat.h"
#include "inbox/house.h"
#include "inbox/listening.h"
#include "inbox/payment.h"
#include "inbox/strangers.h"
#include "moment.h"
#include "statement.h"

#define NOT_PLAIN MAKE_SQLSTATE('E', 'W', '0', '0', '2')

static bool
equals(const EwhPayment *p, EwhColumn column, const char *expected)
{
	text	   *value;

	if (p->absent[column])
		return false;
	value = DatumGetTextPP(p->said[column]);
	return VARSIZE_ANY_EXHDR(value) == strlen(expected) && memcmp(VARDATA_ANY(value), expected, strlen(expected)) == 0;
}

/* Byte by byte. */
static int
compare_text(const text *a, const text *b)
{
	int			la = VARSIZE_ANY_EXHDR(a);
	int			lb = VARSIZE_ANY_EXHDR(b);
	int			order = memcmp(VARDATA_ANY(a), VARDATA_ANY(b), Min(la, lb));

	return order ? order : la - lb;
}

static bool
same_text(const EwhPayment *p, EwhColumn left, EwhColumn right)
{
	return compare_text(DatumGetTextPP(p->said[left]), DatumGetTextPP(p->said[right])) == 0;
}

/* Below zero, zero, above it. */
static int
sign_of(Datum amount)
{
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp, amount, NumericGetDatum(int64_to_numeric(0))));
}

/* The one reference of a list; NULL where there is none, or there are more. */
static text *
only_reference(Datum list)
{
	ArrayType  *array = DatumGetArrayTypeP(list);
	Datum	   *references;
	bool	   *nulls;
	int			n;

	if (ARR_NDIM(array) != 1 || ARR_DIMS(array)[0] != 1 || ARR_LBOUND(array)[0] != 1)
		return NULL;
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &references, &nulls, &n);
	return nulls[0] ? NULL : DatumGetTextPP(references[0]);
}

/* May a payment go the short path, as far as its event says itself? */
static bool
is_plain(const EwhPayment *p)
{
	const bool *absent = p->absent;

	return equals(p, EWH_KIND, "payment.succeeded") && equals(p, EWH_STATE, "applied") &&
		!absent[EWH_AMOUNT] && sign_of(p->said[EWH_AMOUNT]) > 0 && !absent[EWH_CURRENCY] &&
		(absent[EWH_FEE] || sign_of(p->said[EWH_FEE]) >= 0) &&
		!absent[EWH_OBJECT_REF] &&
		(absent[EWH_PAYMENT_REF] || same_text(p, EWH_PAYMENT_REF, EWH_OBJECT_REF)) &&
		absent[EWH_SUBSCRIPTION_REF] &&
		p->number && absent[EWH_CORRELATION_AMOUNTS] &&
		!equals(p, EWH_ORIGIN, "person");
}

static void
take_event(EwhPayment *p, Datum event)
{
	ewh_take_composite(event, p->said, p->absent, EWH_COLUMNS);
	p->number = p->absent[EWH_CORRELATION] ? NULL : only_reference(p->said[EWH_CORRELATION]);
}

PG_FUNCTION_INFO_V1(erp_webhook_is_plain);
/* is_plain(e event) RETURNS boolean */
Datum
erp_webhook_is_plain(PG_FUNCTION_ARGS)
{
	EwhPayment	p;

	take_event(&p, PG_GETARG_DATUM(0));
	PG_RETURN_BOOL(is_plain(&p));
}

static void
take_day(HeapTuple row, TupleDesc desc, void *arg)
{
	bool		isnull;

	*(Datum *) arg = heap_getattr(row, 1, desc, &isnull);
}

/* The day of a moment where the company is: day_of(), asked only where it has moved between time zones. */
static Datum
day_of(const EwhHouse *house, Datum at)
{
	Datum		args[] = {Int32GetDatum(house->company_id), at};
	Datum		day;

	if (house->time_zones <= 1)
		return DirectFunctionCall1(timestamp_date, DirectFunctionCall2(timestamptz_zone, house->time_zone, at));
	ewh_statement_run(EWH_DAY_OF, args, NULL, take_day, &day);
	return day;
}

/* What follows from the event and the company's policies. */
static void
complete(EwhPayment *p, const EwhHouse *house)
{
	Datum		told = p->said[p->absent[EWH_SIGNED_AT] ? EWH_RECEIVED_AT : EWH_SIGNED_AT];

	if (p->absent[EWH_OCCURRED_AT])
	{
		p->moment = TimestampTzGetDatum(ewh_undated(DatumGetTimestampTz(told)));
		p->day = day_of(house, told);
	}
	else
	{
		p->moment = p->said[EWH_OCCURRED_AT];
		p->day = day_of(house, p->moment);
	}
	p->booked_on = DateADTGetDatum(Max(DatumGetDateADT(p->day), house->first_open_day));
	if (!ewh_house_clearing(house, DatumGetInt32(p->said[EWH_SOURCE_ID]), &p->clearing))
		ereport(ERROR, (errcode(NOT_PLAIN), errmsg("a payment of an unknown source")));
	p->has_fee = !p->absent[EWH_FEE] && sign_of(p->said[EWH_FEE]) > 0;
	p->fee_currency = p->said[p->absent[EWH_FEE_CURRENCY] ? EWH_CURRENCY : EWH_FEE_CURRENCY];
}

/* In the order of the numbers of their invoices, byte by byte: the order in which everybody locks invoices. */
static int
by_number(const void *left, const void *right)
{
	return compare_text(((const EwhPayment *) left)->number, ((const EwhPayment *) right)->number);
}

/* In the order of their keys: two batches that hold the same payments wait for each other at the first. */
static int
by_key(const void *left, const void *right)
{
	const EwhPayment *a = left;
	const EwhPayment *b = right;
	int32		sa = DatumGetInt32(a->said[EWH_SOURCE_ID]);
	int32		sb = DatumGetInt32(b->said[EWH_SOURCE_ID]);

	if (sa != sb)
		return sa < sb ? -1 : 1;
	return compare_text(DatumGetTextPP(a->said[EWH_OBJECT_REF]), DatumGetTextPP(b->said[EWH_OBJECT_REF]));
}

static void
take_paid(HeapTuple row, TupleDesc desc, void *arg)
{
	EwhPayment *payments = arg;
	bool		isnull;

	payments[DatumGetInt64(heap_getattr(row, 1, desc, &isnull)) - 1].invoice_id =
		DatumGetInt64(heap_getattr(row, 2, desc, &isnull));
}

static Datum
array_of(Datum *values, int n, Oid type)
{
	return PointerGetDatum(construct_array(values, n, type, -1, false, TYPALIGN_INT));
}

/* Pay the invoices, in the order given; true if every payment found its own. */
static bool
pay_invoices(EwhPayment *payments, int n, const EwhHouse *house)
{
	Datum	   *numbers = palloc(sizeof(Datum) * n);
	Datum	   *currencies = palloc(sizeof(Datum) * n);
	Datum	   *amounts = palloc(sizeof(Datum) * n);
	Datum		args[] = {Int32GetDatum(house->company_id), 0, 0, 0, house->row, house->tolerance};
	const char *nulls = house->has_tolerance ? NULL : "     n";

	for (int i = 0; i < n; i++)
	{
		numbers[i] = PointerGetDatum(payments[i].number);
		currencies[i] = payments[i].said[EWH_CURRENCY];
		amounts[i] = payments[i].said[EWH_AMOUNT];
	}
	args[1] = n == 1 ? numbers[0] : array_of(numbers, n, TEXTOID);
	args[2] = n == 1 ? currencies[0] : array_of(currencies, n, TEXTOID);
	args[3] = n == 1 ? amounts[0] : array_of(amounts, n, NUMERICOID);
	return ewh_statement_run(n == 1 ? EWH_PAY_INVOICE : EWH_PAY_INVOICES, args, nulls, take_paid, payments) == n;
}

/* The events as payments; NULL if one of them is not plain. */
static EwhPayment *
take_payments(const Datum *events, int n)
{
	EwhPayment *payments = palloc0(sizeof(EwhPayment) * Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		take_event(&payments[i], events[i]);
		if (!is_plain(&payments[i]))
			return NULL;
	}
	return payments;
}

typedef struct Lot
{
	EwhPayment *payments;
	int			n;
	const EwhHouse *house;
} Lot;

static void
settle(void *arg)
{
	const Lot  *lot = arg;

	for (int i = 0; i < lot->n; i++)
		complete(&lot->payments[i], lot->house);
	qsort(lot->payments, lot->n, sizeof(EwhPayment), by_number);
	if (!pay_invoices(lot->payments, lot->n, lot->house))
		ereport(ERROR, (errcode(NOT_PLAIN), errmsg("not all are plain")));
	qsort(lot->payments, lot->n, sizeof(EwhPayment), by_key);
	ewh_post_payments(lot->payments, lot->n);
}

PG_FUNCTION_INFO_V1(erp_webhook_settle_plain);
/* settle_plain(company_id int, events event[]) RETURNS int */
Datum
erp_webhook_settle_plain(PG_FUNCTION_ARGS)
{
	EwhHouse	house = ewh_house_of(PG_GETARG_INT32(0));
	ArrayType  *given = PG_GETARG_ARRAYTYPE_P(1);
	Lot			lot = {.house = &house};
	Datum	   *events;

	deconstruct_array(given, ARR_ELEMTYPE(given), -1, false, TYPALIGN_DOUBLE, &events, NULL, &lot.n);
	lot.payments = take_payments(events, lot.n);
	if (lot.payments == NULL)
		PG_RETURN_NULL();
	settle(&lot);
	PG_RETURN_INT32(lot.n);
}

/* What settle() and settle_plain() set. */
typedef struct Settings
{
	int			lock_timeout;	/* ms; see 74_scope */
	bool		seqscan;
	bool		hashjoin;
	bool		mergejoin;
	bool		jit;
} Settings;

static const Settings ours = {.lock_timeout = 800};

static Settings
exchange_settings(Settings to)
{
	Settings	from = {LockTimeout, enable_seqscan, enable_hashjoin, enable_mergejoin, jit_enabled};

	LockTimeout = to.lock_timeout;
	enable_seqscan = to.seqscan;
	enable_hashjoin = to.hashjoin;
	enable_mergejoin = to.mergejoin;
	jit_enabled = to.jit;
	return from;
}

/* The same in the server's own way; returns the GUC level to leave. */
static int
set_settings(void)
{
	static const char *const settings[][2] = {
		{"lock_timeout", "800ms"}, {"enable_seqscan", "off"}, {"enable_hashjoin", "off"}, {"enable_mergejoin", "off"}, {"jit", "off"}
	};
	int			level = NewGUCNestLevel();

	for (int i = 0; i < lengthof(settings); i++)
		set_config_option(settings[i][0], settings[i][1], PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return level;
}

/*
 * Try to settle under these settings. By hand, for up to 15 the server walks over all of its settings at the end of each
 * function and subtransaction that has set one, which took a tenth of a lone payment's time; in its own way where somebody's
 * triggers are fired, which may set some of them, too, and would put back ours at COMMIT.
 */
static ErrorData *
attempt(Lot *lot)
{
	bool		by_hand = !ewh_has_strangers();
	Settings	theirs = {0};
	int			level = 0;
	ErrorData  *volatile error = NULL;

	ewh_settling = true;
	if (by_hand)
		theirs = exchange_settings(ours);
	else
		level = set_settings();
	PG_TRY();
	{
		error = ewh_attempt(settle, lot);
	}
	PG_FINALLY();
	{
		if (by_hand)
			exchange_settings(theirs);
		ewh_settling = false;
	}
	PG_END_TRY();
	if (!by_hand)
		AtEOXact_GUC(true, level);
	return error;
}

/* Errors by which the short path says that it is not the way. */
static bool
leads_elsewhere(int sqlstate)
{
	return sqlstate == NOT_PLAIN ||
		sqlstate == ERRCODE_UNIQUE_VIOLATION ||			/* something else is known of a payment */
		sqlstate == ERRCODE_LOCK_NOT_AVAILABLE || sqlstate == ERRCODE_T_R_DEADLOCK_DETECTED;
}

/*
 * Settle new events, whose policies are locked, the short way, if they may all go it: false if not, and then nothing is
 * done. What settle() does first, for the owner of the tables.
 */
bool
ewh_settle_plain(const EwhHouse *house, const Datum *events, int n)
{
	Lot			lot = {take_payments(events, n), n, house};
	ErrorData  *error;

	if (lot.payments == NULL)
		return false;
	error = attempt(&lot);
	if (error && !leads_elsewhere(error->sqlerrcode))
		ReThrowError(error);
	return error == NULL;
}
