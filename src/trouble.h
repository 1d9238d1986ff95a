/*
 * trouble.h: errors that say nothing about what was tried, only about the server while it was.
 */
#ifndef EWH_TROUBLE_H
#define EWH_TROUBLE_H

#include "postgres.h"

/* No memory, a full disk, too many files; a query that was cancelled, a server that goes down. */
static inline bool
ewh_is_server_trouble(int sqlstate)
{
	int			class = ERRCODE_TO_CATEGORY(sqlstate);

	return class == ERRCODE_INSUFFICIENT_RESOURCES ||	/* 53 */
		class == ERRCODE_OPERATOR_INTERVENTION;			/* 57 */
}

#endif							/* EWH_TROUBLE_H */
