/*
 * statement.c: the only room that calls SPI: a table of statements, each prepared once per backend.
 *
 * Plans are kept until the table event has another oid: DROP EXTENSION and CREATE EXTENSION behind a session's back give
 * every type of ours a new one, and a plan made for the old event[] would look for a type that is gone.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "statement.h"

#define MAX_ARGS 6
#define SAFE_PATH "pg_catalog, pg_temp"	/* as our SECURITY DEFINER functions write it */

typedef struct Statement
{
	const char *name;
	const char *sql;
	const char *types[MAX_ARGS];
	bool		reads;			/* runs under the latest snapshot and writes nothing */
	bool		as_owner;		/* of our tables: what it brings is kept for all roles of the session */
	bool		planned_once;	/* the plan depends on no argument: not to be made anew for each */
} Statement;

/* The columns of ours, in the order of each table; behind them may be others. */
#define EVENT_COLUMNS(r) \
	r "company_id, " r "event_id, " r "source_id, " r "external_id, " r "type, " r "kind, " r "state, " \
	r "reason, " r "occurred_at, " r "received_at, " r "signed_at, " r "delivery_id, " r "object_ref, " \
	r "payment_ref, " r "account_ref, " r "subscription_ref, " r "correlation, " r "correlation_amounts, " \
	r "amount, " r "currency, " r "fee, " r "fee_currency, " r "to_amount, " r "to_currency, " r "value_date, " \
	r "attempt, " r "payout_ref, " r "bank_ref, " r "end_to_end_id, " r "digest, " r "origin, " r "attempts, " \
	r "retry_at, " r "sqlstate, " r "error"
#define DELIVERY_COLUMNS(r) \
	r "company_id, " r "delivery_id, " r "received_at, " r "source_id, " r "method, " r "url, " r "headers, " \
	r "body, " r "secret_id, " r "signed_at"
#define OBJECT_COLUMNS(r) \
	r "company_id, " r "source_id, " r "object, " r "object_ref, " r "denomination, " r "payment_ref, " \
	r "currency, " r "amount, " r "succeeded_at, " r "effective, " r "decided_by, " r "reversal, " \
	r "contradicted, " r "debit_side, " r "fee, " r "fee_currency, " r "fee_by, " r "to_amount, " \
	r "to_currency, " r "value_date, " r "payout_ref, " r "bank_ref, " r "end_to_end_id, " r "refs, " \
	r "ref_amounts, " r "account_ref, " r "subscription_ref, " r "facts"
#define VOUCHER_COLUMNS(r) \
	r "company_id, " r "voucher_id, " r "source_id, " r "object, " r "object_ref, " r "step, " r "event_id, " \
	r "booked_on, " r "occurred_on, " r "amount, " r "currency, " r "posted_at, " r "digest"
#define ENTRY_COLUMNS(r) \
	r "company_id, " r "voucher_id, " r "entry_no, " r "debit, " r "credit, " r "amount, " r "currency"
#define ALLOCATION_COLUMNS(r) \
	r "company_id, " r "invoice_id, " r "source_id, " r "object, " r "object_ref, " r "amount"
#define INSERT(table, columns) \
	"INSERT INTO erp_webhook." table " (" columns("") ") SELECT " columns("r.") " FROM pg_catalog.unnest($1) r"

/*
 * Pay an invoice where it has this much due, its state leaves room, and nobody else has a say in it. $5: the company's
 * house, $6: its tolerance.
 */
#define PAY(from, company_id, number, currency, amount, n) \
	"UPDATE erp_webhook.invoice i" \
	" SET paid = pg_catalog.round(i.paid + " amount ", greatest(pg_catalog.min_scale(i.paid + " amount ")," \
	"              CASE i.currency WHEN ($5).currency THEN ($5).digits ELSE erp_webhook.digits_of(i.currency) END))," \
	"     state = CASE WHEN i.due = " amount " THEN 'paid' ELSE 'partial' END" \
	from \
	" WHERE i.company_id = " company_id " AND i.number = " number " AND i.currency = " currency " AND i.due >= " amount \
	"   AND i.state IN ('open', 'partial') AND i.written_off = 0 AND i.subscription_ref IS NULL AND i.erp_key IS NULL" \
	"   AND ($6 IS NULL OR i.due = " amount " OR i.due - " amount " > $6)" \
	" RETURNING " n ", i.invoice_id"

