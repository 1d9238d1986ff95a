/*
 * sign.h: the headers that make a request one of this provider's, for tests, replays and senders of our own.
 */
#ifndef EWH_SIGN_H
#define EWH_SIGN_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "proof/scheme.h"
#include "proof/secret.h"
#include "request.h"

/* Add the headers that are missing to request->headers. Raises where the scheme or the secrets cannot sign. */
extern void ewh_sign(EwhScheme *scheme, EwhSecret *secrets, int nsecrets, EwhRequest *request, TimestampTz at);

/* All headers to send: those given, as they are spelled, and those that were added. */
extern Jsonb *ewh_signed_headers(Jsonb *given, const EwhRequest *request);

#endif							/* EWH_SIGN_H */
