/*
 * The admin listener: is it alive, can it serve, what has it done, and the report page. For the operator's eyes: it asks
 * for no password, so it belongs on loopback or a private network.
 */
#include <string.h>

#include "connection.h"
#include "database.h"
#include "metrics.h"
#include "report.h"

static void
answer_text(EwhConnection *connection, int status, const char *text)
{
	EwhAnswer answer = {status, "text/plain", text, strlen(text)};

	ewh_connection_answer(connection, &answer, true);
}

static void
answer_healthz(EwhConnection *connection, const EwhTarget *target)
{
	(void) target;
	answer_text(connection, 200, "ok\n");
}

static void
answer_readyz(EwhConnection *connection, const EwhTarget *target)
{
	(void) target;
	if (ewh_database_ready())
		answer_text(connection, 200, "ready\n");
	else
		answer_text(connection, 503, "no database\n");
}

static void
answer_metrics(EwhConnection *connection, const EwhTarget *target)
{
	struct evbuffer *text = evbuffer_new();
	EwhAnswer answer = {200, "text/plain; version=0.0.4", NULL, 0};

	(void) target;
	ewh_metrics_write(text);
	answer.len = evbuffer_get_length(text);
	answer.body = (const char *) evbuffer_pullup(text, -1);
	ewh_connection_answer(connection, &answer, true);
	evbuffer_free(text);
}

static const struct
{
	const char *path;
	void (*answer)(EwhConnection *connection, const EwhTarget *target);
} pages[] = {
	{"/healthz", answer_healthz},
	{"/readyz", answer_readyz},
	{"/metrics", answer_metrics},
	{"/report", ewh_report_answer},
};

static EwhRequest *
route(EwhConnection *connection, const EwhHttpHead *head)
{
	EwhTarget target;
	int status = ewh_target_parse(head, &target);

	if (status == 0 && !ewh_slice_is(head->method, "get"))
		status = 405;
	for (size_t i = 0; status == 0 && i < sizeof pages / sizeof pages[0]; i++)
	{
		if (!ewh_slice_is(target.path, pages[i].path))
			continue;
		pages[i].answer(connection, &target);
		return NULL;
	}
	ewh_connection_refuse(connection, status ? status : 404);
	return NULL;
}

const EwhService ewh_admin_service = {route, NULL};