static const Statement statements[EWH_STATEMENTS] = {
	[EWH_CHECK_ACCESS] = {"check_access", "SELECT erp_webhook.check_access($1, $2)", {"int4", "text"}, true},
	[EWH_VISIBLE_COMPANIES] = {"visible_companies", "SELECT pg_catalog.array_agg(company_id) || 0 FROM erp_webhook.company", {NULL}, true},
	[EWH_LOAD_SOURCE] = {"load_source",
		"SELECT s.company_id, s.source_id, s.provider, s.trust, s.active, s.settings,"
		"       erp_webhook.provider_scheme(p.provider), p.response, erp_webhook.provider_reading(p.provider),"
		"       erp_webhook.provider_events(s.provider), coalesce(p.\"fetch\" ? 'keys', false),"
		"       EXISTS (SELECT FROM erp_webhook.binding b WHERE b.company_id = s.company_id)"
		" FROM erp_webhook.source_name n"
		" JOIN erp_webhook.source s ON s.company_id = n.company_id AND s.source_id = n.source_id"
		" LEFT JOIN erp_webhook.provider p ON p.provider = s.provider"
		" WHERE n.name = $1",
		{"text"}, .reads = true, .as_owner = true},
	/*
	 * Newest first: after a rotation nearly every request is signed by the new secret. Keys the worker fetched are public
	 * and not sealed: they have no key_name.
	 */
	[EWH_LOAD_SECRETS] = {"load_secrets",
		"SELECT secret_id, key_id, purpose, sealed, key_name, pg_catalog.lower(valid), pg_catalog.upper(valid)"
		" FROM erp_webhook.secret WHERE company_id = $1 AND source_id = $2"
		" UNION ALL"
		" SELECT 0, key_id, 'verify', pg_catalog.convert_to(key, 'UTF8'), NULL, pg_catalog.lower(valid), pg_catalog.upper(valid)"
		" FROM erp_webhook.fetched_key WHERE company_id = $1 AND source_id = $2"
		" ORDER BY 1 DESC",
		{"int4", "int4"}, .reads = true, .as_owner = true},
	[EWH_FIND_LISTENER] = {"find_listener", "SELECT FROM erp_webhook.subscriber WHERE state = 'active' LIMIT 1",
		{NULL}, .reads = true, .as_owner = true},
	[EWH_READ_HOUSE] = {"read_house", "SELECT erp_webhook.read_house($1)", {"int4"},
		.reads = true, .as_owner = true},
	[EWH_INSERT_EVENTS] = {"insert_events", INSERT("event", EVENT_COLUMNS)
		" ON CONFLICT (company_id, source_id, external_id) DO NOTHING RETURNING event_id",
		{"erp_webhook.event[]"}, .planned_once = true},
	[EWH_SETTLE] = {"settle", "SELECT erp_webhook.settle($1, $2)", {"int4", "erp_webhook.event[]"}, .planned_once = true},
	[EWH_SETTLE_OTHERWISE] = {"settle_otherwise", "SELECT erp_webhook.settle_otherwise($1, $2)",
		{"int4", "erp_webhook.event[]"}, .planned_once = true},
	[EWH_PAY_INVOICE] = {"pay_invoice",
		PAY("", "$1", "$2", "$3", "$4", "1::pg_catalog.int8"),
		{"int4", "text", "text", "numeric", "erp_webhook.house", "numeric"}, .planned_once = true},
	/* Looked up by the company of the row, not by the constant: see keyed(). */
	[EWH_PAY_INVOICES] = {"pay_invoices",
		PAY(" FROM (SELECT $1 AS company_id, u.*"
			"       FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4))"
			"            WITH ORDINALITY u (number, currency, amount, n) OFFSET 0) p",
			"p.company_id", "p.number", "p.currency", "p.amount", "p.n"),
		{"int4", "text[]", "text[]", "numeric[]", "erp_webhook.house", "numeric"}, .planned_once = true},
	[EWH_DAY_OF] = {"day_of", "SELECT erp_webhook.day_of($1, $2)", {"int4", "timestamptz"}, false},
	[EWH_FIND_EVENTS] = {"find_events",
		"SELECT k.n, e.event_id, e.digest"
		" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3))"
		"      WITH ORDINALITY k (company_id, source_id, external_id, n)"
		" JOIN erp_webhook.event e USING (company_id, source_id, external_id)",
		{"int4[]", "int4[]", "text[]"}, false},
	[EWH_INSERT_DELIVERIES] = {"insert_deliveries", INSERT("delivery", DELIVERY_COLUMNS),
		{"erp_webhook.delivery[]"}, .planned_once = true},
	[EWH_INSERT_OBJECTS] = {"insert_objects", INSERT("money_object", OBJECT_COLUMNS),
		{"erp_webhook.money_object[]"}, .planned_once = true},
	[EWH_INSERT_VOUCHERS] = {"insert_vouchers", INSERT("voucher", VOUCHER_COLUMNS),
		{"erp_webhook.voucher[]"}, .planned_once = true},
	[EWH_INSERT_ENTRIES] = {"insert_entries", INSERT("entry", ENTRY_COLUMNS),
		{"erp_webhook.entry[]"}, .planned_once = true},
	[EWH_INSERT_ALLOCATIONS] = {"insert_allocations", INSERT("allocation", ALLOCATION_COLUMNS),
		{"erp_webhook.allocation[]"}, .planned_once = true},
	[EWH_INSERT_CONFLICTS] = {"insert_conflicts",
		"INSERT INTO erp_webhook.event_conflict SELECT c.* FROM pg_catalog.unnest($1) c"
		" ON CONFLICT (company_id, event_id, digest) DO NOTHING RETURNING delivery_id",
		{"erp_webhook.event_conflict[]"}, false},
	[EWH_ASK_AGAIN] = {"ask_again",
		"UPDATE erp_webhook.event e SET state = 'waiting', reason = 'fetch', attempts = 0, retry_at = $3, error = NULL"
		" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) k (company_id, event_id)"
		" WHERE e.company_id = k.company_id AND e.event_id = k.event_id AND e.state IN ('waiting', 'no_effect')",
		{"int4[]", "int8[]", "timestamptz"}, false},
	[EWH_KEEP_UNVERIFIED] = {"keep_unverified", "SELECT erp_webhook.keep_unverified($1, $2, $3, $4, $5, $6)",
		{"int4", "int4", "jsonb", "bytea", "text", "text"}, false},
	/* The worker's: what they do is in schema/85_*.sql and 86_*.sql. Leases are given in milliseconds. */
	[EWH_CLAIM_DISPATCHES] = {"claim_dispatches",
		"SELECT * FROM erp_webhook.claim_dispatches($1, $2 * interval '1 ms')",
		{"int4", "int4"}, false},
	[EWH_RECORD_DISPATCHES] = {"record_dispatches",
		"SELECT erp_webhook.record_dispatches($1)",
		{"jsonb"}, false},
	[EWH_CLAIM_CALLS] = {"claim_calls",
		"SELECT * FROM erp_webhook.claim_calls($1, $2 * interval '1 ms')",
		{"int4", "int4"}, false},
	[EWH_RECORD_CALL] = {"record_call",
		"SELECT erp_webhook.record_call($1, $2)",
		{"jsonb", "bytea"}, false},
	[EWH_DO_CHORES] = {"do_chores",
		"SELECT erp_webhook.do_chores($1)",
		{"bool"}, false},
};

