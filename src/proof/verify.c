/*
 * verify.c: is this request genuine?
 *
 * The order of the questions decides the reason that is given: is the signature there and of a readable form; is the
 * timestamp; is what must be signed; is there a key; does any signature hold under any of them; and only then, is it
 * fresh. So "expired" means: genuine, but not now.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "proof/certificate.h"
#include "proof/decrypt.h"
#include "proof/jose.h"
#include "proof/verify.h"

/* The largest signature: RSA of 8192 bits. */
#define MAX_SIGNATURE 1024

/* One question put to one request. */
typedef struct Trial
{
	EwhScheme  *scheme;
	EwhSecret  *secrets;
	int			nsecrets;
	TimestampTz at;
	bool		named;			/* at least one secret that counts has a key_id */
	EwhView		view;
	EwhSigList	list;
	EwhVerdict *verdict;
} Trial;

static bool
counts(const Trial *trial, const EwhSecret *secret)
{
	return ewh_secret_counts(secret, "verify", trial->at);
}

/* Which secrets may prove a signature made with the key of this name? Without names among them, all. */
static bool
serves(const Trial *trial, const EwhSecret *secret, EwhBytes kid)
{
	if (!counts(trial, secret))
		return false;
	return kid.data == NULL || !trial->named ||
		(secret->key_id && ewh_bytes_equal(kid, ewh_bytes(secret->key_id)));
}

static bool
is_known(const Trial *trial, EwhBytes kid)
{
	for (int i = 0; i < trial->nsecrets; i++)
		if (serves(trial, &trial->secrets[i], kid))
			return true;
	return false;
}

