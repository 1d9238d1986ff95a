/*
 * cipher.h: authenticated encryption, over OpenSSL's EVP interface.
 */
#ifndef EWH_CIPHER_H
#define EWH_CIPHER_H

#include "postgres.h"

#include "proof/key.h"

#define EWH_GCM_NONCE 12		/* bytes, of everyone who follows NIST SP 800-38D section 8.2 */
#define EWH_GCM_MAX_NONCE 16
#define EWH_GCM_TAG 16

extern bool ewh_gcm_open(EwhBytes key, EwhBytes nonce, EwhBytes aad, EwhBytes ciphertext, EwhBytes tag, EwhBytes *plain);
extern bool ewh_gcm_seal(EwhBytes key, EwhBytes nonce, EwhBytes aad, EwhBytes plain, unsigned char *ciphertext,
						 unsigned char *tag);
extern bool ewh_cbc_hs256_open(EwhBytes key, EwhBytes iv, EwhBytes aad, EwhBytes ciphertext, EwhBytes tag,
							   EwhBytes *plain);
extern bool ewh_rsa_oaep256_open(const EwhKey *key, EwhBytes ciphertext, EwhBytes *plain);

#endif							/* EWH_CIPHER_H */
