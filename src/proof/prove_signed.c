/*
 * prove_signed.c: HMAC, plain digests, public-key signatures and static credentials.
 *
 * Every alternative of the message is tried under every secret that may have signed it. Comparisons of what depends on a
 * secret take constant time.
 */
#include "postgres.h"

#include "proof/certificate.h"
#include "proof/trial.h"

/* The largest signature: RSA of 8192 bits. */
#define MAX_SIGNATURE 1024
#define FEW_PARTS 8				/* of a message; more are allocated */

static bool
decode_signature(const EwhScheme *scheme, EwhBytes text, unsigned char *out, EwhBytes *signature)
{
	signature->data = (char *) out;
	if (text.len == 0 || text.len > MAX_SIGNATURE * 2)
		return false;
	switch (scheme->encoding)
	{
		case EWH_IN_HEX:
			signature->len = text.len / 2;
			return ewh_hex_decode(text, out);
		case EWH_IN_BASE64:
			return ewh_base64_decode(text, EWH_BASE64, out, &signature->len);
		case EWH_IN_BASE64URL:
			return ewh_base64_decode(text, EWH_BASE64URL, out, &signature->len);
	}
	return false;
}

/* Compare an HMAC or digest with every candidate that this secret may answer for. */
static bool
mac_matches(const EwhTrial *trial, const EwhSecret *secret, const unsigned char *mac)
{
	size_t		size = ewh_digest_size(trial->scheme->digest);
	unsigned char decoded[EWH_BASE64_DECODED_MAX(MAX_SIGNATURE * 2)];
	EwhBytes	signature;
	bool		matches = false;

	for (int i = 0; i < trial->list.ncandidates; i++)
	{
		const EwhCandidate *candidate = &trial->list.candidates[i];

		if (ewh_trial_serves(trial, secret, candidate->kid) &&
			decode_signature(trial->scheme, candidate->signature, decoded, &signature) &&
			signature.len == size)
			matches |= ewh_constant_equal(signature.data, mac, size);
	}
	return matches;
}

static bool
any_key_holds(const EwhScheme *scheme, const EwhKey *key, const EwhMessage *message, EwhBytes signature)
{
	for (; key; key = key->next)
		if (ewh_signature_holds(key, scheme->signer, scheme->digest, message, signature))
			return true;
	return false;
}

static bool
signature_matches(const EwhTrial *trial, const EwhSecret *secret, const EwhKey *key, const EwhMessage *message)
{
	unsigned char decoded[EWH_BASE64_DECODED_MAX(MAX_SIGNATURE * 2)];
	EwhBytes	signature;

	for (int i = 0; i < trial->list.ncandidates; i++)
		if (ewh_trial_serves(trial, secret, trial->list.candidates[i].kid) &&
			decode_signature(trial->scheme, trial->list.candidates[i].signature, decoded, &signature) &&
			any_key_holds(trial->scheme, key, message, signature))
			return true;
	return false;
}

/* The key of a certificate chain, if our pinned root vouches for it at that time. */
static EwhKey *
chain_key(EwhTrial *trial, const EwhSecret *secret)
{
	char	   *root = ewh_setting(trial->view.request, "trust_root");
	char	   *suffix = ewh_setting(trial->view.request, "expect_cn_suffix");

	if (suffix == NULL)
		suffix = trial->scheme->cert_name;
	if (root == NULL || suffix == NULL)
		return NULL;
	return ewh_chain_key(secret->value, ewh_bytes(root), ewh_bytes(suffix), trial->at);
}

/* Does any candidate prove this message under this secret? */
static const char *
try_secret(EwhTrial *trial, EwhSecret *secret, const EwhMessage *message)
{
	unsigned char mac[EWH_MAX_MAC];
	EwhKey	   *key;

	switch (trial->scheme->proof)
	{
		case EWH_PROVE_HMAC:
			key = ewh_secret_key(trial->scheme, secret);
			if (key && ewh_hmac(key, message, mac) && mac_matches(trial, secret, mac))
				return NULL;
			return EWH_INVALID;
		case EWH_PROVE_DIGEST:
			if (ewh_digest(trial->scheme->digest, message, mac) && mac_matches(trial, secret, mac))
				return NULL;
			return EWH_INVALID;
		default:
			break;
	}
	key = trial->scheme->key == EWH_KEY_X509_CHAIN ? chain_key(trial, secret) :
		ewh_secret_key(trial->scheme, secret);
	if (key == NULL && trial->scheme->key == EWH_KEY_X509_CHAIN)
		return EWH_UNTRUSTED_CERT;
	return signature_matches(trial, secret, key, message) ? NULL : EWH_INVALID;
}

