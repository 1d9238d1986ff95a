/*
 * Responses: status line, the few headers a sender needs, the body.
 */
#include "answer.h"

#include <string.h>
#include <time.h>

#include "options.h"

/* What we say ourselves; statuses a provider's row defines (498 …) need no reason phrase (RFC 9112 section 4). */
static const struct
{
	int status;
	const char *reason;
} reasons[] = {
	{200, "OK"},
	{201, "Created"},
	{202, "Accepted"},
	{204, "No Content"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{408, "Request Timeout"},
	{413, "Content Too Large"},
	{414, "URI Too Long"},
	{415, "Unsupported Media Type"},
	{417, "Expectation Failed"},
	{431, "Request Header Fields Too Large"},
	{500, "Internal Server Error"},
	{503, "Service Unavailable"},
	{505, "HTTP Version Not Supported"},
};

static const char *
reason_of(int status)
{
	for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "";
}

EwhAnswer
ewh_answer_for(int status)
{
	const char *reason = reason_of(status);

	return (EwhAnswer){status, "text/plain", reason, strlen(reason)};
}

/* The clock's text, made once a second. */
static const char *
date(void)
{
	static char text[40];
	static time_t made;
	time_t now = time(NULL);
	struct tm parts;

	if (now != made)
	{
		gmtime_r(&now, &parts);
		strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
		made = now;
	}
	return text;
}

void
ewh_answer_write(struct evbuffer *out, const EwhAnswer *answer, bool close, bool to_head)
{
	evbuffer_add_printf(out, "HTTP/1.1 %d %s\r\nDate: %s\r\n", answer->status, reason_of(answer->status), date());
	if (answer->status == 405)
		evbuffer_add_printf(out, "Allow: POST\r\n");
	if (answer->status == 503)
		evbuffer_add_printf(out, "Retry-After: %ld\r\n", ewh_options.retry_after);
	if (answer->content_type && answer->len > 0)
		evbuffer_add_printf(out, "Content-Type: %s\r\n", answer->content_type);
	if (answer->content_type && strncmp(answer->content_type, "text/html", 9) == 0)
		evbuffer_add_printf(out, "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\n");
	if (close)
		evbuffer_add_printf(out, "Connection: close\r\n");
	if (answer->status == 204) /* may have no length at all (RFC 9110 section 8.6) */
		evbuffer_add_printf(out, "\r\n");
	else
	{
		evbuffer_add_printf(out, "Content-Length: %zu\r\n\r\n", answer->len);
		if (!to_head)
			evbuffer_add(out, answer->body, answer->len);
	}
}
