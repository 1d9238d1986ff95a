/*
 * append.c: INSERT INTO a table of ours, past the executor where nobody can tell the difference.
 *
 * The one place that is uglier than it need be, for speed. Six tables get a row or more for every payment, and what the
 * executor sets up and takes down for an INSERT costs several times what the row does: where it does them a lone ingest()
 * takes 1.71 million instructions, where this does 1.25 (callgrind; bench/RESULTS.md). What comes with a row is done here
 * too, in the manner of COPY: constraints, indexes, triggers, transition tables.
 *
 * Kept for that, per backend and until a table or a function changes: CHECK constraints and the predicates of partial
 * indexes, as planned expressions. The server reads them from their text for every statement.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "append.h"
#include "compat.h"
#include "partition.h"
#include "statement.h"

#define KEY_COLUMNS 3
#define ID_COLUMN 2				/* of a table with such a key: what its statement returns */

static const struct
{
	const char *name;
	EwhStatement insert;		/* where the executor is needed: takes an array of rows */
	AttrNumber	key[KEY_COLUMNS];	/* rows that are there already by this unique key are passed over */
}			tables[EWH_TABLES] = {
	[EWH_TABLE_EVENT] = {"event", EWH_INSERT_EVENTS, {1, 3, 4}},	/* company_id, source_id, external_id */
	[EWH_TABLE_DELIVERY] = {"delivery", EWH_INSERT_DELIVERIES},
	[EWH_TABLE_MONEY_OBJECT] = {"money_object", EWH_INSERT_OBJECTS},
	[EWH_TABLE_VOUCHER] = {"voucher", EWH_INSERT_VOUCHERS},
	[EWH_TABLE_ENTRY] = {"entry", EWH_INSERT_ENTRIES},
	[EWH_TABLE_ALLOCATION] = {"allocation", EWH_INSERT_ALLOCATIONS},
};

/* The expressions of a table that every row meets. */
typedef struct Expressions
{
	Oid			relid;			/* invalid: not kept, or no longer */
	bool		whole;			/* no error came between */
	MemoryContext context;
	List	   *indexes;		/* their oids */
	List	   *checks;			/* in the order of the table's constraints; NULL where one is not enforced */
	List	   *predicates;		/* in the order of its indexes; NIL where one holds every row */
} Expressions;

static Expressions kept[EWH_TABLES];

static void
forget_table(Datum arg, Oid relid)
{
	for (int i = 0; i < EWH_TABLES; i++)
		if (relid == InvalidOid || relid == kept[i].relid)
			kept[i].relid = InvalidOid;
}

/* A function may have been inlined in any of them. */
static void
forget_all(Datum arg, int cache, uint32 hash)
{
	forget_table(arg, InvalidOid);
}

static void
hear_of_changes(void)
{
	static bool hearing = false;

	if (hearing)
		return;
	CacheRegisterRelcacheCallback(forget_table, (Datum) 0);
	CacheRegisterSyscacheCallback(PROCOID, forget_all, (Datum) 0);
	hearing = true;
}

/*
 * Are they those of this table and of these indexes? Indexes come and go CONCURRENTLY, past our lock: one that was open a
 * moment ago may be missing now, and the message about it may have come before the expressions were kept.
 */
static bool
fit(const Expressions *e, const ResultRelInfo *target)
{
	if (e->relid != RelationGetRelid(target->ri_RelationDesc) || !e->whole ||
		list_length(e->indexes) != target->ri_NumIndices)
		return false;
	for (int i = 0; i < target->ri_NumIndices; i++)
		if (list_nth_oid(e->indexes, i) != RelationGetRelid(target->ri_IndexRelationDescs[i]))
			return false;
	return true;
}

