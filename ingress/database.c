/*
 * Connections to PostgreSQL, each in pipeline mode on the event loop.
 *
 *   down ─timer─▶ connecting ─▶ preparing ─▶ ready        any ─error─▶ down, its batch given back
 *
 * The one fact to know: rows of an autocommit statement arrive before its COMMIT. Only the ReadyForQuery after them
 * (PGRES_PIPELINE_SYNC) says that it is durable, so nobody is answered before that.
 */
#include "database.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conninfo.h"
#include "log.h"
#include "metrics.h"
#include "options.h"
#include "queue.h"
#include "receipt.h"
#include "wire.h"

#define CONNECT_TIMEOUT_MS 2000
#define FIRST_BACKOFF_MS 50
#define LAST_BACKOFF_MS 1000
#define AWAY_GRACE_MS 2000 /* how long requests wait for a database that went away before they are refused at once */
#define PARALLEL_REQUESTS 16
#define PARALLEL_WAIT_MS 5

/* The server gives up before we do; client_connection_check_interval ends what a vanished ingress left running. */
static const char SETTINGS[] = "SELECT set_config('statement_timeout', $1, false), set_config('lock_timeout', $2, false),"
							   " set_config('client_connection_check_interval', '1s', false)";

typedef enum State
{
	DOWN,
	CONNECTING,
	PREPARING,
	READY
} State;

typedef struct Database
{
	State state;
	PGconn *pg;
	struct event *io, *timer;
	int socket;
	short waits_for;
	int failures; /* in a row */
	EwhBatch *in_flight; /* its sync is awaited; NULL: free for the next */
	PGresult *rows;		 /* of it */
	char sqlstate[6];	 /* its error, if any */
	char message[256];
} Database;

static struct event_base *base;
static struct event *wake_event;
static Database *databases;
static int ndatabases;
static uint64_t away_since; /* no connection ready since; 0: one is */
static bool stopping;

static void on_socket(evutil_socket_t fd, short what, void *context);

static void
set_timer(Database *db, long ms)
{
	struct timeval t = {ms / 1000, (ms % 1000) * 1000};

	event_add(db->timer, &t);
}

/* Waits for the socket, which may be another one than last time while libpq tries hosts. */
static void
wait_for(Database *db, short what)
{
	int socket = PQsocket(db->pg);

	if (db->io && db->socket == socket && db->waits_for == what)
		return;
	if (db->io)
		event_free(db->io);
	db->socket = socket;
	db->waits_for = what;
	db->io = event_new(base, socket, (short) (what | EV_PERSIST), on_socket, db);
	event_add(db->io, NULL);
}

/* libpq closes its socket within PQconnectPoll and opens another of the same number: the event must not outlive it. */
static void
forget_socket(Database *db)
{
	if (db->io)
		event_free(db->io);
	db->io = NULL;
}

bool
ewh_database_ready(void)
{
	return ewh_metrics.database_ready > 0;
}

bool
ewh_database_expected(void)
{
	return ewh_database_ready() || ewh_now() - away_since < AWAY_GRACE_MS;
}

static void
keep_error(Database *db, const char *sqlstate, const char *message)
{
	snprintf(db->sqlstate, sizeof db->sqlstate, "%s", sqlstate ? sqlstate : "");
	snprintf(db->message, sizeof db->message, "%s", message ? message : "");
}

/* Closes the connection, gives its batch back and tries again after a while. */
static void
lose(Database *db, const char *why)
{
	long backoff = FIRST_BACKOFF_MS << (db->failures < 6 ? db->failures : 6);

	if (db->state == READY && --ewh_metrics.database_ready == 0)
		away_since = ewh_now();
	if (!stopping && ewh_log_may(EWH_LOG_WARNING))
		ewh_log(EWH_LOG_WARNING, "database_lost", "connection=%d message=%s", (int) (db - databases), ewh_log_quote(why));
	ewh_metrics.database_failures++;
	db->failures++;
	db->state = DOWN;
	forget_socket(db);
	if (db->rows)
		PQclear(db->rows);
	db->rows = NULL;
	if (db->in_flight)
		ewh_queue_failed(db->in_flight, db->sqlstate[0] ? db->sqlstate : NULL, why);
	db->in_flight = NULL;
	keep_error(db, NULL, NULL);
	PQfinish(db->pg);
	db->pg = NULL;
	set_timer(db, backoff > LAST_BACKOFF_MS ? LAST_BACKOFF_MS : backoff);
}

