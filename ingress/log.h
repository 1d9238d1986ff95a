/*
 * One line per event, as key=value, on standard error: never a body, a header or a secret, never longer than a line
 * should be, and never more lines than someone can read.
 */
#ifndef EWH_LOG_H
#define EWH_LOG_H

#include <stdbool.h>

typedef enum EwhLogLevel
{
	EWH_LOG_ERROR,
	EWH_LOG_WARNING,
	EWH_LOG_INFO,
	EWH_LOG_DEBUG
} EwhLogLevel;

bool ewh_log_set_level(const char *name);

/* keys_values is a format of space-separated key=value; text from outside goes through ewh_log_quote. */
void ewh_log(EwhLogLevel level, const char *event, const char *keys_values, ...) __attribute__((format(printf, 3, 4)));

/* text within quotes, cut to a readable length, nothing unprintable; from a ring of eight static buffers. */
const char *ewh_log_quote(const char *text);

/* The address at the other end of a socket, quoted; behind a proxy that is the proxy's. */
const char *ewh_log_peer(int socket);

/* True if a line of this kind may still be written this second; what was left out is told later. */
bool ewh_log_may(EwhLogLevel level);

#endif
