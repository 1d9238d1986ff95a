/*
 * moment.h: the time that orders facts.
 */
#ifndef EWH_MOMENT_H
#define EWH_MOMENT_H

#include "postgres.h"

#include "datatype/timestamp.h"

/* Of a fact that says no time of its own: when we were told, a thousand years later. */
extern TimestampTz ewh_undated(TimestampTz told_at);

#endif							/* EWH_MOMENT_H */