/* Sends what libpq holds; waits for the socket to take more. */
static void
flush(Database *db)
{
	int left = PQflush(db->pg);

	if (left < 0)
		lose(db, PQerrorMessage(db->pg));
	else
		wait_for(db, left ? EV_READ | EV_WRITE : EV_READ);
}

static void
prepare(Database *db)
{
	char statement_ms[24], lock_ms[24];
	const char *values[] = {statement_ms, lock_ms};

	snprintf(statement_ms, sizeof statement_ms, "%ld", ewh_options.deadline * 7 / 8);
	snprintf(lock_ms, sizeof lock_ms, "%ld", ewh_options.deadline / 3);
	db->state = PREPARING;
	PQsetnonblocking(db->pg, 1);
	if (PQenterPipelineMode(db->pg) && PQsendQueryParams(db->pg, SETTINGS, 2, NULL, values, NULL, NULL, 0) &&
		PQsendPrepare(db->pg, "ingest", ewh_receipt_statement, EWH_WIRE_PARAMETERS, ewh_wire_types) && PQpipelineSync(db->pg))
		flush(db);
	else
		lose(db, PQerrorMessage(db->pg));
}

static void
poll_connect(Database *db)
{
	forget_socket(db);
	switch (PQconnectPoll(db->pg))
	{
		case PGRES_POLLING_READING:
			wait_for(db, EV_READ);
			break;
		case PGRES_POLLING_WRITING:
			wait_for(db, EV_WRITE);
			break;
		case PGRES_POLLING_OK:
			prepare(db);
			break;
		default:
			lose(db, PQerrorMessage(db->pg));
	}
}

static void
ignore_notice(void *context, const PGresult *notice)
{
	(void) context, (void) notice;
}

static void
connect_again(Database *db)
{
	db->pg = ewh_conninfo_connect(ewh_options.dsn, db->failures, "read-write");
	db->state = CONNECTING;
	if (db->pg == NULL || PQstatus(db->pg) == CONNECTION_BAD)
	{
		lose(db, db->pg ? PQerrorMessage(db->pg) : "out of memory");
		return;
	}
	PQsetNoticeReceiver(db->pg, ignore_notice, NULL);
	set_timer(db, CONNECT_TIMEOUT_MS);
	wait_for(db, EV_WRITE);
}

static void
become_ready(Database *db)
{
	db->state = READY;
	db->failures = 0;
	evtimer_del(db->timer);
	ewh_metrics.database_ready++;
	ewh_metrics.database_connects++;
	ewh_log(EWH_LOG_INFO, "database_ready", "connection=%d", (int) (db - databases));
	ewh_database_wake();
}

/* The deadline of connecting or of the batch, or the end of a pause. */
static void
on_timer(evutil_socket_t fd, short what, void *context)
{
	Database *db = context;

	(void) fd, (void) what;
	if (db->state == DOWN)
		connect_again(db);
	else
		lose(db, "timeout");
}

static void
send_batch(Database *db, EwhBatch *batch)
{
	EwhWire wire;
	int formats[EWH_WIRE_PARAMETERS] = {1, 1, 1, 1, 1};
	bool sent = ewh_wire_make(batch, &wire) &&
				PQsendQueryPrepared(db->pg, "ingest", EWH_WIRE_PARAMETERS, (const char *const *) wire.values, wire.lengths,
									formats, 1) &&
				PQpipelineSync(db->pg);

	ewh_wire_free(&wire);
	batch->sent = ewh_now();
	db->in_flight = batch;
	if (!sent)
		lose(db, PQerrorMessage(db->pg));
	else
	{
		set_timer(db, ewh_options.deadline + 200);
		flush(db);
	}
}

/* The end of a batch, or of the preparation. */
static void
on_sync(Database *db)
{
	EwhBatch *batch = db->in_flight;
	PGresult *rows = db->rows;
	bool failed = db->sqlstate[0] != '\0';
	bool wrong_server = strcmp(db->sqlstate, "25006") == 0; /* read-only: look for the primary again */

	if (db->state == PREPARING)
	{
		if (failed)
			lose(db, db->message);
		else
			become_ready(db);
		return;
	}
	if (batch == NULL)
		return;
	evtimer_del(db->timer);
	db->in_flight = NULL;
	db->rows = NULL;
	if (failed)
		ewh_queue_failed(batch, db->sqlstate, db->message);
	else if (rows == NULL || !ewh_receipt_answer(batch, rows))
		ewh_queue_failed(batch, "XX000", "unexpected result");
	if (rows)
		PQclear(rows);
	keep_error(db, NULL, NULL);
	if (wrong_server)
		lose(db, "read-only server");
	else
		ewh_database_wake();
}

