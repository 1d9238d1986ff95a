/*
 * record.c: what genuine requests say becomes rows: events, the bodies that brought them, contradictions.
 *
 * The one fact to know: the unique key (company_id, source_id, external_id) decides what is new, in the INSERT itself;
 * nothing is looked up first. Keys are inserted in sorted order, so that two batches that hold the same events wait for
 * each other and never for each other in turn. A body is stored after its events, and only if one of them was new or
 * contradicts what is known: a repetition writes nothing.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "attempt.h"
#include "inbox/batch.h"
#include "inbox/deferred.h"
#include "statement.h"
#include "trouble.h"

/* The facts of a batch, sorted by key. Of those that share one only the first is inserted. */
typedef struct Record
{
	EwhJudgement *judgements;
	int			njudgements;
	EwhFact   **facts;			/* all */
	int			nfacts;
	EwhFact   **keys;			/* one for each key */
	int			nkeys;
} Record;

/* HTTP 200 means durable: a role or session that lowered synchronous_commit does not lower it for us. */
static void
be_durable(void)
{
	if (synchronous_commit < SYNCHRONOUS_COMMIT_REMOTE_FLUSH)
		set_config_option("synchronous_commit", "on", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
}

static int
compare_keys(const EwhFact *a, const EwhFact *b)
{
	int			order;

	if (a->company_id != b->company_id)
		return a->company_id < b->company_id ? -1 : 1;
	if (a->source_id != b->source_id)
		return a->source_id < b->source_id ? -1 : 1;
	order = memcmp(a->external_id, b->external_id, Min(a->external_id_len, b->external_id_len));
	if (order == 0 && a->external_id_len != b->external_id_len)
		order = a->external_id_len < b->external_id_len ? -1 : 1;
	return order;
}

/* By key; of one key the first to arrive is first. */
static int
compare_facts(const void *left, const void *right)
{
	const EwhFact *a = *(EwhFact *const *) left;
	const EwhFact *b = *(EwhFact *const *) right;
	int			order = compare_keys(a, b);

	if (order == 0)
		order = a->request != b->request ? a->request - b->request : a->position - b->position;
	return order;
}

/* Give every kept request its delivery id, and line its facts up by key. */
static void
collect_facts(Record *record)
{
	Oid			sequence = get_relname_relid("delivery_id", get_namespace_oid("erp_webhook", false));
	int			total = 0;

	for (int i = 0; i < record->njudgements; i++)
		total += record->judgements[i].nfacts;
	record->facts = palloc(sizeof(EwhFact *) * Max(total, 1));
	record->keys = palloc(sizeof(EwhFact *) * Max(total, 1));
	for (int i = 0; i < record->njudgements; i++)
	{
		EwhJudgement *j = &record->judgements[i];

		if (j->nfacts > 0)
			j->delivery_id = nextval_internal(sequence, false);
		for (int k = 0; k < j->nfacts; k++)
		{
			j->facts[k].request = i;
			ewh_fact_delivery(&j->facts[k], j->delivery_id);
			record->facts[record->nfacts++] = &j->facts[k];
		}
	}
	qsort(record->facts, record->nfacts, sizeof(EwhFact *), compare_facts);
	for (int i = 0; i < record->nfacts; i++)
	{
		EwhFact    *last = record->nkeys ? record->keys[record->nkeys - 1] : NULL;

		if (last && compare_keys(last, record->facts[i]) == 0)
			continue;
		record->keys[record->nkeys++] = record->facts[i];
	}
}

/* Insert events; the trigger on the table settles those that are facts. */
static void
insert_events(EwhFact **facts, int n)
{
	Oid			sequence = get_relname_relid("event_event_id_seq", get_namespace_oid("erp_webhook", false));
	EwhRows		rows = ewh_event_rows(n);

	for (int i = 0; i < n; i++)
	{
		facts[i]->event_id = nextval_internal(sequence, false);
		ewh_add_event_row(&rows, facts[i]);
	}
	ewh_rows_insert(&rows);
	for (int i = 0; i < n; i++)
	{
		facts[i]->fresh = rows.inserted[i];
		if (!facts[i]->fresh)
			facts[i]->event_id = 0;
	}
}

/* Errors that say nothing about the event: the whole transaction fails, and the sender comes again. */
static bool
is_never_caught(int sqlstate)
{
	int			class = ERRCODE_TO_CATEGORY(sqlstate);

	return ewh_is_server_trouble(sqlstate) ||
		class == ERRCODE_TRANSACTION_ROLLBACK ||		/* 40 */
		class == ERRCODE_SYSTEM_ERROR ||				/* 58 */
		class == ERRCODE_INTERNAL_ERROR ||				/* XX */
		sqlstate == ERRCODE_LOCK_NOT_AVAILABLE;			/* 55P03 */
}

typedef struct Lot
{
	EwhFact   **facts;
	int			n;
} Lot;

static void
insert_lot(void *arg)
{
	const Lot  *lot = arg;

	insert_events(lot->facts, lot->n);
	/* Now, so that nothing of this batch, ours or the ERP's, first fails at COMMIT. */
	ewh_fire_deferred();
}

/* Insert and settle these. NULL, or the error that undid them. */
static ErrorData *
attempt(EwhFact **facts, int n)
{
	Lot			lot = {facts, n};
	ErrorData  *error = ewh_attempt(insert_lot, &lot);

	/* Only here: an error that left an open subtransaction behind would abort that alone. */
	if (error && is_never_caught(error->sqlerrcode))
		ReThrowError(error);
	return error;
}

/* Store an event that cannot be settled as failed: it is no fact, so nothing is settled and nothing of it can fail. */
static void
insert_failed(EwhFact *fact, const ErrorData *error)
{
	ewh_fact_failed(fact, unpack_sql_state(error->sqlerrcode), error->message);
	insert_events(&fact, 1);
	ereport(LOG,
			(errcode(error->sqlerrcode),
			 errmsg("erp_webhook: event %s of source %d failed: %s", fact->external_id, fact->source_id, error->message)));
}

/* Insert and settle: all at once; where that fails, each half; one that fails alone is the poisonous one. */
static void
record_events(EwhFact **facts, int n)
{
	ErrorData  *error = attempt(facts, n);

	if (error == NULL)
		return;
	for (int i = 0; i < n; i++)
	{
		facts[i]->event_id = 0;
		facts[i]->fresh = false;
	}
	if (n == 1)
		insert_failed(facts[0], error);
	else
	{
		record_events(facts, n / 2);
		record_events(facts + n / 2, n - n / 2);
	}
	FreeErrorData(error);
}

/*
 * An ERP may refuse any event for reasons of its own, and says so per document: events of a bound company go one by one
 * from the start, the others together.
 */
static void
record_keys(Record *record)
{
	int			together = 0;	/* the first of those not recorded yet */

	for (int i = 0; i < record->nkeys; i++)
	{
		if (!record->judgements[record->keys[i]->request].source->bound)
			continue;
		if (together < i)
			record_events(record->keys + together, i - together);
		record_events(record->keys + i, 1);
		together = i + 1;
	}
	if (together < record->nkeys)
		record_events(record->keys + together, record->nkeys - together);
}

static bool
same_digest(const EwhFact *fact, Datum known)
{
	bytea	   *ours = DatumGetByteaPP(fact->values[EWH_DIGEST]);
	bytea	   *theirs = DatumGetByteaPP(known);

	return VARSIZE_ANY_EXHDR(ours) == VARSIZE_ANY_EXHDR(theirs) &&
		memcmp(VARDATA_ANY(ours), VARDATA_ANY(theirs), VARSIZE_ANY_EXHDR(ours)) == 0;
}

/* One row of find_events. An event entered by other ways may have no digest: then it contradicts nothing. */
static void
take_known(HeapTuple row, TupleDesc desc, void *arg)
{
	EwhFact   **sought = arg;
	bool		isnull;
	EwhFact    *fact = sought[DatumGetInt64(heap_getattr(row, 1, desc, &isnull)) - 1];
	Datum		digest;

	fact->event_id = DatumGetInt64(heap_getattr(row, 2, desc, &isnull));
	digest = heap_getattr(row, 3, desc, &isnull);
	fact->conflicts = !isnull && !same_digest(fact, digest);
}

/* Look up what was there before, in the tables or earlier in this batch: its id, and whether it said the same. */
static void
find_known(Record *record)
{
	EwhFact   **sought = palloc(sizeof(EwhFact *) * record->nfacts);
	Datum	   *columns[3];
	Datum		args[3];
	int			n = 0;

	for (int c = 0; c < 3; c++)
		columns[c] = palloc(sizeof(Datum) * record->nfacts);
	for (int i = 0; i < record->nfacts; i++)
	{
		EwhFact    *fact = record->facts[i];

		if (fact->fresh)
			continue;
		columns[0][n] = fact->values[EWH_COMPANY_ID];
		columns[1][n] = fact->values[EWH_SOURCE_ID];
		columns[2][n] = fact->values[EWH_EXTERNAL_ID];
		sought[n++] = fact;
	}
	if (n == 0)
		return;
	args[0] = PointerGetDatum(construct_array(columns[0], n, INT4OID, sizeof(int32), true, TYPALIGN_INT));
	args[1] = PointerGetDatum(construct_array(columns[1], n, INT4OID, sizeof(int32), true, TYPALIGN_INT));
	args[2] = PointerGetDatum(construct_array(columns[2], n, TEXTOID, -1, false, TYPALIGN_INT));
	ewh_statement_run(EWH_FIND_EVENTS, args, NULL, take_known, sought);
	for (int i = 0; i < n; i++)
		if (sought[i]->event_id == 0)
			elog(ERROR, "event %s is neither new nor known", sought[i]->external_id);
}

typedef struct Conflicts
{
	EwhFact   **facts;
	int			nfacts;
	EwhJudgement *judgements;
} Conflicts;

/* One row of insert_conflicts: a contradiction not seen before; its body is the evidence. */
static void
take_conflict(HeapTuple row, TupleDesc desc, void *arg)
{
	bool		isnull;
	int64		delivery_id = DatumGetInt64(heap_getattr(row, 1, desc, &isnull));
	Conflicts  *conflicts = arg;

	for (int i = 0; i < conflicts->nfacts; i++)
	{
		EwhJudgement *j = &conflicts->judgements[conflicts->facts[i]->request];

		if (j->delivery_id == delivery_id)
			j->keep_body = true;
	}
}

/* Record the contradictions among the facts that were known. */
static void
insert_conflicts(Record *record)
{
	Conflicts	conflicts = {.judgements = record->judgements};
	Datum		rows;

	conflicts.facts = palloc(sizeof(EwhFact *) * record->nfacts);
	for (int i = 0; i < record->nfacts; i++)
		if (record->facts[i]->conflicts)
			conflicts.facts[conflicts.nfacts++] = record->facts[i];
	if (conflicts.nfacts == 0)
		return;
	rows = ewh_conflict_array(conflicts.facts, conflicts.nfacts, record->judgements);
	ewh_statement_run(EWH_INSERT_CONFLICTS, &rows, NULL, take_conflict, &conflicts);
}

/* Keep the bodies that brought something. */
static void
insert_deliveries(Record *record)
{
	EwhJudgement **kept = palloc(sizeof(EwhJudgement *) * record->njudgements);
	int			n = 0;

	for (int i = 0; i < record->nfacts; i++)
		if (record->facts[i]->fresh)
			record->judgements[record->facts[i]->request].keep_body = true;
	for (int i = 0; i < record->njudgements; i++)
		if (record->judgements[i].keep_body)
			kept[n++] = &record->judgements[i];
	ewh_insert_deliveries(kept, n);
}

/* Name the outcome (DESIGN section 5): of several events the first that holds; duplicate only if all are. */
static void
name_outcome(EwhJudgement *j)
{
	static const char *const order[][2] = {
		{"failed", "failed"}, {"waiting", "waiting"}, {"quarantined", "quarantined"}, {"applied", "accepted"},
		{"no_effect", "no_effect"}
	};
	j->outcome = j->nfacts > 0 ? "duplicate" : "no_effect";
	for (int o = 0; o < lengthof(order); o++)
		for (int i = 0; i < j->nfacts; i++)
			if (j->facts[i].fresh && strcmp(j->facts[i].state, order[o][0]) == 0)
			{
				j->outcome = order[o][1];
				j->reason = j->facts[i].reason;
				return;
			}
}

/*
 * Store what the kept requests of a batch say, settle it, and name the outcome of each.
 */
void
ewh_record(EwhJudgement *judgements, int n, TimestampTz now)
{
	Record		record = {.judgements = judgements, .njudgements = n};

	collect_facts(&record);
	if (record.nfacts > 0)
	{
		be_durable();
		record_keys(&record);
		find_known(&record);
		insert_conflicts(&record);
		insert_deliveries(&record);
		ewh_ask_again(record.facts, record.nfacts, now);
	}
	for (int i = 0; i < n; i++)
		if (judgements[i].awaits_key)
		{
			be_durable();
			ewh_await_key(&judgements[i]);
		}
	for (int i = 0; i < n; i++)
		if (judgements[i].outcome == NULL)
			name_outcome(&judgements[i]);
}
