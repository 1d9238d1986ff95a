/*
 * verify.h: a request, a scheme and open secrets in; a verdict, and the decrypted content, out.
 *
 * Nothing that a request contains makes these functions raise.
 */
#ifndef EWH_VERIFY_H
#define EWH_VERIFY_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "bytes.h"
#include "proof/answer.h"
#include "proof/reason.h"
#include "proof/scheme.h"
#include "proof/secret.h"
#include "request.h"

typedef struct EwhVerdict
{
	bool		ok;				/* proven: reason is NULL */
	const char *reason;			/* reason.h */
	int32		secret_id;		/* of the secret that proved it, else 0 */
	bool		has_signed_at;
	TimestampTz signed_at;
	bool		decrypted;
	EwhBytes	content;		/* the decrypted plaintext, else the body */
	EwhScheme  *scheme;			/* what was asked, and when: for handshakes, which answer in the same terms */
	TimestampTz at;
} EwhVerdict;

extern void ewh_verify(EwhScheme *scheme, EwhSecret *secrets, int nsecrets, const EwhRequest *request,
					   TimestampTz at, EwhVerdict *verdict);

#endif							/* EWH_VERIFY_H */