static SPIPlanPtr plans[EWH_STATEMENTS];
static Oid	planned_for = InvalidOid;	/* erp_webhook.event, when the plans were made */

/* Forget all plans if the extension was made anew since they were prepared. */
static void
check_plans(void)
{
	Oid			event = get_relname_relid("event", get_namespace_oid("erp_webhook", false));

	if (event == planned_for)
		return;
	for (int i = 0; i < EWH_STATEMENTS; i++)
		if (plans[i])
		{
			SPI_freeplan(plans[i]);
			plans[i] = NULL;
		}
	planned_for = event;
}

/* Has a rule left nothing of it? Then the server no longer knows the table by which it would see that the rule is gone. */
static bool
is_void(SPIPlanPtr plan)
{
	const CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(plan));

	return source->query_list == NIL;
}

/* The plan of a statement, prepared at first use. */
static SPIPlanPtr
plan_of(EwhStatement which)
{
	const Statement *s = &statements[which];
	Oid			types[MAX_ARGS];
	int			nargs = 0;
	SPIPlanPtr	plan;

	if (plans[which] && !is_void(plans[which]))
		return plans[which];
	if (plans[which])
		SPI_freeplan(plans[which]);
	plans[which] = NULL;
	for (; nargs < MAX_ARGS && s->types[nargs]; nargs++)
		types[nargs] = DatumGetObjectId(DirectFunctionCall1(regtypein, CStringGetDatum(s->types[nargs])));
	plan = SPI_prepare_cursor(s->sql, nargs, types, s->planned_once ? CURSOR_OPT_GENERIC_PLAN : 0);
	if (plan == NULL || SPI_keepplan(plan) != 0)
		elog(ERROR, "could not prepare statement %s: %s", s->name, SPI_result_code_string(SPI_result));
	plans[which] = plan;
	return plan;
}

