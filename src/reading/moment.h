/*
 * moment.h: the times and dates that providers write.
 */
#ifndef EWH_MOMENT_H
#define EWH_MOMENT_H

#include "postgres.h"

#include "utils/timestamp.h"

#include "bytes.h"

/* What stands for "this row names no zone". */
#define EWH_NO_ZONE PG_INT32_MAX

extern bool ewh_zone(const char *text, int32 *seconds_east);
extern bool ewh_moment(EwhBytes text, int32 zone, TimestampTz *at);
extern char *ewh_moment_date(EwhBytes text, int32 zone);

#endif							/* EWH_MOMENT_H */
