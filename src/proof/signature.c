/*
 * signature.c: digests, HMAC and public-key signatures.
 *
 * Every OpenSSL object that outlives a call hangs on a memory context by a reset callback; within a call, nothing
 * raises between making and freeing one. OpenSSL's error queue is cleared where a failure is an answer ("this is not a
 * signature"), or it would be blamed on the next TLS read of the same process.
 */
#include "postgres.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "proof/key.h"
#include "proof/signature.h"

#define MAX_ECDSA_HALF 66		/* bytes of r and of s on P-521 */
#define SMALL_PARTS 128

static const struct
{
	const char *name;
	const char *openssl_name;
	size_t		size;
} DIGESTS[] = {
	[EWH_SHA1] = {"sha1", "SHA1", 20},
	[EWH_SHA256] = {"sha256", "SHA2-256", 32},
	[EWH_SHA384] = {"sha384", "SHA2-384", 48},
	[EWH_SHA512] = {"sha512", "SHA2-512", 64},
};

bool
ewh_digest_named(EwhBytes name, EwhDigest *digest)
{
	for (int i = 0; i < lengthof(DIGESTS); i++)
	{
		if (ewh_bytes_is(name, DIGESTS[i].name))
		{
			*digest = (EwhDigest) i;
			return true;
		}
	}
	return false;
}

size_t
ewh_digest_size(EwhDigest digest)
{
	return DIGESTS[digest].size;
}

/* Fetching an algorithm costs more than using it: each is fetched once and kept for the life of the process. */
static const EVP_MD *
fetched_digest(EwhDigest digest)
{
	static EVP_MD *fetched[lengthof(DIGESTS)];

	if (fetched[digest] == NULL)
		fetched[digest] = EVP_MD_fetch(NULL, DIGESTS[digest].openssl_name, NULL);
	return fetched[digest];
}

bool
ewh_constant_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

bool
ewh_random(unsigned char *out, size_t len)
{
	return RAND_bytes(out, (int) len) == 1;
}

/* Hash the message into ewh_digest_size(digest) bytes. */
bool
ewh_digest(EwhDigest digest, const EwhMessage *message, unsigned char *out)
{
	static EVP_MD_CTX *ctx;
	bool		ok;

	if (ctx == NULL)
		ctx = EVP_MD_CTX_new();
	ok = ctx && EVP_DigestInit_ex2(ctx, fetched_digest(digest), NULL) == 1;
	for (int i = 0; ok && i < message->nparts; i++)
		ok = EVP_DigestUpdate(ctx, message->parts[i].data, message->parts[i].len) == 1;
	return ok && EVP_DigestFinal_ex(ctx, out, NULL) == 1;
}

static bool
mac_update(EwhKey *key, const char *data, size_t len)
{
	return len == 0 || EVP_MAC_update(key->mac, (const unsigned char *) data, len) == 1;
}

/* The HMAC of the message, ewh_digest_size() of the key's digest bytes. The key schedule was done when it was opened. */
bool
ewh_hmac(EwhKey *key, const EwhMessage *message, unsigned char *out)
{
	char		small[SMALL_PARTS];	/* copying a few bytes costs less than handing them over */
	size_t		waiting = 0;
	size_t		len;
	bool		ok = key->mac && EVP_MAC_init(key->mac, NULL, 0, NULL) == 1;

	for (int i = 0; ok && i < message->nparts; i++)
	{
		EwhBytes	part = message->parts[i];

		if (part.len > 0 && part.len <= sizeof(small) - waiting)
		{
			memcpy(small + waiting, part.data, part.len);
			waiting += part.len;
			continue;
		}
		ok = mac_update(key, small, waiting) && mac_update(key, part.data, part.len);
		waiting = 0;
	}
	return ok && mac_update(key, small, waiting) && EVP_MAC_final(key->mac, out, &len, EWH_MAX_MAC) == 1;
}

/* r and s side by side, each as wide as the curve's order, to the DER that OpenSSL verifies. */
static bool
der_of_raw(const EwhKey *key, EwhBytes raw, EwhBytes *der)
{
	size_t		half = (EVP_PKEY_get_bits(key->pkey) + 7) / 8;

	if (raw.len != 2 * half || half > MAX_ECDSA_HALF)
		return false;
	return ewh_ecdsa_to_der((const unsigned char *) raw.data, half, der);
}

