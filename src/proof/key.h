/*
 * key.h: a key, opened from one of the forms in which providers hand keys out.
 *
 * A key belongs to the memory context that was current when it was opened; the OpenSSL objects in it are freed (and
 * wiped) when that context is reset. A form that cannot be read gives NULL, never an error: who stores a secret is
 * told so by ewh_secret_check().
 */
#ifndef EWH_KEY_H
#define EWH_KEY_H

#include "postgres.h"

#include <openssl/evp.h>

#include "bytes.h"

/* Smaller RSA keys prove nothing any more (NIST SP 800-131A). */
#define EWH_MIN_RSA_BITS 2048

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

typedef struct EwhKey EwhKey;

struct EwhKey
{
	EVP_MAC_CTX *mac;			/* of a shared secret, keyed */
	size_t		mac_size;
	EVP_PKEY   *pkey;			/* of a public or private key */
	EwhKey	   *next;			/* in a key set */
	char	   *kid;			/* of a JWK, or NULL */
	bool		private;
};

extern EwhKey *ewh_key_shared(EwhDigest digest, EwhBytes secret);
extern EwhKey *ewh_key_public(EwhBytes text);
extern EwhKey *ewh_key_private(EwhBytes text);
extern EwhKey *ewh_key_adopt(EVP_PKEY *pkey, bool private);
extern bool ewh_key_fits(const EwhKey *key, EwhSigner signer, EwhDigest digest);

extern EVP_PKEY *ewh_pkey_of_jwk(EwhBytes json, int index, bool private, char **kid, bool *more);

extern bool ewh_ecdsa_to_der(const unsigned char *raw, size_t half, EwhBytes *der);
extern bool ewh_ecdsa_to_raw(EwhBytes der, size_t half, EwhBytes *raw);

#endif							/* EWH_KEY_H */
