/*
 * The log. journald and the like add time and process; lines carry what only we know.
 *
 * A sender who misbehaves a million times must not fill a disk: lines about requests ask ewh_log_may() first, which
 * grants a number per second and then counts.
 */
#include "log.h"

#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 1024
#define QUOTED_BYTES 200
#define LINES_PER_SECOND 20

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static EwhLogLevel threshold = EWH_LOG_INFO;

bool
ewh_log_set_level(const char *name)
{
	for (int i = 0; i < 4; i++)
		if (strcmp(level_names[i], name) == 0)
		{
			threshold = (EwhLogLevel) i;
			return true;
		}
	return false;
}

void
ewh_log(EwhLogLevel level, const char *event, const char *keys_values, ...)
{
	char line[LINE_BYTES];
	int n, more;
	va_list arguments;

	if (level > threshold)
		return;
	n = snprintf(line, sizeof line, "level=%s event=%s ", level_names[level], event);
	va_start(arguments, keys_values);
	more = vsnprintf(line + n, sizeof line - (size_t) n - 1, keys_values, arguments);
	va_end(arguments);
	n = more < 0 ? n : n + more;
	if (n > (int) sizeof line - 2)
		n = (int) sizeof line - 2;
	line[n] = '\n';
	/* One write per line; where nobody reads it any more, serving goes on. */
	if (write(STDERR_FILENO, line, (size_t) n + 1) < 0)
		return;
}

const char *
ewh_log_quote(const char *text)
{
	static char ring[8][QUOTED_BYTES + 8];
	static unsigned turn;
	char *out = ring[turn++ % 8];
	size_t n = 0;

	out[n++] = '"';
	for (const char *c = text ? text : ""; *c; c++)
	{
		if (n >= QUOTED_BYTES)
		{
			memcpy(out + n, "...", 3);
			n += 3;
			break;
		}
		if ((unsigned char) *c < ' ' || *c == 127 || *c == '"' || *c == '\\')
			out[n++] = *c == '"' ? '\'' : ' ';
		else
			out[n++] = *c;
	}
	out[n++] = '"';
	out[n] = '\0';
	return out;
}

const char *
ewh_log_peer(int socket)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof address;
	char host[NI_MAXHOST] = "";

	if (getpeername(socket, (struct sockaddr *) &address, &len) == 0)
		getnameinfo((struct sockaddr *) &address, len, host, sizeof host, NULL, 0, NI_NUMERICHOST);
	return ewh_log_quote(host);
}

bool
ewh_log_may(EwhLogLevel level)
{
	static time_t second;
	static unsigned written, left_out;
	time_t now = time(NULL);

	if (level > threshold)
		return false;
	if (threshold == EWH_LOG_DEBUG)
		return true;
	if (now != second)
	{
		if (left_out > 0)
			ewh_log(EWH_LOG_INFO, "log", "left_out=%u", left_out);
		second = now;
		written = left_out = 0;
	}
	if (written++ < LINES_PER_SECOND)
		return true;
	left_out++;
	return false;
}
