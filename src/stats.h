/*
 * stats.h: how often each source had each outcome, since the server started.
 */
#ifndef EWH_STATS_H
#define EWH_STATS_H

#include "postgres.h"

extern void ewh_stats_init(void);
extern void ewh_stats_count(int32 company_id, int32 source_id, const char *outcome, const char *reason);

#endif							/* EWH_STATS_H */