static void
on_result(Database *db, PGresult *result)
{
	switch (PQresultStatus(result))
	{
		case PGRES_PIPELINE_SYNC:
			PQclear(result);
			on_sync(db);
			return;
		case PGRES_TUPLES_OK:
			if (db->state == READY && db->rows == NULL)
			{
				db->rows = result;
				return;
			}
			break;
		case PGRES_FATAL_ERROR:
			if (db->sqlstate[0] == '\0') /* the first error is the cause */
			{
				const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);

				/* Of the message only the first line: detail and context may quote what was sent. */
				keep_error(db, sqlstate ? sqlstate : "08006",
						   sqlstate ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : PQresultErrorMessage(result));
			}
			break;
		default:
			break;
	}
	PQclear(result);
}

static void
read_results(Database *db)
{
	int nothing = 0;

	if (!PQconsumeInput(db->pg))
	{
		lose(db, PQerrorMessage(db->pg));
		return;
	}
	/* Between two statements libpq returns one NULL; several in a row mean there is nothing. */
	while (db->state >= PREPARING && nothing < 2 && !PQisBusy(db->pg))
	{
		PGresult *result = PQgetResult(db->pg);

		nothing = result ? 0 : nothing + 1;
		if (result)
			on_result(db, result);
	}
	if (db->state >= PREPARING && PQstatus(db->pg) == CONNECTION_BAD)
		lose(db, db->message[0] ? db->message : PQerrorMessage(db->pg));
}

static void
on_socket(evutil_socket_t fd, short what, void *context)
{
	Database *db = context;

	(void) fd;
	if (db->state == CONNECTING)
	{
		poll_connect(db);
		return;
	}
	if (what & EV_WRITE)
		flush(db);
	if (db->state >= PREPARING && (what & EV_READ))
		read_results(db);
}

/*
 * A second connection joins in only for a batch worth a transaction of its own, or when someone has waited longer than a
 * batch usually takes: two halves cost the database more than one whole, for much of a batch's price does not depend on
 * its size (about 0.8 ms of processor time for one event, 3 ms for sixteen, 4 ms for thirty-two).
 */
static bool
is_worth_another(void)
{
	return ewh_metrics.in_flight == 0 || ewh_metrics.queued >= PARALLEL_REQUESTS || ewh_queue_waited() >= PARALLEL_WAIT_MS;
}

/* Hands out what is queued. */
static void
on_wake(evutil_socket_t fd, short what, void *context)
{
	static const struct timeval soon = {0, PARALLEL_WAIT_MS * 1000};

	(void) fd, (void) what, (void) context;
	if (ewh_metrics.queued > 0 && !is_worth_another())
	{
		event_add(wake_event, &soon);
		return;
	}
	for (int i = 0; i < ndatabases; i++)
	{
		Database *db = &databases[i];

		if (db->state == READY && db->in_flight == NULL && is_worth_another())
		{
			EwhBatch *batch = ewh_queue_take();

			if (batch == NULL)
				return;
			send_batch(db, batch);
		}
	}
}

/* At the end of this turn of the loop: what other clients sent in the same turn comes along. */
void
ewh_database_wake(void)
{
	event_active(wake_event, EV_TIMEOUT, 0);
}

void
ewh_database_start(struct event_base *event_base)
{
	base = event_base;
	wake_event = event_new(base, -1, 0, on_wake, NULL);
	ndatabases = (int) ewh_options.db_connections;
	databases = calloc((size_t) ndatabases, sizeof *databases);
	away_since = ewh_now();
	for (int i = 0; i < ndatabases; i++)
	{
		databases[i].timer = evtimer_new(base, on_timer, &databases[i]);
		connect_again(&databases[i]);
	}
}

void
ewh_database_stop(void)
{
	stopping = true;
	for (int i = 0; i < ndatabases; i++)
	{
		Database *db = &databases[i];

		if (db->state != DOWN)
			lose(db, "stop");
		event_free(db->timer);
	}
	free(databases);
	event_free(wake_event);
}
