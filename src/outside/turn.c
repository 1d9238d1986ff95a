/*
 * turn.c: the transactions of a turn, the same for the background worker and for CALL run_jobs().
 *
 * The worker opens and closes them itself. A procedure is called inside one and may only end it, by SPI, upon which
 * the next begins; it holds no snapshot meanwhile.
 */
#include "postgres.h"

#include "access/xact.h"
#include "outside/turn.h"
#include "pgstat.h"
#include "statement.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

static bool in_procedure = false;

/* This process is a session that calls run_jobs(), and so never a worker. */
void
ewh_turn_in_procedure(void)
{
	in_procedure = true;
}

/* Begin; the current memory context stays what it is, so that what is claimed outlives the transaction. */
void
ewh_turn_begin(void)
{
	MemoryContext caller = CurrentMemoryContext;

	if (in_procedure)
		return;
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(caller);
}

void
ewh_turn_commit(void)
{
	MemoryContext caller = CurrentMemoryContext;

	if (in_procedure)
		ewh_statement_commit();
	else
	{
		PopActiveSnapshot();
		CommitTransactionCommand();
		pgstat_report_stat(false);
		MemoryContextSwitchTo(caller);
	}
}

/*
 * Do some work in a transaction of its own. In the worker an error ends only that work: it is logged, its lease runs
 * out, and it is tried again: false. FATAL and the end of the server are not errors in this sense and are not caught.
 */
bool
ewh_turn_guarded(void (*work) (void *arg), void *arg)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile bool done = false;

	if (in_procedure)
	{
		work(arg);
		ewh_turn_commit();
		return true;
	}
	ewh_turn_begin();
	PG_TRY();
	{
		work(arg);
		ewh_turn_commit();
		done = true;
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		EmitErrorReport();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(caller);
		FlushErrorState();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	return done;
}
