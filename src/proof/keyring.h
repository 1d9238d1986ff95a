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

/*
 * Open, and tell in *why what is wrong rather than raise it, so that one secret that does not open stops nothing but its
 * own use. Needs no subtransaction: opening touches no table and takes no lock.
 */
extern bool ewh_keyring_try_open(EwhBytes sealed, EwhBytes label, const char *key_name, EwhBytes *plain, char **why);

extern EwhBytes ewh_keyring_label(const char *table, int32 company_id, int32 owner_id, int32 secret_id,
								  const char *purpose);

#endif							/* EWH_KEYRING_H */
