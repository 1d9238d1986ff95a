/*
 * keyring.h: secrets sealed under a key that is not in the database.
 *
 * The label says whose secret it is (company, source, number, purpose) and is bound into the seal: a sealed value that
 * was copied to another row does not open there.
 */
#ifndef EWH_KEYRING_H
#define EWH_KEYRING_H

#include "postgres.h"

#include "bytes.h"

/* Both raise for a key that cannot be had; both allocate in CurrentMemoryContext, a C string's NUL behind the value. */
extern EwhBytes ewh_keyring_seal(EwhBytes plain, EwhBytes label, const char **key_name);
extern EwhBytes ewh_keyring_open(EwhBytes sealed, EwhBytes label, const char *key_name);

extern EwhBytes ewh_keyring_label(const char *table, int32 company_id, int32 owner_id, int32 secret_id,
								  const char *purpose);

#endif							/* EWH_KEYRING_H */
