/*
 * signature.h: the primitives of proof, over OpenSSL's EVP interface.
 *
 * A message is a row of byte ranges, so that a body is never copied to be signed. A key is opened once, belongs to a
 * memory context and is freed and wiped with it.
 */
#ifndef EWH_SIGNATURE_H
#define EWH_SIGNATURE_H

#include "postgres.h"

#include "bytes.h"
#include "proof/key.h"

#define EWH_MAX_MAC 64			/* SHA-512 */

typedef struct EwhMessage
{
	EwhBytes   *parts;
	int			nparts;
	int			room;
} EwhMessage;

extern bool ewh_digest_named(EwhBytes name, EwhDigest *digest);
extern size_t ewh_digest_size(EwhDigest digest);
extern void ewh_message_add(EwhMessage *message, EwhBytes bytes);
extern EwhBytes ewh_message_join(const EwhMessage *message);

extern bool ewh_constant_equal(const void *a, const void *b, size_t len);
extern bool ewh_digest(EwhDigest digest, const EwhMessage *message, unsigned char *out);
extern bool ewh_random(unsigned char *out, size_t len);

extern bool ewh_hmac(EwhKey *key, const EwhMessage *message, unsigned char *out);
extern bool ewh_signature_holds(const EwhKey *key, EwhSigner signer, EwhDigest digest, const EwhMessage *message,
								EwhBytes signature);
extern bool ewh_signature_make(const EwhKey *key, EwhSigner signer, EwhDigest digest, const EwhMessage *message,
							   EwhBytes *signature);

#endif							/* EWH_SIGNATURE_H */
