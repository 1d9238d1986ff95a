/*
 * job.h: what an exchange is for. The worker starts exchanges and hands the finished ones back to the room they are of.
 */
#ifndef EWH_JOB_H
#define EWH_JOB_H

#include "outside/http.h"

typedef enum EwhJobKind
{
	EWH_JOB_DISPATCH,			/* outbox.c: a message to a subscriber */
	EWH_JOB_TOKEN,				/* pull.c: an access token, for the call that needs it */
	EWH_JOB_CALL				/* pull.c: a page, an object or a key of a provider's */
} EwhJobKind;

/* First member of every room's job. */
typedef struct EwhJob
{
	EwhJobKind	kind;
} EwhJob;

#define ewh_exchange_kind(exchange) (((EwhJob *) (exchange)->job)->kind)

#endif							/* EWH_JOB_H */
