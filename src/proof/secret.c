/*
 * secret.c: from what a provider handed out to a key, once per backend and secret.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "proof/certificate.h"
#include "proof/jose.h"
#include "proof/secret.h"

/* Does it serve this purpose at that time? */
bool
ewh_secret_counts(const EwhSecret *secret, const char *purpose, TimestampTz at)
{
	return secret->valid_from <= at && at < secret->valid_until && strcmp(secret->purpose, purpose) == 0;
}

static bool
decode_base64(EwhBytes text, unsigned char *out, size_t *len)
{
	return ewh_base64_decode(text, EWH_BASE64, out, len) || ewh_base64_decode(text, EWH_BASE64_UNPADDED, out, len);
}

/* The bytes of a shared secret; false where the text is not of the form that the scheme says. */
static bool
shared_bytes(const EwhScheme *scheme, EwhBytes text, EwhBytes *bytes)
{
	unsigned char *out = palloc(EWH_BASE64_DECODED_MAX(text.len) + EWH_MAX_MAC);
	EwhBytes	prefix = ewh_bytes("whsec_");

	bytes->data = (char *) out;
	bytes->len = 0;
	switch (scheme->key)
	{
		case EWH_KEY_HEX:
			bytes->len = text.len / 2;
			return ewh_hex_decode(text, out);
		case EWH_KEY_WHSEC:
			if (ewh_bytes_starts(text, prefix))
				text = ewh_bytes_from(text, prefix.len);
			return decode_base64(text, out, &bytes->len);
		case EWH_KEY_BASE64:
			return decode_base64(text, out, &bytes->len);
		default:
			*bytes = text;
			return true;
	}
}

/* The HMAC key: the secret's bytes, or their digest where the scheme derives it. */
static EwhKey *
shared_key(const EwhScheme *scheme, EwhBytes text)
{
	EwhBytes	bytes;
	EwhBytes	decoded;
	unsigned char derived[EWH_MAX_MAC];
	EwhKey	   *key;

	if (!shared_bytes(scheme, text, &bytes))
		return NULL;
	decoded = bytes;
	if (scheme->derives)
	{
		EwhMessage	message = {&bytes, 1, 1};

		ewh_digest(scheme->derive, &message, derived);
		bytes.data = (char *) derived;
		bytes.len = ewh_digest_size(scheme->derive);
	}
	key = ewh_key_shared(scheme->digest, bytes);
	ewh_wipe(derived, sizeof(derived));
	if (decoded.data != text.data)
		ewh_wipe((void *) decoded.data, decoded.len);
	return key;
}

/* The key to verify with, NULL where the secret cannot be read. Made once, in the scheme's memory context. */
EwhKey *
ewh_secret_key(const EwhScheme *scheme, EwhSecret *secret)
{
	MemoryContext old;

	if (secret->opened)
		return secret->key;
	old = MemoryContextSwitchTo(scheme->context);
	if (scheme->proof == EWH_PROVE_HMAC)
		secret->key = shared_key(scheme, secret->value);
	else if (scheme->key == EWH_KEY_PUBLIC)
		secret->key = ewh_key_public(secret->value);
	secret->opened = true;
	MemoryContextSwitchTo(old);
	return secret->key;
}

/* The key to sign or decrypt with, NULL where the secret holds none. */
EwhKey *
ewh_secret_private_key(const EwhScheme *scheme, EwhSecret *secret)
{
	MemoryContext old;

	if (secret->opened)
		return secret->key;
	old = MemoryContextSwitchTo(scheme->context);
	secret->key = ewh_key_private(secret->value);
	secret->opened = true;
	MemoryContextSwitchTo(old);
	return secret->key;
}

static void
refuse_secret(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the secret cannot be used"),
			 errdetail("%s", detail)));
}

/* A secret that a sender could guess, or that a copy has cut, must not be stored. */
static void
check_shared(const EwhScheme *scheme, EwhBytes secret)
{
	EwhBytes	bytes;

	if (!shared_bytes(scheme, secret, &bytes))
		refuse_secret(scheme->key == EWH_KEY_HEX ? "This provider's secrets are hexadecimal." :
					  "This provider's secrets are base64.");
	if (bytes.len < (size_t) scheme->secret_min)
		refuse_secret(psprintf("It has %zu bytes; at least %d are needed.", bytes.len, scheme->secret_min));
}

static bool
any_fits(const EwhScheme *scheme, const EwhKey *key)
{
	for (; key; key = key->next)
	{
		if (scheme->proof == EWH_PROVE_PUBLIC && ewh_key_fits(key, scheme->signer, scheme->digest))
			return true;
		if (scheme->proof != EWH_PROVE_PUBLIC && ewh_jose_key_fits(scheme, key))
			return true;
	}
	return false;
}

static void
check_public(const EwhScheme *scheme, EwhBytes secret)
{
	if (!any_fits(scheme, ewh_key_public(secret)))
		refuse_secret("It is not a public key of the type that this provider signs with "
					  "(PEM, certificate, base64 SubjectPublicKeyInfo or JWK).");
}

static void
check_decrypt(const EwhScheme *scheme, EwhBytes secret)
{
	if (scheme->decrypt == EWH_DECRYPT_AES_GCM && secret.len != 16 && secret.len != 24 && secret.len != 32)
		refuse_secret("An AES key has 16, 24 or 32 bytes.");
	if (scheme->decrypt == EWH_DECRYPT_JWE && !ewh_jose_decrypt_key_readable(scheme, secret))
		refuse_secret("It is neither a private RSA key in PEM nor a shared key in base64url.");
}

/* Raise where the secret cannot serve its purpose; nothing of it appears in the message. */
void
ewh_secret_check(const EwhScheme *scheme, EwhBytes secret, const char *purpose)
{
	EwhBytes	trimmed = ewh_bytes_trim(secret);

	if (trimmed.len == 0)
		refuse_secret("It is empty.");
	if (strcmp(purpose, "decrypt") == 0)
		check_decrypt(scheme, secret);
	else if (strcmp(purpose, "sign") == 0 && (scheme->key == EWH_KEY_PUBLIC || scheme->key == EWH_KEY_X509_CHAIN))
	{
		if (ewh_key_private(secret) == NULL)
			refuse_secret("It is not a private key in PEM, nor a JWK or whsk_ key.");
	}
	else if (strcmp(purpose, "verify") == 0 || strcmp(purpose, "sign") == 0)
	{
		if (scheme->key == EWH_KEY_PUBLIC)
			check_public(scheme, secret);
		else if (scheme->key == EWH_KEY_X509_CHAIN)
		{
			if (!ewh_chain_readable(secret))
				refuse_secret("It is not a certificate chain in PEM.");
		}
		else if (trimmed.len != secret.len)
			refuse_secret("It begins or ends with white space.");
		else
			check_shared(scheme, secret);
	}
}
