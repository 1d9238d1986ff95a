/*
 * worker.c: the loop, and CALL run_jobs(), which is the loop until nothing is due.
 *
 * What goes over the network is claimed in one transaction, done in none, and recorded in another. A claim is a lease:
 * whatever becomes of this process, the work is free again when the lease is over. So nothing here must be undone.
 */
#include "postgres.h"

#include "commands/extension.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "outside/job.h"
#include "outside/outbox.h"
#include "outside/pull.h"
#include "outside/turn.h"
#include "outside/worker.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "statement.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define LEASE_MARGIN_MS		30000	/* from the end of the longest exchange to the end of its lease */
#define RUN_JOBS_MS			50000	/* how long one CALL run_jobs() goes on claiming */
#define UPKEEP_MS			3600000

static char *worker_role;
static int	max_transfers = 100;
static int	worker_interval = 1000;

const char *
ewh_worker_role(void)
{
	return worker_role;
}

/* How long a claim holds: longer than anything claimed can take, token and call. */
static int
lease_ms(void)
{
	return 2 * ewh_http_timeout_ms() + LEASE_MARGIN_MS;
}

/* Work without network: retries of failed events, what is to be fetched and pulled, and now and then upkeep. */
static void
do_chores(void *next_upkeep)
{
	TimestampTz *next = next_upkeep;
	TimestampTz now = GetCurrentTimestamp();
	Datum		args[] = {BoolGetDatum(now >= *next)};

	if (now >= *next)
		*next = TimestampTzPlusMilliseconds(now, UPKEEP_MS);
	ewh_statement_run(EWH_DO_CHORES, args, NULL, NULL, NULL);
}

/* Work to be claimed, and what was. */
typedef struct Claim
{
	int			places;
	List	   *exchanges;
} Claim;

/* Providers first: they are few, and a flood of messages must not keep them waiting. */
static void
claim_exchanges(void *arg)
{
	Claim	   *claim = arg;
	List	   *calls = ewh_pull_claim(Max(claim->places / 4, 1), lease_ms());
	List	   *dispatches = ewh_outbox_claim(claim->places - list_length(calls), lease_ms());

	claim->exchanges = list_concat(calls, dispatches);
}

/* Claim what there are places for, and start it once that is committed. Returns whether more may be due. */
static bool
claim(EwhHttp *http)
{
	Claim		claim = {ewh_http_free_places(http), NIL};
	ListCell   *lc;

	if (claim.places == 0)
		return true;
	if (!ewh_turn_guarded(claim_exchanges, &claim))
		return false;
	foreach(lc, claim.exchanges)
		ewh_http_start(http, lfirst(lc));
	return claim.exchanges != NIL;
}

static void
record_dispatches(void *finished)
{
	ewh_outbox_record(finished);
}

/*
 * Record what has finished: messages together, calls one by one. A token's answer starts the call it was for. Returns
 * how many exchanges had finished.
 */
static int
record(EwhHttp *http)
{
	EwhExchange *exchange;
	EwhExchange *next;
	List	   *dispatches = NIL;
	ListCell   *lc;
	int			calls = 0;

	while ((exchange = ewh_http_next_finished(http)) != NULL)
	{
		if (ewh_exchange_kind(exchange) == EWH_JOB_DISPATCH)
		{
			dispatches = lappend(dispatches, exchange);
			continue;
		}
		calls++;
		next = ewh_exchange_kind(exchange) == EWH_JOB_TOKEN ? ewh_pull_continue(exchange) : NULL;
		if (next != NULL)
			ewh_http_start(http, next);
		else
			ewh_turn_guarded(ewh_pull_record, exchange);
		ewh_http_free_exchange(exchange);
	}
	if (dispatches != NIL)
		ewh_turn_guarded(record_dispatches, dispatches);
	foreach(lc, dispatches)
		ewh_http_free_exchange(lfirst(lc));
	return calls + list_length(dispatches);
}

/* Is the extension there? It may be dropped and made again while we run. */
static bool
extension_exists(void)
{
	bool		exists;

	ewh_turn_begin();
	exists = OidIsValid(get_extension_oid("erp_webhook", true));
	ewh_turn_commit();
	return exists;
}

static void
reload(void)
{
	if (!ConfigReloadPending)
		return;
	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
}

