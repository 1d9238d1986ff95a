/*
 * partition.h: where in a partitioned table rows belong.
 */
#ifndef EWH_PARTITION_H
#define EWH_PARTITION_H

#include "postgres.h"

#include "access/htup.h"
#include "utils/rel.h"

/*
 * The partition that all rows belong to, if it has the columns of the table and nobody watches either who would not see an
 * insertion into the partition alone; it is open and locked. NULL: left to the executor.
 */
extern Relation ewh_common_partition(Relation table, const HeapTuple *rows, int n);

#endif							/* EWH_PARTITION_H */
