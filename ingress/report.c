/*
 * GET /report: passes erp_webhook.report_html() through. A connection of its own, one report at a time: a reader who asks
 * for a year must not hold up a webhook.
 */
#include "report.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conninfo.h"
#include "log.h"
#include "options.h"

#define REPORT_TIMEOUT_MS 30000
#define TIMEOUT "SELECT set_config('statement_timeout', $1, false)"
#define REPORT "SELECT erp_webhook.report_html($1, $2::date, $3::date)"

static struct
{
	struct event_base *base;
	EwhConnection *client; /* who waits; NULL also when he has gone */
	PGconn *pg;			   /* NULL: no report under way */
	struct event *io, *timer;
	bool sent, timed; /* timed: the server knows its time limit */
	char company[256], from[32], to[32];
} report;

static void on_socket(evutil_socket_t fd, short what, void *context);

static void
finish(int status, const char *type, const char *body, size_t len)
{
	EwhAnswer answer = {status, type, body, len};

	if (report.io)
		event_free(report.io);
	report.io = NULL;
	event_del(report.timer);
	if (report.client)
		ewh_connection_answer(report.client, &answer, true);
	report.client = NULL;
	PQfinish(report.pg);
	report.pg = NULL;
}

static void
fail(const char *why)
{
	static const char text[] = "the report could not be made; the log says why\n";

	ewh_log(EWH_LOG_WARNING, "report_failed", "message=%s", ewh_log_quote(why));
	finish(503, "text/plain", text, sizeof text - 1);
}

/* What the database refused: a company or day that is not one is the asker's mistake. */
static void
fail_with(const PGresult *result)
{
	static const char text[] = "no such company, or not a day (from, to: YYYY-MM-DD)\n";
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	if (sqlstate && (strcmp(sqlstate, "42704") == 0 || strncmp(sqlstate, "22", 2) == 0))
		finish(400, "text/plain", text, sizeof text - 1);
	else
		fail(PQresultErrorMessage(result));
}

static void
wait_for(short what)
{
	if (report.io)
		event_free(report.io);
	report.io = event_new(report.base, PQsocket(report.pg), what, on_socket, NULL);
	event_add(report.io, NULL);
}

/* The server gives up when we do: closing the connection would leave it at work, and the next asker beside it. */
static void
send_query(void)
{
	char ms[24];
	const char *limit[] = {ms};
	const char *values[] = {report.company[0] ? report.company : "default", report.from[0] ? report.from : NULL,
							report.to[0] ? report.to : NULL};

	snprintf(ms, sizeof ms, "%d", REPORT_TIMEOUT_MS);
	if (!PQenterPipelineMode(report.pg) || !PQsendQueryParams(report.pg, TIMEOUT, 1, NULL, limit, NULL, NULL, 0) ||
		!PQsendQueryParams(report.pg, REPORT, 3, NULL, values, NULL, NULL, 0) || !PQpipelineSync(report.pg))
	{
		fail(PQerrorMessage(report.pg));
		return;
	}
	report.sent = true;
	wait_for(EV_READ);
}

static void
poll_connect(void)
{
	switch (PQconnectPoll(report.pg))
	{
		case PGRES_POLLING_READING:
			wait_for(EV_READ);
			break;
		case PGRES_POLLING_WRITING:
			wait_for(EV_WRITE);
			break;
		case PGRES_POLLING_OK:
			send_query();
			break;
		default:
			fail(PQerrorMessage(report.pg));
	}
}

/* The first result is that of the time limit, the second the report. */
static void
on_result(const PGresult *result)
{
	if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1)
		fail_with(result);
	else if (report.timed)
		finish(200, "text/html; charset=utf-8", PQgetvalue(result, 0, 0), (size_t) PQgetlength(result, 0, 0));
	report.timed = true;
}

static void
read_results(void)
{
	if (!PQconsumeInput(report.pg))
	{
		fail(PQerrorMessage(report.pg));
		return;
	}
	while (report.pg && !PQisBusy(report.pg))
	{
		PGresult *result = PQgetResult(report.pg);

		if (result) /* libpq says NULL between two statements */
			on_result(result);
		PQclear(result);
	}
	if (report.pg)
		wait_for(EV_READ);
}

static void
on_socket(evutil_socket_t fd, short what, void *context)
{
	(void) fd, (void) what, (void) context;
	if (report.sent)
		read_results();
	else
		poll_connect();
}

static void
on_timer(evutil_socket_t fd, short what, void *context)
{
	(void) fd, (void) what, (void) context;
	fail("timeout");
}

/* The client left; the query goes on, for ending it would cost a connection more. */
static void
on_client_gone(void *owner)
{
	(void) owner;
	report.client = NULL;
}

void
ewh_report_start(struct event_base *base)
{
	report.base = base;
	report.timer = evtimer_new(base, on_timer, NULL);
}

void
ewh_report_answer(EwhConnection *connection, const EwhTarget *target)
{
	static const struct timeval timeout = {REPORT_TIMEOUT_MS / 1000, 0};

	if (report.pg)
	{
		ewh_connection_refuse(connection, 503);
		return;
	}
	report.company[0] = report.from[0] = report.to[0] = '\0';
	ewh_target_parameter(target, "company", report.company, sizeof report.company);
	ewh_target_parameter(target, "from", report.from, sizeof report.from);
	ewh_target_parameter(target, "to", report.to, sizeof report.to);
	report.sent = report.timed = false;
	report.client = connection;
	ewh_connection_wait(connection, &report, on_client_gone);
	event_add(report.timer, &timeout);
	/* A database named for reports may be a standby. */
	report.pg = ewh_options.report_dsn ? ewh_conninfo_connect(ewh_options.report_dsn, 0, "any")
									   : ewh_conninfo_connect(ewh_options.dsn, 0, "read-write");
	if (report.pg == NULL || PQstatus(report.pg) == CONNECTION_BAD)
		fail(report.pg ? PQerrorMessage(report.pg) : "out of memory");
	else
		wait_for(EV_WRITE);
}
