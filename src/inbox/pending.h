/* Stand-in for proof/keyring.h until it is in. */
#ifndef EWH_PENDING_H
#define EWH_PENDING_H
#include "bytes.h"
extern EwhBytes ewh_keyring_open(EwhBytes sealed, const char *key_name);
extern EwhBytes ewh_keyring_seal(EwhBytes plain, const char **key_name);
#endif
