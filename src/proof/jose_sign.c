/*
 * jose_sign.c: JWTs with the row's claims, and detached JWS over the row's message.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/json.h"

#include "proof/jose.h"
#include "proof/jose_sign.h"

static EwhBytes
base64url(EwhBytes data)
{
	char	   *text = palloc(EWH_BASE64_ENCODED_MAX(data.len) + 1);
	EwhBytes	encoded = {text, ewh_base64_encode(data, EWH_BASE64URL, text)};

	return encoded;
}

/* The first algorithm of the row that the key can do. */
static const char *
choose_algorithm(const EwhScheme *scheme, const EwhKey *key, EwhSigner *signer, EwhDigest *digest)
{
	for (int i = 0; i < scheme->jws_algs.count; i++)
		if (ewh_jose_algorithm(ewh_bytes(scheme->jws_algs.items[i]), signer, digest) &&
			ewh_key_fits(key, *signer, *digest))
			return scheme->jws_algs.items[i];
	return NULL;
}

/* Every header that is there is signed, where the row signs headers. */
static char *
header_names(const EwhRequest *request)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < request->nheaders; i++)
		appendStringInfo(&names, "%s%.*s", i > 0 ? "," : "", (int) request->headers[i].name.len,
						 request->headers[i].name.data);
	return names.data;
}

static EwhBytes
make_header(const EwhSigning *signing, const char *alg)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoString(&json, "{\"alg\":");
	escape_json(&json, alg);
	if (signing->key_name)
	{
		appendStringInfoString(&json, ",\"kid\":");
		escape_json(&json, signing->key_name);
	}
	if (signing->scheme->signed_headers)
	{
		appendStringInfoChar(&json, ',');
		escape_json(&json, signing->scheme->signed_headers);
		appendStringInfoChar(&json, ':');
		escape_json(&json, header_names(signing->request));
	}
	appendStringInfoChar(&json, '}');
	return ewh_bytes(json.data);
}

/* The row's claims, and its time if that is a claim. */
static bool
make_claims(EwhSigning *signing, EwhBytes *claims)
{
	const EwhScheme *scheme = signing->scheme;
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	if (scheme->ts_from && scheme->ts_from->kind == EWH_AT_CLAIM)
		appendStringInfo(&json, "\"%s\":%s", scheme->ts_from->names.items[0] + 1, signing->view.ts.data);
	for (int i = 0; i < scheme->nclaims; i++)
	{
		EwhMessage	message = {NULL, 0, 0};

		if (ewh_template_render(scheme->claims[i].value, &signing->view, &message) != NULL)
			return false;
		if (json.len > 1)
			appendStringInfoChar(&json, ',');
		escape_json(&json, scheme->claims[i].pointer + 1);
		appendStringInfoChar(&json, ':');
		escape_json(&json, ewh_message_join(&message).data);
	}
	appendStringInfoChar(&json, '}');
	*claims = ewh_bytes(json.data);
	return true;
}

/* What is signed behind the header, and what of it is sent. */
static bool
make_payload(EwhSigning *signing, EwhBytes *payload, bool *sent)
{
	EwhMessage	message = {NULL, 0, 0};

	*sent = signing->scheme->proof == EWH_PROVE_JWS;
	if (*sent)
		return make_claims(signing, payload);
	if (ewh_template_render(signing->scheme->messages[0], &signing->view, &message) != NULL)
		return false;
	*payload = ewh_message_join(&message);
	return true;
}

/* Make the compact JWS; false where the key fits no algorithm of the row. */
bool
ewh_jose_sign(EwhSigning *signing, const EwhKey *key, EwhBytes *compact)
{
	EwhSigner	signer;
	EwhDigest	digest;
	const char *alg = choose_algorithm(signing->scheme, key, &signer, &digest);
	EwhBytes	header,
				payload,
				signature;
	EwhBytes	parts[3];
	EwhMessage	message = {parts, 3, 3};
	bool		sent;

	if (alg == NULL)
		return false;
	header = make_header(signing, alg);
	if (ewh_document_json(header, &signing->view.jose) != EWH_READ_OK || !make_payload(signing, &payload, &sent))
		return false;
	parts[0] = base64url(header);
	parts[1] = ewh_bytes(".");
	parts[2] = base64url(payload);
	if (!ewh_signature_make(key, signer, digest, &message, &signature))
		return false;
	signature = base64url(signature);
	*compact = ewh_bytes(psprintf("%.*s.%.*s.%.*s", (int) parts[0].len, parts[0].data,
								  sent ? (int) parts[2].len : 0, parts[2].data,
								  (int) signature.len, signature.data));
	return true;
}