/* Plan the expressions of a table anew. A change that arrives meanwhile forgets them again. */
static void
keep_expressions(Expressions *e, const ResultRelInfo *target)
{
	Relation	table = target->ri_RelationDesc;
	const TupleConstr *constraints = RelationGetDescr(table)->constr;
	MemoryContext caller;

	hear_of_changes();
	if (e->context)
		MemoryContextReset(e->context);
	else
		e->context = AllocSetContextCreate(TopMemoryContext, "erp_webhook expressions", ALLOCSET_SMALL_SIZES);
	e->indexes = e->checks = e->predicates = NIL;
	e->whole = false;
	e->relid = RelationGetRelid(table);
	caller = MemoryContextSwitchTo(e->context);
	for (int i = 0; constraints && i < constraints->num_check; i++)
	{
		const ConstrCheck *check = &constraints->check[i];

		e->checks = lappend(e->checks, ewh_is_enforced(check) ? expression_planner(stringToNode(check->ccbin)) : NULL);
	}
	for (int i = 0; i < target->ri_NumIndices; i++)
	{
		e->indexes = lappend_oid(e->indexes, RelationGetRelid(target->ri_IndexRelationDescs[i]));
		e->predicates = lappend(e->predicates,
								expression_planner(copyObject((Expr *) target->ri_IndexRelationInfo[i]->ii_Predicate)));
	}
	MemoryContextSwitchTo(caller);
	e->whole = true;
}

/* Give them to what will look for them; else it would read its own. */
static void
hand_expressions(const Expressions *e, ResultRelInfo *target)
{
	ListCell   *cell;

	if (e->checks)
		*ewh_check_states(target) = palloc0(sizeof(ExprState *) * list_length(e->checks));
	foreach(cell, e->checks)
		(*ewh_check_states(target))[foreach_current_index(cell)] = ExecInitExpr(lfirst(cell), NULL);
	foreach(cell, e->predicates)
		target->ri_IndexRelationInfo[foreach_current_index(cell)]->ii_PredicateState = ExecInitQual(lfirst(cell), NULL);
}

/* May we insert, and does nobody want to change or refuse it, or to watch it where the executor says so? */
static bool
is_ours(Relation table)
{
	const TriggerDesc *triggers = table->trigdesc;

	return table->rd_rules == NULL && !table->rd_rel->relispartition &&
		!(triggers && (triggers->trig_insert_before_row || triggers->trig_insert_instead_row)) &&
		pg_class_aclcheck(RelationGetRelid(table), GetUserId(), ACL_INSERT) == ACLCHECK_OK &&
		check_enable_rls(RelationGetRelid(table), InvalidOid, true) != RLS_ENABLED &&
		ExecutorCheckPerms_hook == NULL &&	/* pgaudit, sepgsql */
		!ewh_is_set("citus.shard_count");	/* its tables may lie elsewhere */
}

static bool
is_heap(Relation table)
{
	const TupleConstr *constraints = RelationGetDescr(table)->constr;

	return table->rd_rel->relkind == RELKIND_RELATION && table->rd_rel->relam == HEAP_TABLE_AM_OID &&
		!(constraints && ewh_has_generated(constraints));
}

/* Do the columns of a table begin with these? */
static bool
has_columns(Relation table, const char *const *columns, int ncolumns)
{
	TupleDesc	desc = RelationGetDescr(table);

	for (int i = 0; i < ncolumns; i++)
		if (i >= desc->natts || strcmp(NameStr(TupleDescAttr(desc, i)->attname), columns[i]) != 0)
			return false;
	return true;
}

/* Do columns behind those given want more than a null? */
static bool
has_more_to_fill(Relation table, int ncolumns)
{
	TupleDesc	desc = RelationGetDescr(table);

	for (int i = ncolumns; i < desc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);

		if (!column->attisdropped && (column->atthasdef || column->attidentity || column->attgenerated || column->attnotnull))
			return true;
	}
	return false;
}

/* The rows in slots of a row type that is counted by nobody. */
static TupleTableSlot **
slots_of(const EwhRows *rows, Relation table)
{
	TupleDesc	desc = CreateTupleDescCopy(RelationGetDescr(table));
	TupleTableSlot **slots = palloc(sizeof(TupleTableSlot *) * rows->n);

	for (int i = 0; i < rows->n; i++)
	{
		slots[i] = MakeSingleTupleTableSlot(desc, &TTSOpsHeapTuple);
		slots[i]->tts_tableOid = RelationGetRelid(table);
		ExecStoreHeapTuple(rows->tuples[i], slots[i], false);
	}
	return slots;
}

