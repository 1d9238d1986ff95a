/*
 * jose.c: reading of JWS, and whether one holds.
 *
 * The algorithm of a message is looked up in the row's list, and must be one that the key's type and curve fit: a
 * message cannot choose how it is verified. Whatever is critical and not understood refuses the whole (RFC 7515
 * section 4.1.11).
 */
#include "postgres.h"

#include "proof/jose.h"
#include "proof/reason.h"
#include "proof/scheme.h"
#include "proof/signature.h"

static const struct
{
	const char *name;
	EwhSigner	signer;
	EwhDigest	digest;
} ALGORITHMS[] = {
	/* RFC 7518 section 3.1, RFC 8037 section 3.1; "none" and the HMAC family are not here on purpose */
	{"RS256", EWH_RSA_PKCS1, EWH_SHA256},
	{"RS384", EWH_RSA_PKCS1, EWH_SHA384},
	{"RS512", EWH_RSA_PKCS1, EWH_SHA512},
	{"PS256", EWH_RSA_PSS, EWH_SHA256},
	{"PS384", EWH_RSA_PSS, EWH_SHA384},
	{"PS512", EWH_RSA_PSS, EWH_SHA512},
	{"ES256", EWH_ECDSA_RAW, EWH_SHA256},
	{"ES384", EWH_ECDSA_RAW, EWH_SHA384},
	{"ES512", EWH_ECDSA_RAW, EWH_SHA512},
	{"EdDSA", EWH_ED25519, EWH_SHA512},
};

bool
ewh_jose_algorithm(EwhBytes name, EwhSigner *signer, EwhDigest *digest)
{
	for (int i = 0; i < lengthof(ALGORITHMS); i++)
	{
		if (ewh_bytes_is(name, ALGORITHMS[i].name))
		{
			*signer = ALGORITHMS[i].signer;
			*digest = ALGORITHMS[i].digest;
			return true;
		}
	}
	return false;
}

/* Can the key serve any algorithm that the row allows? */
bool
ewh_jose_key_fits(const EwhScheme *scheme, const EwhKey *key)
{
	for (int i = 0; i < scheme->jws_algs.count; i++)
	{
		EwhSigner	signer;
		EwhDigest	digest;

		if (ewh_jose_algorithm(ewh_bytes(scheme->jws_algs.items[i]), &signer, &digest) &&
			ewh_key_fits(key, signer, digest))
			return true;
	}
	return false;
}

/* The decoded bytes; data NULL where the text is not base64 of that spelling. */
EwhBytes
ewh_jose_decode(EwhBytes text, EwhBase64 spelling)
{
	unsigned char *out = palloc(EWH_BASE64_DECODED_MAX(text.len) + 1);
	EwhBytes	bytes = {(char *) out, 0};

	if (!ewh_base64_decode(text, spelling, out, &bytes.len))
		bytes.data = NULL;
	return bytes;
}

static bool
is_listed(EwhTexts names, EwhBytes name)
{
	for (int i = 0; i < names.count; i++)
		if (ewh_bytes_is(name, names.items[i]))
			return true;
	return false;
}

/* A string member; found false where it is absent, readable false where it is anything else. */
static bool
read_string(const EwhDocument *doc, const char *pointer, EwhBytes *text, bool *found)
{
	EwhReadStatus status = EWH_READ_OK;
	EwhNode		node = ewh_document_find(doc, 0, pointer, &status);

	*found = node >= 0;
	if (status != EWH_READ_OK)
		return false;
	return !*found || (ewh_node_type(doc, node) == EWH_STRING && ewh_node_text(doc, node, text));
}

/* Each critical name must be understood, and be there (RFC 7515 section 4.1.11). */
static const char *
check_critical(const EwhScheme *scheme, const EwhDocument *header, bool *names_b64)
{
	EwhReadStatus status = EWH_READ_OK;
	EwhNode		crit = ewh_document_find(header, 0, "/crit", &status);

	*names_b64 = false;
	if (status != EWH_READ_OK)
		return EWH_MALFORMED;
	if (crit < 0)
		return NULL;
	if (ewh_node_type(header, crit) != EWH_ARRAY || ewh_node_first(header, crit) < 0)
		return EWH_MALFORMED;
	for (EwhNode n = ewh_node_first(header, crit); n >= 0; n = ewh_node_next(header, n))
	{
		EwhBytes	name;

		if (ewh_node_type(header, n) != EWH_STRING || !ewh_node_text(header, n, &name))
			return EWH_MALFORMED;
		if (!is_listed(scheme->crit_known, name))
			return EWH_INVALID;
		if (ewh_node_member(header, 0, name, -1, &status) < 0 || status != EWH_READ_OK)
			return EWH_MALFORMED;
		*names_b64 |= ewh_bytes_is(name, "b64");
	}
	return NULL;
}

