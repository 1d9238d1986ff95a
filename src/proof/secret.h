/*
 * secret.h: a secret of a source, opened; which of them count at a time; and the keys made of them.
 */
#ifndef EWH_SECRET_H
#define EWH_SECRET_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "bytes.h"
#include "proof/key.h"
#include "proof/scheme.h"

/* Whoever makes one zeroes what is not listed first. */
typedef struct EwhSecret
{
	int32		secret_id;
	char	   *key_id;			/* NULL: none */
	char	   *purpose;		/* verify | sign | decrypt | api */
	EwhBytes	value;			/* as the provider handed it out */
	TimestampTz valid_from;
	TimestampTz valid_until;	/* exclusive */

	bool		opened;			/* the key was made of it, or cannot be */
	EwhKey	   *key;			/* in the scheme's memory context */
} EwhSecret;

extern bool ewh_secret_counts(const EwhSecret *secret, const char *purpose, TimestampTz at);
extern EwhKey *ewh_secret_key(const EwhScheme *scheme, EwhSecret *secret);
extern EwhKey *ewh_secret_private_key(const EwhScheme *scheme, EwhSecret *secret);
extern void ewh_secret_check(const EwhScheme *scheme, EwhBytes secret, const char *purpose);

#endif							/* EWH_SECRET_H */
