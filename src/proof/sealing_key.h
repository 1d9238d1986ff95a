/*
 * sealing_key.h: the key that seals secrets, from a file or a command outside the database.
 */
#ifndef EWH_SEALING_KEY_H
#define EWH_SEALING_KEY_H

#include "postgres.h"

#include "bytes.h"

#define EWH_SEALING_KEY_LEN 32	/* AES-256 */

typedef struct EwhSealingKey
{
	unsigned char key[EWH_SEALING_KEY_LEN];
	char		name[17];		/* of its digest: tells keys apart and nothing about them */
} EwhSealingKey;

extern const EwhSealingKey *ewh_sealing_key(bool make);

#endif							/* EWH_SEALING_KEY_H */
