/*
 * verdict.h: a verdict as SQL sees it.
 */
#ifndef EWH_VERDICT_H
#define EWH_VERDICT_H

#include "postgres.h"

#include "fmgr.h"

#include "proof/verify.h"

extern Datum ewh_verdict_datum(FunctionCallInfo fcinfo, const EwhVerdict *verdict);

#endif							/* EWH_VERDICT_H */
