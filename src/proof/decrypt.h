/*
 * decrypt.h: the encrypted part of a body, opened as its scheme says.
 */
#ifndef EWH_DECRYPT_H
#define EWH_DECRYPT_H

#include "postgres.h"

#include "proof/verify.h"

extern const char *ewh_decrypt(const EwhScheme *scheme, EwhSecret *secrets, int nsecrets, EwhView *view,
							   TimestampTz at, EwhVerdict *verdict);

#endif							/* EWH_DECRYPT_H */
