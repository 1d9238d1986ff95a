/*
 * jose_sign.h: making of JWS, and what a request being signed consists of.
 */
#ifndef EWH_JOSE_SIGN_H
#define EWH_JOSE_SIGN_H

#include "postgres.h"

#include "proof/scheme.h"
#include "proof/secret.h"

/* A request on its way to be signed. */
typedef struct EwhSigning
{
	EwhScheme  *scheme;
	EwhRequest *request;
	int			room;			/* of request->headers */
	TimestampTz at;
	const char *key_name;		/* NULL: none of the secrets has one */
	EwhView		view;
	EwhSigList	list;			/* named values that go before the signatures */
} EwhSigning;

extern bool ewh_jose_sign(EwhSigning *signing, const EwhKey *key, EwhBytes *compact);

#endif							/* EWH_JOSE_SIGN_H */