/*
 * Leave the caller's search path until the GUC level returned is left: verify(), sign() and preview() read as the owner,
 * and an operator of the caller's must not be what they meet there. Inside ingest(), which has left it already, 0.
 */
static int
leave_search_path(void)
{
	int			level;

	if (strcmp(namespace_search_path, SAFE_PATH) == 0)
		return 0;
	level = NewGUCNestLevel();
	(void) set_config_option("search_path", SAFE_PATH, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return level;
}

static Oid
owner_of(Oid relid)
{
	HeapTuple	row = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(row))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	owner = ((Form_pg_class) GETSTRUCT(row))->relowner;
	ReleaseSysCache(row);
	return owner;
}

/* Execute under a snapshot of its own if the statement only reads, so that what was committed just now is seen. */
static void
execute(EwhStatement which, Datum *args, const char *nulls)
{
	int			level = leave_search_path();
	SPIPlanPtr	plan = plan_of(which);
	int			result;
	Oid			user;
	int			security;

	GetUserIdAndSecContext(&user, &security);
	if (statements[which].as_owner)
		SetUserIdAndSecContext(owner_of(planned_for), security | SECURITY_LOCAL_USERID_CHANGE);
	if (statements[which].reads)
		PushActiveSnapshot(GetLatestSnapshot());
	result = SPI_execute_plan(plan, args, nulls, statements[which].reads, 0);
	if (statements[which].reads)
		PopActiveSnapshot();
	if (statements[which].as_owner)
		SetUserIdAndSecContext(user, security);
	if (result < 0)
		elog(ERROR, "statement %s failed: %s", statements[which].name, SPI_result_code_string(result));
	if (level > 0)
		AtEOXact_GUC(true, level);
}

/*
 * Run a statement and hand each row of its result to `row`. Returns the number of rows processed.
 */
uint64
ewh_statement_run(EwhStatement which, Datum *args, const char *nulls, EwhRow row, void *arg)
{
	MemoryContext caller = CurrentMemoryContext;
	uint64		processed;

	check_plans();
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	execute(which, args, nulls);
	processed = SPI_processed;
	if (row && SPI_tuptable)
	{
		SPITupleTable *table = SPI_tuptable;
		MemoryContext spi = MemoryContextSwitchTo(caller);

		for (uint64 i = 0; i < table->numvals; i++)
			row(table->vals[i], table->tupdesc, arg);
		MemoryContextSwitchTo(spi);
	}
	SPI_finish();
	return processed;
}

/* A procedure that commits begins; until it ends, its memory is kept across its transactions. */
void
ewh_statement_begin_procedure(void)
{
	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
}

/* Commit, and go on in a new transaction. */
void
ewh_statement_commit(void)
{
	SPI_commit();
}

void
ewh_statement_end_procedure(void)
{
	SPI_finish();
}

/* A column (from 1) as text copied into the current context; NULL if it is null. */
char *
ewh_row_text(HeapTuple row, TupleDesc desc, int column)
{
	bool		isnull;
	Datum		value = heap_getattr(row, column, desc, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/* A column (from 1) copied into the current context. */
Datum
ewh_row_datum(HeapTuple row, TupleDesc desc, int column, bool *isnull)
{
	Form_pg_attribute attribute = TupleDescAttr(desc, column - 1);
	Datum		value = heap_getattr(row, column, desc, isnull);

	if (*isnull)
		return (Datum) 0;
	if (attribute->attlen == -1)
		return PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
	return datumCopy(value, attribute->attbyval, attribute->attlen);
}
