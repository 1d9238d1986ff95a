/*
 * jose.h: compact and detached JWS (RFC 7515, RFC 7797) and compact JWE (RFC 7516), over `signature` and `cipher`.
 */
#ifndef EWH_JOSE_H
#define EWH_JOSE_H

#include "postgres.h"

#include "proof/key.h"
#include "proof/signature.h"
#include "reading/document.h"

struct EwhScheme;

typedef struct EwhJws
{
	EwhBytes	header_text;	/* base64url, as signed */
	EwhBytes	payload_text;	/* empty where detached */
	EwhBytes	signature;
	EwhDocument *header;
	EwhSigner	signer;
	EwhDigest	digest;
	EwhBytes	kid;			/* data NULL: none */
	bool		unencoded;		/* b64: false (RFC 7797 section 3) */
} EwhJws;

extern bool ewh_jose_algorithm(EwhBytes name, EwhSigner *signer, EwhDigest *digest);
extern bool ewh_jose_key_fits(const struct EwhScheme *scheme, const EwhKey *key);
extern bool ewh_jose_decrypt_key_readable(const struct EwhScheme *scheme, EwhBytes secret);

extern const char *ewh_jws_read(const struct EwhScheme *scheme, EwhBytes compact, EwhJws *jws);
extern bool ewh_jws_holds(const EwhJws *jws, const EwhKey *key, const EwhMessage *detached);
extern EwhBytes ewh_jose_decode(EwhBytes text, EwhBase64 spelling);

extern const char *ewh_jwe_open(const struct EwhScheme *scheme, EwhBytes compact, EwhBytes secret,
								EwhKey *private_key, EwhBytes *plain);

#endif							/* EWH_JOSE_H */
