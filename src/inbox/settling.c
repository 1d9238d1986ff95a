/*
 * settling.c: the trigger on event: hands new facts to settle(), company by company, and nothing else.
 *
 * In C because every ingest() passes here: as a query over the transition table it took a seventeenth of a lone one.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "inbox/batch.h"
#include "inbox/payment.h"
#include "inbox/listening.h"
#include "statement.h"

typedef struct NewFact
{
	int32		company_id;
	int64		event_id;
	Datum		row;
} NewFact;

/* By company, in the order in which they were recorded. */
static int
compare_new(const void *left, const void *right)
{
	const NewFact *a = left;
	const NewFact *b = right;

	if (a->company_id != b->company_id)
		return a->company_id < b->company_id ? -1 : 1;
	return a->event_id < b->event_id ? -1 : a->event_id > b->event_id;
}

static Datum
column(TupleTableSlot *slot, EwhColumn which)
{
	bool		isnull;

	return slot_getattr(slot, which + 1, &isnull);
}

static bool
is_applied(TupleTableSlot *slot)
{
	text	   *state = DatumGetTextPP(column(slot, EWH_STATE));

	return VARSIZE_ANY_EXHDR(state) == strlen("applied") && memcmp(VARDATA_ANY(state), "applied", strlen("applied")) == 0;
}

/* The new rows that are facts, sorted. Only an applied event is one. */
static NewFact *
take_facts(TriggerData *trigger, int *n)
{
	Tuplestorestate *rows = trigger->tg_newtable;
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(trigger->tg_relation), &TTSOpsMinimalTuple);
	NewFact    *facts = palloc(sizeof(NewFact) * Max(tuplestore_tuple_count(rows), 1));

	/* A read position of our own: other triggers of the statement read the same rows. */
	tuplestore_select_read_pointer(rows, tuplestore_alloc_read_pointer(rows, EXEC_FLAG_REWIND));
	tuplestore_rescan(rows);
	*n = 0;
	while (tuplestore_gettupleslot(rows, true, false, slot))
	{
		if (!is_applied(slot))
			continue;
		facts[*n].company_id = DatumGetInt32(column(slot, EWH_COMPANY_ID));
		facts[*n].event_id = DatumGetInt64(column(slot, EWH_EVENT_ID));
		facts[(*n)++].row = ExecFetchSlotHeapTupleDatum(slot);
	}
	ExecDropSingleTupleTableSlot(slot);
	qsort(facts, *n, sizeof(NewFact), compare_new);
	return facts;
}

/* As the function of this name: whoever changes a policy waits for us, and we for him. */
static void
keep_policies(int32 company_id)
{
	Oid			policy = get_relname_relid("policy", get_namespace_oid("erp_webhook", false));

	DirectFunctionCall2(pg_advisory_xact_lock_shared_int4, ObjectIdGetDatum(policy), Int32GetDatum(company_id));
}

/*
 * Settle the facts of one company together. What settle() does first is done without calling it, which took a tenth of a
 * lone payment: for what comes through ingest(), as the owner of the tables, and for companies without rules of their own.
 */
static void
settle(NewFact *facts, int n, Relation event)
{
	Datum	   *rows = palloc(sizeof(Datum) * n);
	int32		company_id = facts[0].company_id;
	Datum		args[2] = {Int32GetDatum(company_id)};
	EwhStatement rest = EWH_SETTLE;

	for (int i = 0; i < n; i++)
		rows[i] = facts[i].row;
	if (GetUserId() == event->rd_rel->relowner)
	{
		EwhHouse	house;

		keep_policies(company_id);
		house = ewh_house_of(company_id);
		if (!house.has_rules)
		{
			if (ewh_settle_plain(&house, rows, n))
				return;
			rest = EWH_SETTLE_OTHERWISE;
		}
	}
	args[1] = PointerGetDatum(construct_array(rows, n, event->rd_rel->reltype, -1, false, TYPALIGN_DOUBLE));
	ewh_statement_run(rest, args, NULL, NULL, NULL);
}

PG_FUNCTION_INFO_V1(erp_webhook_settle_new_events);
/* settle_new_events() RETURNS trigger */
Datum
erp_webhook_settle_new_events(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	NewFact    *facts;
	int			n;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event) || trigger->tg_newtable == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("settle_new_events() is a trigger for each statement, with a transition table")));
	if (ewh_is_restoring())
		return PointerGetDatum(NULL);
	facts = take_facts(trigger, &n);
	for (int from = 0, to; from < n; from = to)
	{
		for (to = from + 1; to < n && facts[to].company_id == facts[from].company_id; to++)
			;
		settle(facts + from, to - from, trigger->tg_relation);
	}
	return PointerGetDatum(NULL);
}