/* One worker per database: whoever comes second leaves. */
static void
check_only_one(void)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0x65776877 /* "ewhw" */, 0, 2);
	if (LockAcquire(&tag, ExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
	{
		ereport(LOG, errcode(ERRCODE_OBJECT_IN_USE), errmsg("erp_webhook worker is already running in this database"));
		proc_exit(0);
	}
}

static void
check_role(void)
{
	if (superuser())
		ereport(FATAL, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("erp_webhook worker does not run as a superuser"),
				errhint("Name an ordinary role in erp_webhook.worker_role and grant it with erp_webhook.grant_worker()."));
}

/* What a session of ours needs whatever is set for the role or the database. */
static void
set_session(void)
{
	SetConfigOption("default_transaction_isolation", "read committed", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("default_transaction_read_only", "off", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("lock_timeout", "10s", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION);
}

/* Sign in to the database this worker is for. */
static void
start_session(void)
{
	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(MyBgworkerEntry->bgw_extra, worker_role, 0);
	set_session();
	ewh_turn_begin();
	check_role();
	check_only_one();
	ewh_turn_commit();
}

/* The worker of one database. */
void
erp_webhook_worker_main(Datum unused)
{
	TimestampTz next_look = 0;
	TimestampTz next_upkeep = 0;
	bool		more = false;	/* may something be due that only a place is missing for? */
	MemoryContext turn;
	EwhHttp    *http;

	start_session();
	MemoryContextSwitchTo(TopMemoryContext);
	http = ewh_http_open(max_transfers);
	turn = AllocSetContextCreate(TopMemoryContext, "erp_webhook turn", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(turn);
	for (;;)
	{
		bool		due;

		reload();
		due = GetCurrentTimestamp() >= next_look;
		if ((due || (more && ewh_http_free_places(http) > 0)) && extension_exists())
		{
			if (due)
				ewh_turn_guarded(do_chores, &next_upkeep);
			more = claim(http);
		}
		if (due)
			next_look = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), worker_interval);
		pgstat_report_activity(STATE_IDLE, NULL);
		ewh_http_wait(http, worker_interval);
		more |= record(http) > 0;
		MemoryContextReset(turn);
	}
}

static void
check_nonatomic(FunctionCallInfo fcinfo)
{
	if (fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) || castNode(CallContext, fcinfo->context)->atomic)
		ereport(ERROR, errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
				errmsg("run_jobs() must be called outside a transaction block"),
				errdetail("It commits between claiming work, doing it and recording it."));
}

/* erp_webhook.run_jobs() */
PG_FUNCTION_INFO_V1(erp_webhook_run_jobs);
Datum
erp_webhook_run_jobs(PG_FUNCTION_ARGS)
{
	TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), RUN_JOBS_MS);
	TimestampTz next_upkeep = 0;
	EwhHttp    *http;
	bool		more;
	int			answered;

	check_nonatomic(fcinfo);
	ewh_statement_begin_procedure();
	ewh_turn_in_procedure();
	http = ewh_http_open(max_transfers);
	do
	{
		ewh_turn_guarded(do_chores, &next_upkeep);
		more = claim(http);
		answered = 0;
		while (ewh_http_under_way(http) > 0)
		{
			int			finished;

			ewh_http_wait(http, worker_interval);
			finished = record(http);
			answered += finished;
			if ((more || finished > 0) && GetCurrentTimestamp() < end)
				more = claim(http);
		}
		/* An answer may ask for more, as a list of events does that name their objects only. */
	} while (answered > 0 && GetCurrentTimestamp() < end);
	ewh_statement_end_procedure();
	PG_RETURN_VOID();
}

/* Settings of the loop; called once, from _PG_init. */
void
ewh_worker_settings(void)
{
	DefineCustomStringVariable("erp_webhook.worker_role",
							   "Role the workers run as: one that may log in and is not a superuser.", NULL,
							   &worker_role, "", PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("erp_webhook.max_transfers",
							"HTTP exchanges a worker has under way at once.", NULL,
							&max_transfers, 100, 4, 1000, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("erp_webhook.worker_interval",
							"Time between a worker's looks for new work.", NULL,
							&worker_interval, 1000, 10, 60000, PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
}
