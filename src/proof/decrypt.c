/*
 * decrypt.c: AES-GCM with its tag behind the ciphertext, and JWE, out of members of the body.
 *
 * What is stored is what was received; the plaintext lives only as long as the request.
 */
#include "postgres.h"

#include "proof/cipher.h"
#include "proof/decrypt.h"
#include "proof/jose.h"

static const char *
need(const EwhPlace *place, EwhView *view, EwhBytes *value)
{
	switch (ewh_place_read(place, view, value))
	{
		case EWH_FOUND:
			return NULL;
		case EWH_NOT_FOUND:
			return EWH_MISSING;
		case EWH_AMBIGUOUS:
			break;
	}
	return EWH_MALFORMED;
}

/* key as text, nonce and additional data as text, ciphertext with the tag in base64. */
static const char *
open_gcm(const EwhScheme *scheme, const EwhSecret *secret, EwhBytes ciphertext, EwhView *view, EwhBytes *plain)
{
	EwhBytes	sealed = ewh_jose_decode(ciphertext, EWH_BASE64);
	EwhBytes	nonce = {NULL, 0};
	EwhBytes	aad = {"", 0};
	EwhBytes	tag;
	const char *reason = need(scheme->nonce, view, &nonce);

	if (reason == NULL && scheme->aad && ewh_place_read(scheme->aad, view, &aad) == EWH_AMBIGUOUS)
		reason = EWH_MALFORMED;
	if (reason)
		return reason;
	if (sealed.data == NULL || sealed.len < EWH_GCM_TAG || nonce.len != EWH_GCM_NONCE)
		return EWH_DECRYPT_FAILED;
	sealed.len -= EWH_GCM_TAG;
	tag.data = sealed.data + sealed.len;
	tag.len = EWH_GCM_TAG;
	return ewh_gcm_open(secret->value, nonce, aad, sealed, tag, plain) ? NULL : EWH_DECRYPT_FAILED;
}

/* Open the content with the first secret of purpose decrypt that can; a reason, or NULL. */
const char *
ewh_decrypt(const EwhScheme *scheme, EwhSecret *secrets, int nsecrets, EwhView *view, TimestampTz at,
			EwhVerdict *verdict)
{
	EwhBytes	ciphertext = {NULL, 0};
	const char *reason = EWH_NO_SECRET;

	for (int i = 0; i < nsecrets; i++)
	{
		EwhSecret  *secret = &secrets[i];

		if (!ewh_secret_counts(secret, "decrypt", at))
			continue;
		reason = need(scheme->ciphertext, view, &ciphertext);
		if (reason)
			return reason;
		if (scheme->decrypt == EWH_DECRYPT_AES_GCM)
			reason = open_gcm(scheme, secret, ciphertext, view, &verdict->content);
		else
			reason = ewh_jwe_open(scheme, ciphertext, secret->value, ewh_secret_private_key(scheme, secret),
								  &verdict->content);
		if (reason == NULL)
		{
			verdict->decrypted = true;
			if (verdict->secret_id == 0)
				verdict->secret_id = secret->secret_id;
			return NULL;
		}
	}
	return reason;
}