/* A place that has to be there. */
static const char *
need(Trial *trial, const EwhPlace *place, EwhBytes *value)
{
	switch (ewh_place_read(place, &trial->view, value))
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

/* "user:password" in base64 (RFC 7617 section 2). */
static bool
holds_credentials(EwhBytes header)
{
	EwhBytes	decoded = ewh_jose_decode(ewh_bytes_from(header, strlen("Basic ")), EWH_BASE64);

	return decoded.data && ewh_bytes_find(decoded, ewh_bytes(":")) < decoded.len;
}

/* What the sender says it signed with, and the alphabet of what it signed, as the row demands. */
static const char *
check_surroundings(Trial *trial)
{
	const EwhScheme *scheme = trial->scheme;
	EwhBytes	value = {NULL, 0};
	const char *reason;

	if (scheme->charset_of)
	{
		if (ewh_place_read(scheme->charset_of, &trial->view, &value) == EWH_AMBIGUOUS ||
			!ewh_scheme_matches(scheme->charset, value))
			return EWH_MALFORMED;
	}
	if (scheme->alg_header)
	{
		reason = need(trial, scheme->alg_header, &value);
		if (reason)
			return reason;
		if (!ewh_bytes_is(value, scheme->alg_header_must))
			return EWH_INVALID;
	}
	return NULL;
}

/* Find the signatures: *raw is all of the value, the list what it is made of. */
static const char *
find_signatures(Trial *trial, EwhBytes *raw)
{
	const EwhScheme *scheme = trial->scheme;
	EwhBytes	wanted = {NULL, 0};
	const char *reason = need(trial, scheme->sig_from, raw);

	if (reason)
		return reason;
	if (raw->len == 0)
		return EWH_MISSING;
	if (scheme->must && !ewh_scheme_matches(scheme->must, *raw))
		return EWH_MALFORMED;
	if (scheme->must_decode_colon && !holds_credentials(*raw))
		return EWH_MALFORMED;
	reason = check_surroundings(trial);
	if (reason)
		return reason;
	if (scheme->wanted_from)
	{
		reason = need(trial, scheme->wanted_from, &wanted);
		if (reason)
			return reason;
	}
	reason = ewh_siglist_read(&scheme->list, *raw, wanted, &trial->list);
	trial->view.list = &trial->list;
	return reason;
}

/* Read the timestamp, keeping its text for the signed string. */
static const char *
read_time(Trial *trial)
{
	const EwhScheme *scheme = trial->scheme;
	EwhVerdict *verdict = trial->verdict;
	const char *reason;

	if (scheme->ts_from == NULL)
		return NULL;
	reason = need(trial, scheme->ts_from, &trial->view.ts);
	if (reason == NULL && trial->view.ts.len == 0)
		reason = EWH_MISSING;
	/* Within a signature header the timestamp is part of the syntax. */
	if (reason)
		return scheme->ts_from->kind == EWH_AT_SIG ? EWH_MALFORMED : reason;
	if (!ewh_stamp_read(scheme->ts_unit, trial->view.ts, &verdict->signed_at))
		return EWH_MALFORMED;
	verdict->has_signed_at = true;
	return NULL;
}

static const char *
check_fresh(const Trial *trial)
{
	const EwhScheme *scheme = trial->scheme;
	int64		age;

	if (scheme->ts_from == NULL)
		return NULL;
	if (TIMESTAMP_NOT_FINITE(trial->at))
		return EWH_EXPIRED;
	age = trial->at - trial->verdict->signed_at;
	return age > scheme->past || -age > scheme->future ? EWH_EXPIRED : NULL;
}

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
mac_matches(const Trial *trial, const EwhSecret *secret, const unsigned char *mac)
{
	size_t		size = ewh_digest_size(trial->scheme->digest);
	unsigned char decoded[EWH_BASE64_DECODED_MAX(MAX_SIGNATURE * 2)];
	EwhBytes	signature;
	bool		matches = false;

	for (int i = 0; i < trial->list.ncandidates; i++)
	{
		const EwhCandidate *candidate = &trial->list.candidates[i];

		if (serves(trial, secret, candidate->kid) &&
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
signature_matches(const Trial *trial, const EwhSecret *secret, const EwhKey *key, const EwhMessage *message)
{
	unsigned char decoded[EWH_BASE64_DECODED_MAX(MAX_SIGNATURE * 2)];
	EwhBytes	signature;

	for (int i = 0; i < trial->list.ncandidates; i++)
		if (serves(trial, secret, trial->list.candidates[i].kid) &&
			decode_signature(trial->scheme, trial->list.candidates[i].signature, decoded, &signature) &&
			any_key_holds(trial->scheme, key, message, signature))
			return true;
	return false;
}

/* The key of a certificate chain, if our pinned root vouches for it at that time. */
static EwhKey *
chain_key(Trial *trial, const EwhSecret *secret)
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
try_secret(Trial *trial, EwhSecret *secret, const EwhMessage *message)
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
try_all(Trial *trial, EwhBytes kid)
{
	const EwhScheme *scheme = trial->scheme;
	const char *reason = EWH_UNKNOWN_KEY;

	for (int m = 0; m < scheme->nmessages; m++)
	{
		EwhMessage	message = {NULL, 0, 0};

		for (int i = 0; i < trial->nsecrets; i++)
		{
			EwhSecret  *secret = &trial->secrets[i];

			if (!serves(trial, secret, kid))
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
try_urls(Trial *trial, EwhBytes kid)
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
all_unknown(const Trial *trial)
{
	for (int i = 0; i < trial->list.ncandidates; i++)
		if (is_known(trial, trial->list.candidates[i].kid))
			return false;
	return true;
}

/* HMAC, digest and public-key schemes. */
static const char *
prove_signed(Trial *trial)
{
	const EwhScheme *scheme = trial->scheme;
	EwhBytes	kid = {NULL, 0};
	EwhBytes	url = {NULL, 0};
	const char *reason = read_time(trial);

	if (reason == NULL && scheme->kid)
		reason = need(trial, scheme->kid, &kid);
	if (reason == NULL && scheme->cert_url)
		reason = need(trial, scheme->cert_url, &url);
	if (reason)
		return reason;
	if (scheme->cert_url && !ewh_scheme_matches(scheme->cert_url_must, url))
		return EWH_UNTRUSTED_CERT;
	if (all_unknown(trial))
		return EWH_UNKNOWN_KEY;
	reason = try_urls(trial, kid);
	return reason ? reason : check_fresh(trial);
}

/* Static credentials: the value equals what the row makes of the secret. */
static const char *
prove_equal(Trial *trial, EwhBytes raw)
{
	for (int i = 0; i < trial->nsecrets; i++)
	{
		EwhMessage	message = {NULL, 0, 0};
		EwhBytes	expected;
		const char *reason;

		if (!counts(trial, &trial->secrets[i]))
			continue;
		trial->view.secret = trial->secrets[i].value;
		reason = ewh_template_render(trial->scheme->expected, &trial->view, &message);
		if (reason)
			return reason;
		expected = ewh_message_join(&message);
		if (expected.len == raw.len && ewh_constant_equal(expected.data, raw.data, raw.len))
		{
			trial->verdict->secret_id = trial->secrets[i].secret_id;
			return NULL;
		}
	}
	return EWH_INVALID;
}

/* Each claim that the row names must read what its template renders (the body's digest …). */
static const char *
check_claims(Trial *trial)
{
	const EwhScheme *scheme = trial->scheme;

	for (int i = 0; i < scheme->nclaims; i++)
	{
		EwhPlace	place = {EWH_AT_CLAIM, {&scheme->claims[i].pointer, 1}};
		EwhMessage	message = {NULL, 0, 0};
		EwhBytes	claimed = {NULL, 0};
		EwhBytes	real;
		const char *reason = need(trial, &place, &claimed);

		if (reason == NULL)
			reason = ewh_template_render(scheme->claims[i].value, &trial->view, &message);
		if (reason)
			return reason;
		real = ewh_message_join(&message);
		if (claimed.len != real.len || !ewh_constant_equal(claimed.data, real.data, real.len))
			return EWH_INVALID;
	}
	return NULL;
}

/* A key of the secret under which the JWS holds. In a key set the one of its name, if both name one. */
static bool
jws_holds_under(const EwhJws *jws, const EwhKey *key, const EwhMessage *message)
{
	for (; key; key = key->next)
	{
		bool		other = jws->kid.data && key->kid && !ewh_bytes_is(jws->kid, key->kid);

		if (!other && ewh_jws_holds(jws, key, message))
			return true;
	}
	return false;
}

static const char *
try_jws(Trial *trial, const EwhJws *jws, const EwhMessage *message)
{
	for (int i = 0; i < trial->nsecrets; i++)
	{
		EwhSecret  *secret = &trial->secrets[i];

		if (serves(trial, secret, jws->kid) &&
			jws_holds_under(jws, ewh_secret_key(trial->scheme, secret), message))
		{
			trial->verdict->secret_id = secret->secret_id;
			return NULL;
		}
	}
	return EWH_INVALID;
}

/* A JWT: its payload's claims say what was signed. */
static const char *
prove_jws(Trial *trial, const EwhJws *jws)
{
	EwhBytes	payload = ewh_jose_decode(jws->payload_text, EWH_BASE64URL);
	const char *reason = try_jws(trial, jws, NULL);

	if (reason)
		return reason;
	if (payload.data == NULL || ewh_document_json(payload, &trial->view.claims) != EWH_READ_OK)
		return EWH_MALFORMED;
	reason = read_time(trial);
	if (reason == NULL)
		reason = check_claims(trial);
	return reason ? reason : check_fresh(trial);
}

/* A JWS whose payload is what the row's templates render. */
static const char *
prove_detached(Trial *trial, const EwhJws *jws)
{
	EwhBytes	urls[2] = {trial->view.request->url, ewh_bytes(ewh_setting(trial->view.request, "url"))};
	const char *reason = read_time(trial);

	for (int u = 0; reason == NULL && u < lengthof(urls); u++)
	{
		trial->view.url = urls[u];
		if (urls[u].data == NULL && (u > 0 || urls[1].data != NULL))
			continue;
		for (int m = 0; m < trial->scheme->nmessages; m++)
		{
			EwhMessage	message = {NULL, 0, 0};

			reason = ewh_template_render(trial->scheme->messages[m], &trial->view, &message);
			if (reason == NULL && try_jws(trial, jws, &message) == NULL)
				return check_fresh(trial);
			if (reason)
				return reason;
		}
	}
	return reason ? reason : EWH_INVALID;
}

/* The one signature, or the one of the item at hand. */
static const char *
prove_one(Trial *trial)
{
	EwhBytes	raw = {NULL, 0};
	EwhJws		jws;
	const char *reason = find_signatures(trial, &raw);

	if (reason)
		return reason;
	switch (trial->scheme->proof)
	{
		case EWH_PROVE_EQUAL:
			return prove_equal(trial, raw);
		case EWH_PROVE_JWS:
		case EWH_PROVE_JWS_DETACHED:
			reason = ewh_jws_read(trial->scheme, trial->list.candidates[0].signature, &jws);
			if (reason)
				return reason;
			if (!is_known(trial, jws.kid))
				return EWH_UNKNOWN_KEY;
			trial->view.jose = jws.header;
			return trial->scheme->proof == EWH_PROVE_JWS ? prove_jws(trial, &jws) : prove_detached(trial, &jws);
		default:
			return prove_signed(trial);
	}
}

/* Every element of the array must prove itself: one forged item refuses all. */
static const char *
prove_each(Trial *trial)
{
	EwhDocument *doc = ewh_view_json(&trial->view);
	EwhReadStatus status = EWH_READ_OK;
	EwhNode		array = doc ? ewh_document_find(doc, 0, trial->scheme->each, &status) : -1;
	const char *reason = EWH_MALFORMED;

	if (doc == NULL || status != EWH_READ_OK || array < 0 || ewh_node_type(doc, array) != EWH_ARRAY)
		return EWH_MALFORMED;
	for (EwhNode n = ewh_node_first(doc, array); n >= 0; n = ewh_node_next(doc, n))
	{
		trial->view.item = trial->scheme->item ? ewh_document_find(doc, n, trial->scheme->item, &status) : n;
		if (trial->view.item < 0 || status != EWH_READ_OK)
			return EWH_MALFORMED;
		reason = prove_one(trial);
		if (reason)
			return reason;
	}
	return reason;
}

static const char *
prove(Trial *trial)
{
	bool		any = false;

	for (int i = 0; i < trial->nsecrets; i++)
	{
		if (!counts(trial, &trial->secrets[i]))
			continue;
		any = true;
		trial->named |= trial->secrets[i].key_id != NULL;
	}
	switch (trial->scheme->proof)
	{
		case EWH_PROVE_NOTHING:
			return EWH_UNSIGNED;
		case EWH_PROVE_DECRYPT:
			return NULL;
		default:
			break;
	}
	if (!any)
		return EWH_NO_SECRET;
	return trial->scheme->each ? prove_each(trial) : prove_one(trial);
}

void
ewh_verify(EwhScheme *scheme, EwhSecret *secrets, int nsecrets, const EwhRequest *request, TimestampTz at,
		   EwhVerdict *verdict)
{
	Trial		trial;

	/* Not the list, which is large and filled when read. */
	memset(&trial, 0, offsetof(Trial, list));
	trial.verdict = verdict;
	trial.scheme = scheme;
	trial.secrets = secrets;
	trial.nsecrets = nsecrets;
	trial.at = at;
	trial.view.request = request;
	trial.view.url = request->url;
	memset(verdict, 0, sizeof(*verdict));
	verdict->content = request->body;
	verdict->scheme = scheme;
	verdict->at = at;
	verdict->reason = prove(&trial);
	if (verdict->reason == NULL && scheme->decrypt != EWH_DECRYPT_NOTHING)
		verdict->reason = ewh_decrypt(scheme, secrets, nsecrets, &trial.view, at, verdict);
	verdict->ok = verdict->reason == NULL;
	if (!verdict->ok)
		verdict->secret_id = 0;
	/* A time that nobody signed is only what a stranger says. */
	if (!verdict->ok && strcmp(verdict->reason, EWH_EXPIRED) != 0)
		verdict->has_signed_at = false;
}
