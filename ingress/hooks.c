/*
 * The public listener: POST /hooks/<source>, and nothing else.
 *
 * GET is let through for the handshakes of providers that use it (Braintree, Worldline); the database, which knows the
 * provider, answers those, and every other GET becomes 405.
 */
#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "log.h"
#include "metrics.h"
#include "options.h"
#include "queue.h"

static bool
is_method(const EwhHttpHead *head, const char *method)
{
	return head->method.len == strlen(method) && memcmp(head->method.at, method, head->method.len) == 0;
}

/* 0, or the status that refuses the request before its body is read. */
static int
check_head(const EwhHttpHead *head, EwhTarget *target, char *source)
{
	int status = ewh_target_parse(head, target);

	if (status == 0)
		status = ewh_target_source(target, source);
	if (status != 0)
		return status;
	if (!is_method(head, "POST") && !is_method(head, "GET"))
		return 405;
	if (head->has_length && head->length > (uint64_t) ewh_options.max_body)
		return 413;
	return 0;
}

static EwhRequest *
route(EwhConnection *connection, const EwhHttpHead *head)
{
	char source[EWH_HTTP_MAX_LINE + 1], base[EWH_HTTP_MAX_LINE + 16];
	EwhTarget target;
	EwhRequest *request = NULL;
	bool has_base = ewh_options.public_url != NULL || ewh_connection_base_url(connection, head, base, sizeof base);
	int status = check_head(head, &target, source);

	if (status == 0)
	{
		if (ewh_queue_admits())
			request = ewh_request_new(head, &target, source,
									  ewh_options.public_url ? ewh_options.public_url
									  : has_base			 ? base
															 : NULL);
		if (request)
			return request;
		ewh_metrics.shed_requests++;
		status = 503;
	}
	ewh_connection_refuse(connection, status);
	return NULL;
}

const EwhService ewh_hooks_service = {route, ewh_metrics.statuses};