/* The unique index over the key of a table. */
static List *
index_of_key(EwhTable which, const ResultRelInfo *target)
{
	for (int i = 0; i < target->ri_NumIndices; i++)
	{
		const IndexInfo *info = target->ri_IndexRelationInfo[i];
		Form_pg_index index = target->ri_IndexRelationDescs[i]->rd_index;

		if (info->ii_Unique && index->indisvalid && index->indimmediate && info->ii_Predicate == NIL && info->ii_NumIndexKeyAttrs == KEY_COLUMNS &&
			memcmp(info->ii_IndexAttrNumbers, tables[which].key, sizeof(tables[which].key)) == 0)
			return list_make1_oid(RelationGetRelid(target->ri_IndexRelationDescs[i]));
	}
	elog(ERROR, "erp_webhook.%s has lost its key", tables[which].name);
}

/*
 * INSERT … ON CONFLICT DO NOTHING of one row: look first; and if another came between look and insertion, look again.
 * Deferrable constraints that are to be checked later come back in `deferred`.
 */
static bool
insert_unless_known(ResultRelInfo *target, TupleTableSlot *slot, EState *estate, List *key, List **deferred)
{
	TransactionId xid = GetCurrentTransactionId();
	bool		another;

	do
	{
		ItemPointerData known;
		uint32		token;

		CHECK_FOR_INTERRUPTS();
		another = false;
		if (!ewh_check_index_constraints(target, slot, estate, &known, key))
			return false;
		token = SpeculativeInsertionLockAcquire(xid);
		table_tuple_insert_speculative(target->ri_RelationDesc, slot, GetCurrentCommandId(true), 0, NULL, token);
		*deferred = ewh_insert_index_tuples(target, slot, estate, &another, key);
		table_tuple_complete_speculative(target->ri_RelationDesc, slot, token, !another);
		SpeculativeInsertionLockRelease(xid);
	} while (another);
	return true;
}

/* Those whose key is new, one by one; which those are is noted. */
static void
insert_new(EwhRows *rows, TupleTableSlot **slots, ResultRelInfo *target, EState *estate, TransitionCaptureState *capture)
{
	List	   *key = index_of_key(rows->which, target);

	for (int i = 0; i < rows->n; i++)
	{
		List	   *deferred = NIL;

		rows->inserted[i] = insert_unless_known(target, slots[i], estate, key, &deferred);
		if (rows->inserted[i])
			ExecARInsertTriggers(estate, target, slots[i], deferred, capture);
		ResetPerTupleExprContext(estate);
	}
}

/* The tuples of all rows at once, then what belongs to each. */
static void
insert_all(EwhRows *rows, TupleTableSlot **slots, ResultRelInfo *target, EState *estate, TransitionCaptureState *capture)
{
	table_multi_insert(target->ri_RelationDesc, slots, rows->n, GetCurrentCommandId(true), 0, NULL);
	for (int i = 0; i < rows->n; i++)
	{
		List	   *deferred = ewh_insert_index_tuples(target, slots[i], estate, NULL, NIL);

		rows->inserted[i] = true;
		ExecARInsertTriggers(estate, target, slots[i], deferred, capture);
		ResetPerTupleExprContext(estate);
	}
}

/* Into the table, or the partition of it: with all that the executor does about an INSERT, in the manner of COPY. */
static void
insert_directly(EwhRows *rows, Relation table)
{
	EState	   *estate = CreateExecutorState();
	MemoryContext caller = MemoryContextSwitchTo(estate->es_query_cxt);
	ResultRelInfo *target = makeNode(ResultRelInfo);
	bool		passes_over = tables[rows->which].key[0] != 0;
	Expressions *expressions = &kept[rows->which];
	TupleTableSlot **slots = slots_of(rows, table);
	TransitionCaptureState *capture;

	InitResultRelInfo(target, table, 0, NULL, 0);
	AfterTriggerBeginQuery();
	capture = MakeTransitionCaptureState(target->ri_TrigDesc, RelationGetRelid(table), CMD_INSERT);
	ExecBSInsertTriggers(estate, target);

	ExecOpenIndices(target, passes_over);
	if (!fit(expressions, target))
		keep_expressions(expressions, target);
	hand_expressions(expressions, target);
	if (RelationGetDescr(table)->constr)
		for (int i = 0; i < rows->n; i++)
			ExecConstraints(target, slots[i], estate);
	if (passes_over)
		insert_new(rows, slots, target, estate, capture);
	else
		insert_all(rows, slots, target, estate, capture);
	ExecASInsertTriggers(estate, target, capture);
	AfterTriggerEndQuery(estate);

	ExecResetTupleTable(estate->es_tupleTable, false);
	ExecCloseIndices(target);
	ExecCloseResultRelations(estate);
	MemoryContextSwitchTo(caller);
	FreeExecutorState(estate);
	CommandCounterIncrement();
}

