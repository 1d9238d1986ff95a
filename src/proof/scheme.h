/*
 * scheme.h: a provider's signature rule, compiled once.
 *
 * The row (provider.scheme, one file in providers/):
 *
 *   alg        hmac-sha1 | hmac-sha256 | hmac-sha384 | hmac-sha512   HMAC under the shared secret
 *              sha1 | sha256 | sha384 | sha512                       plain digest; the secret stands in the message
 *              equal                                                 the value equals `expected`
 *              rsa-sha256 | rsa-sha512                               RSA PKCS #1 v1.5
 *              ecdsa-sha256-der | ecdsa-sha512-der | ed25519
 *              jws | jws-detached                                    with jws_algs: those of jose.c, RS256 to EdDSA
 *              none                                                  the provider signs nothing
 *              absent, with `decrypt`: encryption is all there is
 *   key        utf8 | hex | base64 | whsec (base64 after whsec_): how a shared secret is read
 *              pem | spki-b64 | whpk | jwk: a public key, in any of these forms
 *              x509-chain: certificates, leaf first, up to settings.trust_root
 *   derive     sha1 | sha256 …: the key is the raw digest of the secret
 *   kid        PLACE of the key's name; secrets with a key_id are chosen by it
 *   sig        {from PLACE, enc hex | base64 | base64url, strip, strip_optional, must REGEX, must_decode_colon,
 *               split, trim, kv, sig [names], sig_name_from PLACE, first, fields, by, alg_must, absent REASON}: siglist.h
 *   alg_header {from PLACE, must}: what the sender says it signed with, which must be this
 *   ts         {from PLACE, unit s | ms | auto | iso, past, future}: seconds of tolerance each way
 *   msg        TEMPLATE or a list of alternatives (template.h)
 *   each, item every element of this JSON array (or its member) must prove itself
 *   expected   TEMPLATE (alg equal);   claims {name: TEMPLATE} (alg jws)
 *   crit_known [names] of critical JOSE members that are understood; signed_headers: the JOSE member that lists headers,
 *              must_sign [names] of those that count only if it does
 *   cert_url PLACE, cert_url_must REGEX, cert_url_default (what sign() says), cert_name SUFFIX (settings.expect_cn_suffix
 *              goes before it)
 *   body_charset  PLACE=REGEX of all of its value
 *   decrypt    {alg aes-gcm, ct, aad, nonce} | {alg jwe, ct, key_algs, content_algs, alphabet mixed,
 *               iv_bytes}; ct, aad and nonce are each a PLACE, or a POINTER into the JSON body
 *   covers     body (default) | crc32 | none | [POINTER]: what of the body the signature covers; for people, and for the table,
 *              which demands trust confirm where that is nothing to rely on
 *   secret_min least bytes of a shared secret (default 8)
 *
 * Algorithms and key types come from the row alone, never from a message.
 */
#ifndef EWH_SCHEME_H
#define EWH_SCHEME_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "proof/stamp.h"
#include "proof/place.h"
#include "proof/siglist.h"
#include "proof/signature.h"
#include "proof/template.h"

typedef enum EwhProof
{
	EWH_PROVE_NOTHING,			/* alg none */
	EWH_PROVE_DECRYPT,			/* no alg: the body must decrypt */
	EWH_PROVE_HMAC,
	EWH_PROVE_DIGEST,
	EWH_PROVE_EQUAL,
	EWH_PROVE_PUBLIC,
	EWH_PROVE_JWS,
	EWH_PROVE_JWS_DETACHED
} EwhProof;

typedef enum EwhKeyForm
{
	EWH_KEY_UTF8, EWH_KEY_HEX, EWH_KEY_BASE64, EWH_KEY_WHSEC, EWH_KEY_PUBLIC, EWH_KEY_X509_CHAIN
} EwhKeyForm;

typedef enum EwhEncoding
{
	EWH_IN_HEX, EWH_IN_BASE64, EWH_IN_BASE64URL
} EwhEncoding;

typedef enum EwhDecrypt
{
	EWH_DECRYPT_NOTHING, EWH_DECRYPT_AES_GCM, EWH_DECRYPT_JWE
} EwhDecrypt;

typedef struct EwhClaim
{
	char	   *pointer;
	EwhTemplate *value;
} EwhClaim;

typedef struct EwhScheme
{
	MemoryContext context;		/* of all this, and of the keys opened for it */

	EwhProof	proof;
	EwhDigest	digest;
	EwhSigner	signer;
	EwhKeyForm	key;
	bool		derives;
	EwhDigest	derive;
	int			secret_min;
	EwhPlace   *kid;

	EwhPlace   *sig_from;
	EwhListRule list;
	EwhPlace   *wanted_from;
	EwhEncoding encoding;
	char	   *must;
	bool		must_decode_colon;
	EwhPlace   *charset_of;
	char	   *charset;
	EwhPlace   *alg_header;
	char	   *alg_header_must;

	EwhPlace   *ts_from;		/* NULL: no timestamp */
	EwhTimeUnit ts_unit;
	int64		past;			/* microseconds; -1: any */
	int64		future;

	EwhTemplate **messages;
	int			nmessages;
	bool		uses_url;
	bool		uses_secret;
	EwhTemplate *expected;
	char	   *each;
	char	   *item;

	EwhTexts	jws_algs;
	EwhTexts	crit_known;
	char	   *signed_headers;	/* the member of the JOSE header that lists them */
	EwhTexts	must_sign;		/* headers that must be among them if they are there */
	EwhClaim   *claims;
	int			nclaims;

	EwhPlace   *cert_url;
	char	   *cert_url_must;
	char	   *cert_name;
	char	   *cert_url_default;	/* for sign() */

	EwhDecrypt	decrypt;
	EwhPlace   *ciphertext;
	EwhPlace   *aad;
	EwhPlace   *nonce;
	EwhTexts	key_algs;
	EwhTexts	content_algs;
	EwhBase64	alphabet;
	int			iv_bytes;		/* a length of IV that is accepted besides the standard's */
} EwhScheme;

extern EwhScheme *ewh_scheme_compile(Jsonb *row);
extern bool ewh_scheme_matches(const char *pattern, EwhBytes text);

#endif							/* EWH_SCHEME_H */
