/*
 * key.c: shared secrets, PEM, bare SubjectPublicKeyInfo, certificates and whpk_/whsk_ into keys.
 *
 * Which algorithm a key serves is the scheme's to say: here only its form is told apart, by its first characters. PEM
 * says what it holds, a JWK begins with a brace, the Standard Webhooks keys have their prefix, and what is left is the
 * base64 of a SubjectPublicKeyInfo (RFC 5280 section 4.1).
 */
#include "postgres.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "proof/key.h"

#define ED25519_SEED 32
#define ED25519_PAIR 64			/* seed and public key, as whsk_ holds them */

static void
free_key(void *arg)
{
	EwhKey	   *key = arg;

	EVP_MAC_CTX_free(key->mac);
	EVP_PKEY_free(key->pkey);
}

/* An empty key whose OpenSSL objects will go with the current context. */
static EwhKey *
new_key(void)
{
	EwhKey	   *key = palloc0(sizeof(EwhKey));
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));

	callback->func = free_key;
	callback->arg = key;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	return key;
}

/* Take over an OpenSSL key; NULL in, NULL out. */
EwhKey *
ewh_key_adopt(EVP_PKEY *pkey, bool private)
{
	EwhKey	   *key;

	ERR_clear_error();
	if (pkey == NULL)
		return NULL;
	key = new_key();
	key->pkey = pkey;
	key->private = private;
	return key;
}

/* An HMAC key with its schedule done. */
EwhKey *
ewh_key_shared(EwhDigest digest, EwhBytes secret)
{
	static EVP_MAC *hmac;
	static const char *const NAMES[] = {
		[EWH_SHA1] = "SHA1", [EWH_SHA256] = "SHA2-256", [EWH_SHA384] = "SHA2-384", [EWH_SHA512] = "SHA2-512"
	};
	EwhKey	   *key = new_key();
	OSSL_PARAM	params[2];

	if (hmac == NULL)
		hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	key->mac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *) NAMES[digest], 0);
	params[1] = OSSL_PARAM_construct_end();
	if (key->mac == NULL ||
		EVP_MAC_init(key->mac, (const unsigned char *) secret.data, secret.len, params) != 1)
		return NULL;
	key->mac_size = EVP_MAC_CTX_get_mac_size(key->mac);
	return key;
}

/* Refuse to ask anybody for the passphrase of an encrypted key. */
static int
no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	return -1;
}

/* The public key of a PEM: a bare one, or a certificate's. */
static EVP_PKEY *
public_of_pem(EwhBytes pem)
{
	BIO		   *bio = BIO_new_mem_buf(pem.data, (int) pem.len);
	EVP_PKEY   *pkey = NULL;
	X509	   *cert;

	if (bio == NULL)
		return NULL;
	if (ewh_bytes_find(pem, ewh_bytes("-----BEGIN CERTIFICATE-----")) < pem.len)
	{
		cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
		if (cert)
			pkey = X509_get_pubkey(cert);
		X509_free(cert);
	}
	else
		pkey = PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	return pkey;
}

/* Decode base64 with or without its padding; what fits neither is not base64. */
static bool
decode_key_text(EwhBytes text, unsigned char **out, size_t *len)
{
	*out = palloc(EWH_BASE64_DECODED_MAX(text.len));
	return text.len > 0 && (ewh_base64_decode(text, EWH_BASE64, *out, len) ||
							ewh_base64_decode(text, EWH_BASE64_UNPADDED, *out, len));
}

static EVP_PKEY *
public_of_spki(EwhBytes base64)
{
	unsigned char *der;
	const unsigned char *p;
	size_t		len;
	EVP_PKEY   *pkey;

	if (!decode_key_text(base64, &der, &len))
		return NULL;
	p = der;
	pkey = d2i_PUBKEY(NULL, &p, (long) len);
	if (pkey && p != der + len)
	{
		EVP_PKEY_free(pkey);	/* bytes behind the key: not what it claims to be */
		pkey = NULL;
	}
	return pkey;
}

/* The Ed25519 key behind whpk_ (32 bytes) or whsk_ (64: seed and public key, or the seed alone). */
static EVP_PKEY *
ed25519_of_text(EwhBytes base64, bool private)
{
	unsigned char *raw;
	size_t		len;
	EVP_PKEY   *pkey = NULL;

	if (!decode_key_text(base64, &raw, &len))
		return NULL;
	if (private && (len == ED25519_PAIR || len == ED25519_SEED))
		pkey = EVP_PKEY_new_raw_private_key_ex(NULL, "ED25519", NULL, raw, ED25519_SEED);
	else if (!private && len == ED25519_SEED)
		pkey = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, raw, len);
	ewh_wipe(raw, len);
	return pkey;
}

/* All keys of a JWK or a JWK set (RFC 7517), linked. */
static EwhKey *
public_of_jwk(EwhBytes json)
{
	EwhKey	   *first = NULL;
	EwhKey	  **last = &first;
	bool		more = true;

	for (int i = 0; more; i++)
	{
		char	   *kid;
		EwhKey	   *key = ewh_key_adopt(ewh_pkey_of_jwk(json, i, false, &kid, &more), false);

		if (key == NULL)
			continue;			/* a set may hold keys of types we do not use (RFC 7517 section 5) */
		key->kid = kid;
		*last = key;
		last = &key->next;
	}
	return first;
}

