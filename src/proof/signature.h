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

#define EWH_MAX_MAC 64			/* SHA-512 */

typedef struct EwhKey EwhKey;	/* proof/key.h */

typedef struct EwhMessage
{
	EwhBytes   *parts;
	int			nparts;
	int			room;
} EwhMessage;

typedef enum EwhDigest
{
	EWH_SHA1, EWH_SHA256, EWH_SHA384, EWH_SHA512
} EwhDigest;

/* How a public key signs; each names one key type and, where several exist, one curve. */
typedef enum EwhSigner
{
	EWH_RSA_PKCS1,				/* RFC 8017 section 8.2 */
	EWH_RSA_PSS,				/* RFC 8017 section 8.1, salt as long as the digest (RFC 7518 section 3.5) */
	EWH_ECDSA_DER,				/* signature as SEQUENCE of r and s */
	EWH_ECDSA_RAW,				/* signature as r and s side by side (RFC 7518 section 3.4) */
	EWH_ED25519					/* RFC 8032 */
} EwhSigner;

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
