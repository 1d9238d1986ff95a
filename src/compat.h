/*
 * compat.h: every difference between PostgreSQL 15 and 18 that this project meets.
 *
 * Nothing else in the project asks for PG_VERSION_NUM.
 */
#ifndef EWH_COMPAT_H
#define EWH_COMPAT_H

#include "postgres.h"

/* 16 moved VARSIZE and its kin out of postgres.h. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#include "common/jsonapi.h"
#include "executor/executor.h"
#include "mb/pg_wchar.h"
#include "utils/datetime.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
#include "storage/latch.h"

/* 17 gave wait event sets a resource owner, 18 a header. Ours live for one wait, outside transactions. */
#if PG_VERSION_NUM >= 180000
#include "storage/waiteventset.h"
#endif
#if PG_VERSION_NUM >= 170000
#define ewh_create_wait_event_set(n) CreateWaitEventSet(NULL, n)
#else
#define ewh_create_wait_event_set(n) CreateWaitEventSet(CurrentMemoryContext, n)
#endif

/* A lexer over UTF-8 text that leaves escapes alone; its constructor changed in 17. */
static inline JsonLexContext *
ewh_json_lexer(const char *json, size_t len)
{
#if PG_VERSION_NUM >= 170000
	return makeJsonLexContextCstringLen(NULL, json, len, PG_UTF8, false);
#else
	return makeJsonLexContextCstringLen((char *) json, (int) len, PG_UTF8, false);
#endif
}

/*
 * Index entries of a new row. Where `key` names an index, a row that is there already is not an error but a `conflict`.
 * Returns the indexes whose deferrable constraints are left to check. 16 asks whether only summarizing indexes are meant.
 */
static inline List *
ewh_insert_index_tuples(ResultRelInfo *target, TupleTableSlot *slot, EState *estate, bool *conflict, List *key)
{
#if PG_VERSION_NUM >= 160000
	return ExecInsertIndexTuples(target, slot, estate, false, key != NIL, conflict, key, false);
#else
	return ExecInsertIndexTuples(target, slot, estate, false, key != NIL, conflict, key);
#endif
}

/* Is no row like it there? 18 asks for the row itself, where it is there. */
static inline bool
ewh_check_index_constraints(ResultRelInfo *target, TupleTableSlot *slot, EState *estate, ItemPointer known, List *key)
{
#if PG_VERSION_NUM >= 180000
	ItemPointerData itself;

	ItemPointerSetInvalid(&itself);
	return ExecCheckIndexConstraints(target, slot, estate, known, &itself, key);
#else
	return ExecCheckIndexConstraints(target, slot, estate, known, key);
#endif
}

/* 18 has constraints that are not enforced, and generated columns that are not stored. */
static inline bool
ewh_is_enforced(const ConstrCheck *check)
{
#if PG_VERSION_NUM >= 180000
	return check->ccenforced;
#else
	return true;
#endif
}

static inline bool
ewh_has_generated(const TupleConstr *constraints)
{
#if PG_VERSION_NUM >= 180000
	if (constraints->has_generated_virtual)
		return true;
#endif
	return constraints->has_generated_stored;
}

/* Where the states of CHECK constraints are kept; renamed in 18. */
static inline ExprState ***
ewh_check_states(ResultRelInfo *target)
{
#if PG_VERSION_NUM >= 180000
	return &target->ri_CheckConstraintExprs;
#else
	return &target->ri_ConstraintExprs;
#endif
}

/* Has a setting, which may be of another extension, a value? One that was reset is empty rather than null since 17. */
static inline bool
ewh_is_set(const char *name)
{
	const char *value = GetConfigOption(name, true, false);

	return value && *value;
}

/* Memory for the extra of a setting's check hook, in the allocator the server frees it with. */
static inline void *
ewh_guc_extra(size_t size)
{
#if PG_VERSION_NUM >= 160000
	return guc_malloc(LOG, size);
#else
	return malloc(size);
#endif
}

/* A point in time, read without raising; false for anything else, `infinity` included. */
static inline bool
ewh_read_datetime(const char *text, TimestampTz *at)
{
	char		work[MAXDATELEN + MAXDATEFIELDS];
	char	   *field[MAXDATEFIELDS];
	int			type[MAXDATEFIELDS];
	int			nfields;
	int			kind;
	int			zone;
	fsec_t		fraction;
	struct pg_tm tm;
#if PG_VERSION_NUM >= 160000
	DateTimeErrorExtra extra;
#endif

	if (ParseDateTime(text, work, sizeof(work), field, type, MAXDATEFIELDS, &nfields) != 0)
		return false;
#if PG_VERSION_NUM >= 160000
	if (DecodeDateTime(field, type, nfields, &kind, &tm, &fraction, &zone, &extra) != 0)
		return false;
#else
	if (DecodeDateTime(field, type, nfields, &kind, &tm, &fraction, &zone) != 0)
		return false;
#endif
	return kind == DTK_DATE && tm2timestamp(&tm, fraction, &zone, at) == 0;
}

#endif							/* EWH_COMPAT_H */