/* A context for signing or verifying with the padding that the signer means. Freed by the caller. */
static EVP_MD_CTX *
signing_context(const EwhKey *key, EwhSigner signer, EwhDigest digest, bool sign)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL;
	const char *name = signer == EWH_ED25519 ? NULL : DIGESTS[digest].openssl_name;
	bool		ok = ctx != NULL;

	if (ok && sign)
		ok = EVP_DigestSignInit_ex(ctx, &pctx, name, NULL, NULL, key->pkey, NULL) == 1;
	else if (ok)
		ok = EVP_DigestVerifyInit_ex(ctx, &pctx, name, NULL, NULL, key->pkey, NULL) == 1;
	if (ok && signer == EWH_RSA_PSS)
	{
		int			salt = (int) DIGESTS[digest].size;
		char	   *mode = "pss";
		OSSL_PARAM	params[3];

		params[0] = OSSL_PARAM_construct_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, mode, 0);
		params[1] = OSSL_PARAM_construct_int(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, &salt);
		params[2] = OSSL_PARAM_construct_end();
		ok = EVP_PKEY_CTX_set_params(pctx, params) == 1;
	}
	if (!ok)
	{
		EVP_MD_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

/* Messages grow by doubling; most fit what compile saw. */
void
ewh_message_add(EwhMessage *message, EwhBytes bytes)
{
	if (message->nparts == message->room)
	{
		EwhBytes   *larger = palloc(sizeof(EwhBytes) * (message->room * 2 + 8));

		if (message->nparts > 0)
			memcpy(larger, message->parts, sizeof(EwhBytes) * message->nparts);
		message->room = message->room * 2 + 8;
		message->parts = larger;
	}
	message->parts[message->nparts++] = bytes;
}

/* The message in one piece. */
EwhBytes
ewh_message_join(const EwhMessage *message)
{
	EwhBytes	all = {NULL, 0};
	char	   *out;

	for (int i = 0; i < message->nparts; i++)
		all.len += message->parts[i].len;
	out = palloc(all.len + 1);
	all.data = out;
	for (int i = 0; i < message->nparts; i++)
	{
		if (message->parts[i].len > 0)
			memcpy(out, message->parts[i].data, message->parts[i].len);
		out += message->parts[i].len;
	}
	*out = '\0';
	return all;
}

/* Does the signature prove the message under this public key? A key of the wrong type proves nothing. */
bool
ewh_signature_holds(const EwhKey *key, EwhSigner signer, EwhDigest digest, const EwhMessage *message,
					EwhBytes signature)
{
	EVP_MD_CTX *ctx;
	EwhBytes	whole;
	bool		holds;

	if (!ewh_key_fits(key, signer, digest))
		return false;
	if (signer == EWH_ECDSA_RAW && !der_of_raw(key, signature, &signature))
		return false;
	whole = ewh_message_join(message);
	ctx = signing_context(key, signer, digest, false);
	holds = ctx && EVP_DigestVerify(ctx, (const unsigned char *) signature.data, signature.len,
									(const unsigned char *) whole.data, whole.len) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return holds;
}

/* Sign the message with a private key; false where the key cannot. */
bool
ewh_signature_make(const EwhKey *key, EwhSigner signer, EwhDigest digest, const EwhMessage *message,
				   EwhBytes *signature)
{
	EwhBytes	whole = ewh_message_join(message);
	size_t		room = EVP_PKEY_get_size(key->pkey);
	unsigned char *out = palloc(room);
	EVP_MD_CTX *ctx;
	bool		made;

	if (!ewh_key_fits(key, signer, digest))
		return false;
	ctx = signing_context(key, signer, digest, true);
	made = ctx && EVP_DigestSign(ctx, out, &room, (const unsigned char *) whole.data, whole.len) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	signature->data = (char *) out;
	signature->len = room;
	if (made && signer == EWH_ECDSA_RAW)
		made = ewh_ecdsa_to_raw(*signature, (EVP_PKEY_get_bits(key->pkey) + 7) / 8, signature);
	return made;
}