typedef struct Returned
{
	EwhRows    *rows;
	int			next;			/* rows come back in the order in which they went */
} Returned;

static int64
id_of(HeapTuple tuple, int column, TupleDesc desc)
{
	bool		isnull;

	return DatumGetInt64(heap_getattr(tuple, column, desc, &isnull));
}

/* The id of a row that was inserted; those before it were known. */
static void
take_inserted(HeapTuple row, TupleDesc desc, void *arg)
{
	Returned   *returned = arg;
	EwhRows    *rows = returned->rows;
	int64		id = id_of(row, 1, desc);

	while (returned->next < rows->n && id_of(rows->tuples[returned->next], ID_COLUMN, RelationGetDescr(rows->table)) != id)
		returned->next++;
	if (returned->next == rows->n)
		elog(ERROR, "a row came back that was not sent");
	rows->inserted[returned->next++] = true;
}

static void
insert_by_statement(EwhRows *rows)
{
	bool		passes_over = tables[rows->which].key[0] != 0;
	Datum	   *values = palloc(sizeof(Datum) * rows->n);
	Returned	returned = {rows};
	Datum		array;

	for (int i = 0; i < rows->n; i++)
		values[i] = HeapTupleGetDatum(rows->tuples[i]);
	array = PointerGetDatum(construct_array(values, rows->n, rows->table->rd_rel->reltype, -1, false, TYPALIGN_DOUBLE));
	memset(rows->inserted, !passes_over, rows->n);
	ewh_statement_run(tables[rows->which].insert, &array, NULL, passes_over ? take_inserted : NULL, &returned);
}

/*
 * Begin rows of a table, `max` at most. Its first columns must be the ones named: an upgrade only adds behind them.
 */
EwhRows
ewh_rows_begin(EwhTable which, const char *const *columns, int ncolumns, int max)
{
	EwhRows		rows = {.which = which, .ncolumns = ncolumns};

	rows.table = table_open(get_relname_relid(tables[which].name, get_namespace_oid("erp_webhook", false)), RowExclusiveLock);
	rows.tuples = palloc(sizeof(HeapTuple) * max);
	rows.inserted = palloc0(max);
	if (!has_columns(rows.table, columns, ncolumns))
		elog(ERROR, "the columns of erp_webhook.%s do not begin with %s, %s …", tables[which].name, columns[0], columns[1]);
	return rows;
}

/* Add a row; columns behind those named are null, or what the table says. */
void
ewh_rows_add(EwhRows *rows, const Datum *values, const bool *nulls)
{
	int			natts = RelationGetNumberOfAttributes(rows->table);
	Datum	   *all = palloc0(sizeof(Datum) * natts);
	bool	   *absent = palloc(natts);

	memset(absent, true, natts);
	memcpy(all, values, sizeof(Datum) * rows->ncolumns);
	memcpy(absent, nulls, rows->ncolumns);
	rows->tuples[rows->n++] = heap_form_tuple(RelationGetDescr(rows->table), all, absent);
}

/* Insert them, in the order in which they were added, and end. */
void
ewh_rows_insert(EwhRows *rows)
{
	Relation	target = NULL;

	if (rows->n > 0 && is_ours(rows->table) && !has_more_to_fill(rows->table, rows->ncolumns))
		target = rows->table->rd_rel->relkind == RELKIND_PARTITIONED_TABLE
			? ewh_common_partition(rows->table, rows->tuples, rows->n) : rows->table;
	if (target && is_heap(target))
		insert_directly(rows, target);
	else if (rows->n > 0)
		insert_by_statement(rows);
	if (target && target != rows->table)
		table_close(target, NoLock);
	table_close(rows->table, NoLock);
}
