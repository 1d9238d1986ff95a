/*
 * stats.c: counters by source, outcome and reason.
 *
 * They live in shared memory when the library is preloaded, else in this backend alone; `scope` in the view says which.
 * They are no part of any transaction: a rejected request must not write, and is counted all the same. The table has a
 * fixed size; requests to unknown names share one source, so nobody outside can fill it.
 */
#include "postgres.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"

#include "statement.h"
#include "stats.h"

#define MAX_COUNTERS 16384
#define MAX_WORD 32

typedef struct CounterKey
{
	Oid			database;
	int32		company_id;
	int32		source_id;
	char		outcome[MAX_WORD];
	char		reason[MAX_WORD];
} CounterKey;

typedef struct Counter
{
	CounterKey	key;
	pg_atomic_uint64 n;
} Counter;

static HTAB *counters = NULL;
static LWLock *lock = NULL;		/* NULL: the counters are this backend's own */
static shmem_request_hook_type next_request_hook = NULL;
static shmem_startup_hook_type next_startup_hook = NULL;

static void
request_memory(void)
{
	if (next_request_hook)
		next_request_hook();
	RequestAddinShmemSpace(hash_estimate_size(MAX_COUNTERS, sizeof(Counter)));
	RequestNamedLWLockTranche("erp_webhook_stats", 1);
}

static void
attach_memory(void)
{
	HASHCTL		info = {.keysize = sizeof(CounterKey), .entrysize = sizeof(Counter)};

	if (next_startup_hook)
		next_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	counters = ShmemInitHash("erp_webhook stats", 64, MAX_COUNTERS, &info, HASH_ELEM | HASH_BLOBS);
	lock = &GetNamedLWLockTranche("erp_webhook_stats")->lock;
	LWLockRelease(AddinShmemInitLock);
}

/* Called from _PG_init: take shared memory if the server is preloading us. */
void
ewh_stats_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	next_request_hook = shmem_request_hook;
	shmem_request_hook = request_memory;
	next_startup_hook = shmem_startup_hook;
	shmem_startup_hook = attach_memory;
}

static void
use_own_memory(void)
{
	HASHCTL		info = {.keysize = sizeof(CounterKey), .entrysize = sizeof(Counter)};

	if (counters == NULL)
		counters = hash_create("erp_webhook stats", 64, &info, HASH_ELEM | HASH_BLOBS);
}

static void
lock_counters(LWLockMode mode)
{
	if (lock)
		LWLockAcquire(lock, mode);
}

static void
unlock_counters(void)
{
	if (lock)
		LWLockRelease(lock);
}

/* Add the counter if there is room; a full table counts no new combination. */
static void
add_counter(const CounterKey *key)
{
	bool		found;
	Counter    *counter;

	lock_counters(LW_EXCLUSIVE);
	if (hash_get_num_entries(counters) < MAX_COUNTERS)
	{
		counter = hash_search(counters, key, HASH_ENTER, &found);
		if (!found)
			pg_atomic_init_u64(&counter->n, 0);
		pg_atomic_fetch_add_u64(&counter->n, 1);
	}
	unlock_counters();
}

/* Count one request. `reason` may be NULL. */
void
ewh_stats_count(int32 company_id, int32 source_id, const char *outcome, const char *reason)
{
	CounterKey	key;
	Counter    *counter;

	use_own_memory();
	memset(&key, 0, sizeof(key));
	key.database = MyDatabaseId;
	key.company_id = company_id;
	key.source_id = source_id;
	strlcpy(key.outcome, outcome, MAX_WORD);
	strlcpy(key.reason, reason ? reason : "", MAX_WORD);
	lock_counters(LW_SHARED);
	counter = hash_search(counters, &key, HASH_FIND, NULL);
	if (counter)
		pg_atomic_fetch_add_u64(&counter->n, 1);
	unlock_counters();
	if (counter == NULL)
		add_counter(&key);
}

static void
put_counter(ReturnSetInfo *result, const Counter *counter)
{
	Datum		values[6];
	bool		nulls[6] = {false};

	values[0] = Int32GetDatum(counter->key.company_id);
	values[1] = Int32GetDatum(counter->key.source_id);
	values[2] = CStringGetTextDatum(counter->key.outcome);
	nulls[3] = counter->key.reason[0] == '\0';
	values[3] = nulls[3] ? (Datum) 0 : CStringGetTextDatum(counter->key.reason);
	values[4] = Int64GetDatum((int64) pg_atomic_read_u64(unconstify(pg_atomic_uint64 *, &counter->n)));
	values[5] = CStringGetTextDatum(lock ? "server" : "session");
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static void
take_companies(HeapTuple row, TupleDesc desc, void *arg)
{
	bool		isnull;

	*(ArrayType **) arg = DatumGetArrayTypeP(ewh_row_datum(row, desc, 1, &isnull));
}

/* Is this one of the companies that the caller reads, or nobody's? */
static bool
is_visible(const ArrayType *companies, int32 company_id)
{
	const int32 *ids = (const int32 *) ARR_DATA_PTR(companies);

	for (int i = 0; i < ArrayGetNItems(ARR_NDIM(companies), ARR_DIMS(companies)); i++)
		if (ids[i] == company_id)
			return true;
	return false;
}

PG_FUNCTION_INFO_V1(erp_webhook_counters);
/* counters() RETURNS TABLE (company_id int, source_id int, outcome text, reason text, n bigint, scope text) */
Datum
erp_webhook_counters(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	HASH_SEQ_STATUS scan;
	Counter    *counter;
	Counter    *copy;
	ArrayType  *companies = NULL;
	int			n = 0;

	InitMaterializedSRF(fcinfo, 0);
	use_own_memory();

	/* Copied first: writing rows may wait for the disk, which nobody should do under the lock. */
	lock_counters(LW_SHARED);
	copy = palloc(sizeof(Counter) * Max(hash_get_num_entries(counters), 1));
	hash_seq_init(&scan, counters);
	while ((counter = hash_seq_search(&scan)) != NULL)
		if (counter->key.database == MyDatabaseId)
			copy[n++] = *counter;
	unlock_counters();

	ewh_statement_run(EWH_VISIBLE_COMPANIES, NULL, NULL, take_companies, &companies);
	for (int i = 0; i < n; i++)
		if (is_visible(companies, copy[i].key.company_id))
			put_counter(result, &copy[i]);
	return (Datum) 0;
}