/* The public key, or keys, in any form. A private key's PEM is not one: it has no place where others verify. */
EwhKey *
ewh_key_public(EwhBytes text)
{
	text = ewh_bytes_trim(text);
	if (ewh_bytes_starts(text, ewh_bytes("-----BEGIN ")))
		return ewh_key_adopt(public_of_pem(text), false);
	if (ewh_bytes_starts(text, ewh_bytes("{")))
		return public_of_jwk(text);
	if (ewh_bytes_starts(text, ewh_bytes("whpk_")))
		return ewh_key_adopt(ed25519_of_text(ewh_bytes_from(text, 5), false), false);
	return ewh_key_adopt(public_of_spki(text), false);
}

/* The private key of a PEM, of a JWK or of whsk_. */
EwhKey *
ewh_key_private(EwhBytes text)
{
	BIO		   *bio;
	EVP_PKEY   *pkey;
	char	   *kid;
	bool		more;

	text = ewh_bytes_trim(text);
	if (ewh_bytes_starts(text, ewh_bytes("{")))
		return ewh_key_adopt(ewh_pkey_of_jwk(text, 0, true, &kid, &more), true);
	if (ewh_bytes_starts(text, ewh_bytes("whsk_")))
		return ewh_key_adopt(ed25519_of_text(ewh_bytes_from(text, 5), true), true);
	if (!ewh_bytes_starts(text, ewh_bytes("-----BEGIN ")))
		return NULL;
	bio = BIO_new_mem_buf(text.data, (int) text.len);
	pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	BIO_free(bio);
	return ewh_key_adopt(pkey, true);
}

static bool
is_on_curve(const EVP_PKEY *pkey, const char *curve)
{
	char		name[64];

	return EVP_PKEY_get_base_id(pkey) == EVP_PKEY_EC &&
		EVP_PKEY_get_group_name(pkey, name, sizeof(name), NULL) == 1 && strcmp(name, curve) == 0;
}

/* Is this a key that the signer can use? The curve belongs to the algorithm's name (RFC 7518 section 3.4). */
bool
ewh_key_fits(const EwhKey *key, EwhSigner signer, EwhDigest digest)
{
	if (key == NULL || key->pkey == NULL)
		return false;
	switch (signer)
	{
		case EWH_RSA_PKCS1:
			return EVP_PKEY_get_base_id(key->pkey) == EVP_PKEY_RSA &&
				EVP_PKEY_get_bits(key->pkey) >= EWH_MIN_RSA_BITS;
		case EWH_RSA_PSS:
			return (EVP_PKEY_get_base_id(key->pkey) == EVP_PKEY_RSA ||
					EVP_PKEY_get_base_id(key->pkey) == EVP_PKEY_RSA_PSS) &&
				EVP_PKEY_get_bits(key->pkey) >= EWH_MIN_RSA_BITS;
		case EWH_ECDSA_DER:
		case EWH_ECDSA_RAW:
			return is_on_curve(key->pkey, digest == EWH_SHA512 ? "secp521r1" :
							   digest == EWH_SHA384 ? "secp384r1" : "prime256v1");
		case EWH_ED25519:
			return EVP_PKEY_get_base_id(key->pkey) == EVP_PKEY_ED25519;
	}
	return false;
}

/* r and s side by side, each of `half` bytes, as DER. */
bool
ewh_ecdsa_to_der(const unsigned char *raw, size_t half, EwhBytes *der)
{
	ECDSA_SIG  *sig = ECDSA_SIG_new();
	BIGNUM	   *r = BN_bin2bn(raw, (int) half, NULL);
	BIGNUM	   *s = BN_bin2bn(raw + half, (int) half, NULL);
	unsigned char buf[160];
	unsigned char *p = buf;
	int			len = -1;

	if (sig && r && s && ECDSA_SIG_set0(sig, r, s) == 1)
	{
		r = s = NULL;			/* they belong to sig now */
		if (i2d_ECDSA_SIG(sig, NULL) <= (int) sizeof(buf))
			len = i2d_ECDSA_SIG(sig, &p);
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(sig);
	if (len <= 0)
		return false;
	der->data = memcpy(palloc(len), buf, len);
	der->len = len;
	return true;
}

/* DER as r and s side by side, each of `half` bytes. */
bool
ewh_ecdsa_to_raw(EwhBytes der, size_t half, EwhBytes *raw)
{
	const unsigned char *p = (const unsigned char *) der.data;
	unsigned char *out = palloc0(2 * half);
	ECDSA_SIG  *sig = d2i_ECDSA_SIG(NULL, &p, (long) der.len);
	bool		ok = sig &&
		BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, (int) half) == (int) half &&
		BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + half, (int) half) == (int) half;

	ECDSA_SIG_free(sig);
	raw->data = (char *) out;
	raw->len = 2 * half;
	return ok;
}
