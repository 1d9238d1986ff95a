/*
 * Connecting by a libpq conninfo that may name several hosts.
 */
#ifndef EWH_CONNINFO_H
#define EWH_CONNINFO_H

#include <libpq-fe.h>

/*
 * Begins to connect. attempt turns the list of hosts, so that a silent first host does not hide the others; session is
 * what a host must offer ("read-write": the primary) unless the dsn says otherwise.
 */
PGconn *ewh_conninfo_connect(const char *dsn, int attempt, const char *session);

#endif
