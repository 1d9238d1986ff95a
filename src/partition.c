/*
 * partition.c: where in a partitioned table rows belong, for append.c.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "utils/partcache.h"

#include "partition.h"

static bool
same_columns(TupleDesc a, TupleDesc b)
{
	if (a->natts != b->natts)
		return false;
	for (int i = 0; i < a->natts; i++)
	{
		Form_pg_attribute x = TupleDescAttr(a, i);
		Form_pg_attribute y = TupleDescAttr(b, i);

		if (x->atttypid != y->atttypid || x->attisdropped != y->attisdropped ||
			strcmp(NameStr(x->attname), NameStr(y->attname)) != 0)
			return false;
	}
	return true;
}

/* Of a table by ranges of one column: the partition of a value, and invalid where there is none. */
static Oid
partition_of(Relation table, Datum value)
{
	PartitionKey key = RelationGetPartitionKey(table);
	PartitionDesc partitions = RelationGetPartitionDesc(table, true);
	PartitionBoundInfo bounds = partitions->boundinfo;
	bool		equal;
	int			index;

	if (bounds == NULL)
		return InvalidOid;
	index = bounds->indexes[partition_range_datum_bsearch(key->partsupfunc, key->partcollation, bounds, 1, &value, &equal) + 1];
	if (index < 0)
		index = bounds->default_index;
	return index < 0 ? InvalidOid : partitions->oids[index];
}

/* The partition of all of these rows, and invalid where there is none, or more than one. */
static Oid
common_partition(Relation table, AttrNumber column, const HeapTuple *rows, int n)
{
	Oid			common = InvalidOid;

	for (int i = 0; i < n; i++)
	{
		bool		isnull;
		Datum		value = heap_getattr(rows[i], column, RelationGetDescr(table), &isnull);
		Oid			own = isnull ? InvalidOid : partition_of(table, value);

		if (!OidIsValid(own) || (i > 0 && own != common))
			return InvalidOid;
		common = own;
	}
	return common;
}

/* Triggers that come before a row, or for the statement: the executor fires the latter for the table that is named only. */
static bool
has_triggers(Relation partition)
{
	const TriggerDesc *triggers = partition->trigdesc;

	return triggers && (triggers->trig_insert_before_row || triggers->trig_insert_before_statement ||
						triggers->trig_insert_after_statement);
}

Relation
ewh_common_partition(Relation table, const HeapTuple *rows, int n)
{
	PartitionKey key = RelationGetPartitionKey(table);
	Oid			relid;
	Relation	partition;

	if (key->strategy != PARTITION_STRATEGY_RANGE || key->partnatts != 1 || key->partattrs[0] == 0 || has_triggers(table))
		return NULL;
	relid = common_partition(table, key->partattrs[0], rows, n);
	if (!OidIsValid(relid))
		return NULL;
	partition = table_open(relid, RowExclusiveLock);
	/* Asked again, for the lock may have waited for one that was just attached. */
	if (!has_triggers(partition) && same_columns(RelationGetDescr(table), RelationGetDescr(partition)) &&
		common_partition(table, key->partattrs[0], rows, n) == relid)
		return partition;
	table_close(partition, NoLock);
	return NULL;
}
