/*
 * launcher.c: starts a worker in each database of erp_webhook.databases, and starts it again when it has ended.
 *
 * It is connected to no database, so none is kept from being dropped by it; a database that is not there, or not yet,
 * is simply looked for again. It runs on the primary only: on a standby the postmaster starts it at promotion.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "outside/address.h"
#include "outside/http.h"
#include "outside/launcher.h"
#include "outside/worker.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

#define LOOK_MS		5000		/* between looks for databases and ended workers */

static char *databases;
static double retry_scale = 1;

typedef struct Started
{
	char	   *database;
	BackgroundWorkerHandle *handle;
} Started;

/* Ask the postmaster for a worker in this database. The handle is kept until the next one. */
static BackgroundWorkerHandle *
start_worker(const char *database)
{
	BackgroundWorker worker = {
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_RecoveryFinished,
		.bgw_restart_time = BGW_NEVER_RESTART,
	};
	MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
	BackgroundWorkerHandle *handle = NULL;

	snprintf(worker.bgw_name, BGW_MAXLEN, "erp_webhook worker for %s", database);
	strlcpy(worker.bgw_type, "erp_webhook worker", BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, "erp_webhook", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "erp_webhook_worker_main", BGW_MAXLEN);
	strlcpy(worker.bgw_extra, database, BGW_EXTRALEN);
	if (!RegisterDynamicBackgroundWorker(&worker, &handle))
		ereport(LOG, errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				errmsg("no place for the erp_webhook worker of database \"%s\"", database),
				errhint("Raise max_worker_processes."));
	MemoryContextSwitchTo(caller);
	return handle;
}

/* The entry of a database, made at first use. */
static Started *
entry_of(List **all, const char *database)
{
	ListCell   *lc;
	Started    *entry;
	MemoryContext old;

	foreach(lc, *all)
		if (strcmp(((Started *) lfirst(lc))->database, database) == 0)
			return lfirst(lc);
	old = MemoryContextSwitchTo(TopMemoryContext);
	entry = palloc0(sizeof(Started));
	entry->database = pstrdup(database);
	*all = lappend(*all, entry);
	MemoryContextSwitchTo(old);
	return entry;
}

static bool
runs(const Started *entry)
{
	pid_t		pid;

	return entry->handle != NULL && GetBackgroundWorkerPid(entry->handle, &pid) != BGWH_STOPPED;
}

static bool
is_named(const List *names, const char *name)
{
	ListCell   *lc;

	foreach(lc, names)
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	return false;
}

/*
 * Those of the named databases that exist. A process without a database has no relcache entries for the indexes of
 * pg_database, so the table itself is scanned, as the autovacuum launcher does.
 */
static List *
existing_databases(const List *named)
{
	Relation	rel = table_open(DatabaseRelationId, AccessShareLock);
	TableScanDesc scan = table_beginscan_catalog(rel, 0, NULL);
	List	   *found = NIL;
	HeapTuple	tuple;

	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);

		if (database->datallowconn && is_named(named, NameStr(database->datname)))
			found = lappend(found, pstrdup(NameStr(database->datname)));
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/* The databases that want a worker: named, there, and with a role to run as. In the caller's memory. */
static List *
wanted_databases(void)
{
	MemoryContext caller = CurrentMemoryContext;
	char	   *names = pstrdup(databases);
	List	   *named;
	List	   *found = NIL;

	if (ewh_worker_role()[0] == '\0' || !SplitIdentifierString(names, ',', &named) || named == NIL)
		return NIL;
	StartTransactionCommand();
	MemoryContextSwitchTo(caller);
	if (OidIsValid(get_role_oid(ewh_worker_role(), true)))
		found = existing_databases(named);
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
	return found;
}

/* Workers whose database is no longer named are told to end. */
static void
end_unwanted(const List *all, const List *wanted)
{
	ListCell   *lc;

	foreach(lc, all)
	{
		Started    *entry = lfirst(lc);

		if (!is_named(wanted, entry->database) && runs(entry))
			TerminateBackgroundWorker(entry->handle);
	}
}

/* The launcher's loop. */
void
erp_webhook_launcher_main(Datum unused)
{
	List	   *all = NIL;
	MemoryContext turn;

	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	turn = AllocSetContextCreate(TopMemoryContext, "erp_webhook turn", ALLOCSET_SMALL_SIZES);
	for (;;)
	{
		List	   *wanted;
		ListCell   *lc;

		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		MemoryContextSwitchTo(turn);
		wanted = wanted_databases();
		foreach(lc, wanted)
		{
			Started    *entry = entry_of(&all, lfirst(lc));

			if (runs(entry))
				continue;
			if (entry->handle != NULL)
				pfree(entry->handle);
			entry->handle = start_worker(entry->database);
		}
		end_unwanted(all, wanted);
		MemoryContextReset(turn);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LOOK_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

static void
define_settings(void)
{
	DefineCustomStringVariable("erp_webhook.databases",
							   "Databases in which a worker runs.", NULL,
							   &databases, "", PGC_SIGHUP, GUC_LIST_INPUT, NULL, NULL, NULL);
	DefineCustomRealVariable("erp_webhook.retry_scale",
							 "Factor on every wait between tries; tests make it small.", NULL,
							 &retry_scale, 1, 0, 1000, PGC_SUSET, 0, NULL, NULL, NULL);
}

/* Called once, from _PG_init: the settings of this wing, and the launcher if the library is preloaded. */
void
ewh_launcher_init(void)
{
	BackgroundWorker launcher = {
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_RecoveryFinished,
		.bgw_restart_time = 5,
	};

	ewh_address_settings();
	ewh_transfer_settings();
	ewh_worker_settings();
	define_settings();
	if (!process_shared_preload_libraries_in_progress)
		return;
	strlcpy(launcher.bgw_name, "erp_webhook launcher", BGW_MAXLEN);
	strlcpy(launcher.bgw_type, "erp_webhook launcher", BGW_MAXLEN);
	strlcpy(launcher.bgw_library_name, "erp_webhook", BGW_MAXLEN);
	strlcpy(launcher.bgw_function_name, "erp_webhook_launcher_main", BGW_MAXLEN);
	RegisterBackgroundWorker(&launcher);
}