/* b64 may only be there if it is critical, and is true or false (RFC 7797 sections 3 and 6). */
static const char *
read_unencoded(const EwhDocument *header, bool names_b64, bool *unencoded)
{
	EwhReadStatus status = EWH_READ_OK;
	EwhNode		b64 = ewh_document_find(header, 0, "/b64", &status);
	EwhBytes	text;

	*unencoded = false;
	if (status != EWH_READ_OK)
		return EWH_MALFORMED;
	if (b64 < 0)
		return NULL;
	if (!names_b64 || ewh_node_type(header, b64) != EWH_BOOL || !ewh_node_text(header, b64, &text))
		return EWH_MALFORMED;
	*unencoded = ewh_bytes_is(text, "false");
	return NULL;
}

static const char *
read_header(const EwhScheme *scheme, EwhJws *jws)
{
	EwhBytes	json = ewh_jose_decode(jws->header_text, EWH_BASE64URL);
	EwhBytes	alg = {NULL, 0};
	bool		has_alg,
				has_kid,
				names_b64;
	const char *reason;

	if (json.data == NULL || ewh_document_json(json, &jws->header) != EWH_READ_OK ||
		ewh_node_type(jws->header, 0) != EWH_OBJECT)
		return EWH_MALFORMED;
	if (!read_string(jws->header, "/alg", &alg, &has_alg) || !has_alg ||
		!read_string(jws->header, "/kid", &jws->kid, &has_kid))
		return EWH_MALFORMED;
	if (!is_listed(scheme->jws_algs, alg) || !ewh_jose_algorithm(alg, &jws->signer, &jws->digest))
		return EWH_INVALID;
	reason = check_critical(scheme, jws->header, &names_b64);
	return reason ? reason : read_unencoded(jws->header, names_b64, &jws->unencoded);
}

/* Take header.payload.signature apart; a reason, or NULL. */
const char *
ewh_jws_read(const EwhScheme *scheme, EwhBytes compact, EwhJws *jws)
{
	EwhBytes	dot = ewh_bytes(".");
	EwhBytes	rest;
	bool		detached = scheme->proof == EWH_PROVE_JWS_DETACHED;
	const char *reason;

	memset(jws, 0, sizeof(*jws));
	jws->header_text = compact;
	jws->header_text.len = ewh_bytes_find(compact, dot);
	rest = ewh_bytes_from(compact, jws->header_text.len + 1);
	jws->payload_text = rest;
	jws->payload_text.len = ewh_bytes_find(rest, dot);
	if (jws->payload_text.len == rest.len || detached != (jws->payload_text.len == 0))
		return EWH_MALFORMED;
	rest = ewh_bytes_from(rest, jws->payload_text.len + 1);
	if (rest.len == 0 || ewh_bytes_find(rest, dot) < rest.len)
		return EWH_MALFORMED;
	reason = read_header(scheme, jws);
	if (reason)
		return reason;
	jws->signature = ewh_jose_decode(rest, EWH_BASE64URL);
	/* Only the detached form may leave its payload unencoded: within the compact one it could hold a dot. */
	if (jws->unencoded && !detached)
		return EWH_MALFORMED;
	return jws->signature.data ? NULL : EWH_INVALID;
}

/* Does the JWS hold under this key? `detached`: the payload, where it is not in the JWS itself. */
bool
ewh_jws_holds(const EwhJws *jws, const EwhKey *key, const EwhMessage *detached)
{
	EwhBytes	parts[3] = {jws->header_text, {".", 1}, jws->payload_text};
	EwhMessage	message = {parts, 3, 3};

	if (detached)
	{
		EwhBytes	payload = ewh_message_join(detached);

		if (!jws->unencoded)
		{
			char	   *text = palloc(EWH_BASE64_ENCODED_MAX(payload.len) + 1);

			payload.len = ewh_base64_encode(payload, EWH_BASE64URL, text);
			payload.data = text;
		}
		parts[2] = payload;
	}
	return ewh_signature_holds(key, jws->signer, jws->digest, &message, jws->signature);
}