/*
 * Try every alternative of the message under every secret, until one proves it. A reason that is not about the
 * signature (something missing) ends it: it is the same for all.
 */
static const char *
try_all(EwhTrial *trial, EwhBytes kid)
{
	const EwhScheme *scheme = trial->scheme;
	const char *reason = EWH_UNKNOWN_KEY;

	for (int m = 0; m < scheme->nmessages; m++)
	{
		EwhBytes	parts[FEW_PARTS];
		EwhMessage	message = {parts, 0, FEW_PARTS};

		for (int i = 0; i < trial->nsecrets; i++)
		{
			EwhSecret  *secret = trial->secrets[i];

			if (!ewh_trial_serves(trial, secret, kid))
				continue;
			if (message.nparts == 0 || scheme->uses_secret)
			{
				message.nparts = 0;
				trial->view.secret = secret->value;
				reason = ewh_template_render(scheme->messages[m], &trial->view, &message);
				if (reason)
					return reason;
			}
			reason = try_secret(trial, secret, &message);
			if (reason == NULL)
			{
				trial->verdict->secret_id = secret->secret_id;
				return NULL;
			}
		}
	}
	return reason;
}

/*
 * The URL that is signed is the one the provider knows: the request's as the ingress tells it, or the configured one
 * where a proxy has changed it on the way.
 */
static const char *
try_urls(EwhTrial *trial, EwhBytes kid)
{
	EwhBytes	given = trial->view.request->url;
	EwhBytes	configured = trial->scheme->uses_url ? ewh_bytes(ewh_setting(trial->view.request, "url")) : given;
	const char *reason;

	trial->view.url = given.data ? given : configured;
	reason = try_all(trial, kid);
	if (reason && configured.data && given.data && !ewh_bytes_equal(given, configured))
	{
		trial->view.url = configured;
		reason = try_all(trial, kid);
	}
	return reason;
}

/* Does every signature name a key that we do not have? */
static bool
all_unknown(const EwhTrial *trial)
{
	for (int i = 0; i < trial->list.ncandidates; i++)
		if (ewh_trial_knows(trial, trial->list.candidates[i].kid))
			return false;
	return true;
}

/* HMAC, digest and public-key schemes. */
const char *
ewh_prove_signed(EwhTrial *trial)
{
	const EwhScheme *scheme = trial->scheme;
	EwhBytes	kid = {NULL, 0};
	EwhBytes	url = {NULL, 0};
	const char *reason = ewh_trial_time(trial);

	if (reason == NULL && scheme->kid)
		reason = ewh_trial_need(trial, scheme->kid, &kid);
	if (reason == NULL && scheme->cert_url)
		reason = ewh_trial_need(trial, scheme->cert_url, &url);
	if (reason)
		return reason;
	if (scheme->cert_url && !ewh_scheme_matches(scheme->cert_url_must, url))
		return EWH_UNTRUSTED_CERT;
	if (all_unknown(trial))
		return EWH_UNKNOWN_KEY;
	reason = try_urls(trial, kid);
	return reason ? reason : ewh_trial_fresh(trial);
}

/* Static credentials: the value equals what the row makes of the secret. */
const char *
ewh_prove_equal(EwhTrial *trial, EwhBytes raw)
{
	for (int i = 0; i < trial->nsecrets; i++)
	{
		EwhMessage	message = {NULL, 0, 0};
		EwhBytes	expected;
		const char *reason;
		bool		equal;

		trial->view.secret = trial->secrets[i]->value;
		reason = ewh_template_render(trial->scheme->expected, &trial->view, &message);
		if (reason)
			return reason;
		expected = ewh_message_join(&message);
		equal = expected.len == raw.len && ewh_constant_equal(expected.data, raw.data, raw.len);
		ewh_wipe((void *) expected.data, expected.len);
		if (equal)
		{
			trial->verdict->secret_id = trial->secrets[i]->secret_id;
			return NULL;
		}
	}
	return EWH_INVALID;
}
