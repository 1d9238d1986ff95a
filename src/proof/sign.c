/*
 * sign.c: a scheme run the other way round.
 *
 * What the row reads from a request is put there first (identifiers, timestamp, key name), unless the caller gave it;
 * then the same template that verify renders is signed. Headers that are given are never changed.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/timestamp.h"

#include "proof/jose_sign.h"
#include "proof/sign.h"

#define RANDOM_ID 16			/* bytes */
#define SPARE_HEADERS 32

static void
refuse(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("requests of this provider cannot be signed here"),
			 errdetail("%s", detail)));
}

static void
set_header(EwhSigning *signing, EwhBytes name, EwhBytes value)
{
	EwhRequest *request = signing->request;
	EwhHeader  *header;

	for (int i = 0; i < request->nheaders; i++)
	{
		if (ewh_bytes_equal(request->headers[i].name, name))
		{
			request->headers[i].value = value;
			return;
		}
	}
	if (request->nheaders == signing->room)
		refuse("It needs more headers than any provider has.");
	header = &request->headers[request->nheaders++];
	header->name = name;
	header->value = value;
	header->repeated = false;
}

/* The header that a place may be: its first name. */
static EwhBytes
header_of(const EwhPlace *place)
{
	return ewh_bytes(place->names.items[0]);
}

static bool
is_there(EwhSigning *signing, const EwhPlace *place)
{
	EwhBytes	value;

	return ewh_place_read(place, &signing->view, &value) != EWH_NOT_FOUND;
}

/* A value that no other request has, for identifiers and nonces. */
static EwhBytes
fresh_id(const char *prefix)
{
	unsigned char random[RANDOM_ID];
	char		hex[2 * RANDOM_ID + 1] = {0};

	if (!ewh_random(random, sizeof(random)))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("no random bytes")));
	ewh_hex_encode(random, sizeof(random), hex);
	return ewh_bytes(psprintf("%s%s", prefix, hex));
}

/* Headers that the template needs and nobody gave: a time where the name says so, else an identifier. */
static void
fill_headers(EwhSigning *signing)
{
	ListCell   *cell;

	foreach(cell, ewh_template_needs(signing->scheme->messages[0], NIL))
	{
		const EwhPlace *place = lfirst(cell);
		EwhBytes	name = header_of(place);

		if (is_there(signing, place))
			continue;
		if (ewh_bytes_find(name, ewh_bytes("timestamp")) < name.len)
			set_header(signing, name, ewh_bytes(ewh_stamp_write(EWH_SECONDS, signing->at)));
		else
			set_header(signing, name, fresh_id(ewh_bytes_is(name, "webhook-id") ? "msg_" : ""));
	}
}

/* The timestamp: as given, or now in the row's unit; of a list or claim it is placed with the signature. */
static void
fill_time(EwhSigning *signing)
{
	const EwhScheme *scheme = signing->scheme;

	if (scheme->ts_from == NULL)
		return;
	if (scheme->ts_from->kind == EWH_AT_HEADER && is_there(signing, scheme->ts_from))
	{
		ewh_place_read(scheme->ts_from, &signing->view, &signing->view.ts);
		return;
	}
	signing->view.ts = ewh_bytes(ewh_stamp_write(scheme->ts_unit, signing->at));
	if (scheme->ts_from->kind == EWH_AT_HEADER)
		set_header(signing, header_of(scheme->ts_from), signing->view.ts);
	else if (scheme->ts_from->kind != EWH_AT_SIG && scheme->ts_from->kind != EWH_AT_CLAIM)
		refuse("Its timestamp sits inside the body.");
}

/* The name of the key: that of the signing secret, else of one that verifies what it signs. */
static void
name_key(EwhSigning *signing, const EwhSecret *secret, const EwhSecret *secrets, int nsecrets)
{
	signing->key_name = secret->key_id;
	for (int i = 0; i < nsecrets && signing->key_name == NULL; i++)
		if (ewh_secret_counts(&secrets[i], "verify", signing->at))
			signing->key_name = secrets[i].key_id;
	if (signing->key_name == NULL)
		signing->key_name = signing->scheme->cert_url_default;
}

/* What says which key and algorithm were used. */
static void
fill_key_headers(EwhSigning *signing)
{
	const EwhScheme *scheme = signing->scheme;

	if (scheme->kid && scheme->kid->kind == EWH_AT_HEADER && !is_there(signing, scheme->kid))
		set_header(signing, header_of(scheme->kid), ewh_bytes(signing->key_name ? signing->key_name : "default"));
	if (scheme->alg_header && scheme->alg_header->kind == EWH_AT_HEADER)
		set_header(signing, header_of(scheme->alg_header), ewh_bytes(scheme->alg_header_must));
}

/* sig:NAME of header_values:NAME: the names of all headers that are there. */
static void
fill_header_list(EwhSigning *signing)
{
	EwhBytes	name = ewh_template_header_list(signing->scheme->messages[0]);
	StringInfoData names;

	if (name.data == NULL)
		return;
	initStringInfo(&names);
	for (int i = 0; i < signing->request->nheaders; i++)
		appendStringInfo(&names, "%s%.*s", i > 0 ? " " : "", (int) signing->request->headers[i].name.len,
						 signing->request->headers[i].name.data);
	signing->list.named[0].name = name;
	signing->list.named[0].value = ewh_bytes(names.data);
	signing->list.nnamed = 1;
}

static EwhBytes
encode(EwhEncoding encoding, EwhBytes signature)
{
	char	   *text = palloc(2 * signature.len + 4);
	EwhBytes	encoded = {text, 2 * signature.len};

	if (encoding == EWH_IN_HEX)
		ewh_hex_encode((const unsigned char *) signature.data, signature.len, text);
	else
		encoded.len = ewh_base64_encode(signature, encoding == EWH_IN_BASE64 ? EWH_BASE64 : EWH_BASE64URL, text);
	return encoded;
}

static EwhMessage
render(EwhSigning *signing, const EwhTemplate *template)
{
	EwhMessage	message = {NULL, 0, 0};
	const char *reason = ewh_template_render(template, &signing->view, &message);

	if (reason)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the request lacks something that this provider signs: %s", reason)));
	return message;
}

/* Sign with one secret; false where it holds no key for it. */
static bool
sign_with(EwhSigning *signing, EwhSecret *secret, EwhBytes *value)
{
	const EwhScheme *scheme = signing->scheme;
	unsigned char *mac = palloc(EWH_MAX_MAC);
	EwhBytes	signature = {(char *) mac, ewh_digest_size(scheme->digest)};
	EwhMessage	message;
	EwhKey	   *key;

	signing->view.secret = secret->value;
	switch (scheme->proof)
	{
		case EWH_PROVE_EQUAL:
			message = render(signing, scheme->expected);
			*value = ewh_message_join(&message);
			return true;
		case EWH_PROVE_HMAC:
			key = ewh_secret_key(scheme, secret);
			message = render(signing, scheme->messages[0]);
			if (key == NULL || !ewh_hmac(key, &message, mac))
				return false;
			break;
		case EWH_PROVE_DIGEST:
			message = render(signing, scheme->messages[0]);
			if (!ewh_digest(scheme->digest, &message, mac))
				return false;
			break;
		case EWH_PROVE_PUBLIC:
			key = ewh_secret_private_key(scheme, secret);
			message = render(signing, scheme->messages[0]);
			if (key == NULL || !ewh_signature_make(key, scheme->signer, scheme->digest, &message, &signature))
				return false;
			break;
		default:
			return ewh_jose_sign(signing, ewh_secret_private_key(scheme, secret), value);
	}
	*value = encode(scheme->encoding, signature);
	return true;
}

/* The name a signature has in a list of names: the row's, or where the request or the settings say it. */
static EwhBytes
signature_name(EwhSigning *signing)
{
	const EwhScheme *scheme = signing->scheme;
	EwhBytes	name = {NULL, 0};

	if (scheme->wanted_from == NULL)
		return ewh_bytes(scheme->list.wanted.items[0]);
	if (ewh_place_read(scheme->wanted_from, &signing->view, &name) != EWH_FOUND)
		refuse("The name that its signature has is not known.");
	return name;
}

/* One item of the signature header, as siglist.c reads it. */
static void
append_item(EwhSigning *signing, EwhBytes value, StringInfo header)
{
	const EwhListRule *rule = &signing->scheme->list;

	if (rule->split.data == NULL && rule->strip)
		appendStringInfoString(header, rule->strip);
	if (rule->split.data && !rule->first && rule->fields.count == 0)
	{
		EwhBytes	name = signature_name(signing);

		appendStringInfo(header, "%.*s%s", (int) name.len, name.data, rule->kv.data);
	}
	for (int i = 0; i < rule->fields.count - 1; i++)
	{
		bool		kid = strcmp(rule->fields.items[i], "kid") == 0;

		appendStringInfo(header, "%s%s", kid ? (signing->key_name ? signing->key_name : "default") :
						 rule->alg_must ? rule->alg_must : "", rule->by.data);
	}
	appendBinaryStringInfo(header, value.data, (int) value.len);
}

/* The timestamp and the other named values, before the signatures. */
static void
append_named(const EwhSigning *signing, StringInfo header)
{
	const EwhScheme *scheme = signing->scheme;
	const EwhListRule *rule = &scheme->list;

	if (rule->holds_ts && rule->first)
		appendStringInfo(header, "%s%s", signing->view.ts.data, rule->split.data);
	else if (rule->holds_ts)
		appendStringInfo(header, "%s%s%s%s", scheme->ts_from->names.items[0], rule->kv.data,
						 signing->view.ts.data, rule->split.data);
	for (int i = 0; i < signing->list.nnamed; i++)
		appendStringInfo(header, "%.*s%s%.*s%s", (int) signing->list.named[i].name.len,
						 signing->list.named[i].name.data, rule->kv.data, (int) signing->list.named[i].value.len,
						 signing->list.named[i].value.data, rule->split.data);
}

/* Which purpose signs: its own secrets if there are any at that time, else the shared ones. */
static const char *
signing_purpose(const EwhScheme *scheme, const EwhSecret *secrets, int nsecrets, TimestampTz at)
{
	for (int i = 0; i < nsecrets; i++)
		if (ewh_secret_counts(&secrets[i], "sign", at))
			return "sign";
	if (scheme->key == EWH_KEY_PUBLIC || scheme->key == EWH_KEY_X509_CHAIN)
		refuse("It signs with a private key, and the source has no secret of purpose sign that holds one.");
	return "verify";
}

/* Sign with every secret that counts where the header is a list, else with the first. */
static void
append_signatures(EwhSigning *signing, EwhSecret *secrets, int nsecrets, StringInfo header)
{
	const char *purpose = signing_purpose(signing->scheme, secrets, nsecrets, signing->at);
	const char *separator = signing->scheme->list.split.data;
	int			made = 0;

	for (int i = 0; i < nsecrets && (made == 0 || separator); i++)
	{
		EwhBytes	value;

		if (!ewh_secret_counts(&secrets[i], purpose, signing->at))
			continue;
		name_key(signing, &secrets[i], secrets, nsecrets);
		fill_key_headers(signing);
		if (!sign_with(signing, &secrets[i], &value))
			refuse("A secret of the source holds no key of the type that this provider signs with.");
		if (made++ > 0)
			appendStringInfoString(header, separator);
		append_item(signing, value, header);
	}
	if (made == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the source has no secret that is valid at that time")));
}

/* No scheme can write a time before 1970, nor one that never comes. */
static void
check_time(TimestampTz at)
{
	if (TIMESTAMP_NOT_FINITE(at) || timestamptz_to_time_t(at) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("requests cannot be signed for that time")));
}

/* Room for what will be added; a header given twice cannot be kept and signed. */
static void
copy_headers(EwhSigning *signing)
{
	EwhRequest *request = signing->request;
	EwhHeader  *headers = palloc(sizeof(EwhHeader) * (request->nheaders + SPARE_HEADERS));

	for (int i = 0; i < request->nheaders; i++)
	{
		headers[i] = request->headers[i];
		if (headers[i].repeated)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("header \"%.*s\" is given more than once", (int) headers[i].name.len,
							headers[i].name.data)));
	}
	request->headers = headers;
	signing->room = request->nheaders + SPARE_HEADERS;
}

void
ewh_sign(EwhScheme *scheme, EwhSecret *secrets, int nsecrets, EwhRequest *request, TimestampTz at)
{
	EwhSigning	signing = {0};
	StringInfoData header;

	check_time(at);
	signing.scheme = scheme;
	signing.request = request;
	signing.at = at;
	signing.view.request = request;
	signing.view.list = &signing.list;
	signing.view.url = request->url.data ? request->url : ewh_bytes(ewh_setting(request, "url"));
	if (scheme->proof == EWH_PROVE_NOTHING)
		return;
	if (scheme->proof == EWH_PROVE_DECRYPT || scheme->sig_from->kind != EWH_AT_HEADER)
		refuse("Its signature sits inside the body.");
	copy_headers(&signing);
	fill_time(&signing);
	if (scheme->nmessages > 0)
	{
		fill_headers(&signing);
		fill_header_list(&signing);
	}
	initStringInfo(&header);
	append_named(&signing, &header);
	append_signatures(&signing, secrets, nsecrets, &header);
	set_header(&signing, header_of(scheme->sig_from), ewh_bytes(header.data));
}

static JsonbValue
text_value(EwhBytes text)
{
	JsonbValue	v;

	v.type = jbvString;
	v.val.string.val = (char *) text.data;
	v.val.string.len = (int) text.len;
	return v;
}

/* Was this header given, in any case? Then its name is spelled as the caller did. */
static void
take_spelling(const EwhHeader *header, Jsonb *given, EwhBytes *spelling)
{
	JsonbIterator *it = JsonbIteratorInit(&given->root);
	JsonbIteratorToken token;
	JsonbValue	v;

	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token != WJB_KEY || v.val.string.len != (int) header->name.len ||
			pg_strncasecmp(v.val.string.val, header->name.data, header->name.len) != 0)
			continue;
		spelling->data = v.val.string.val;
		spelling->len = v.val.string.len;
	}
}

Jsonb *
ewh_signed_headers(Jsonb *given, const EwhRequest *request)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < request->nheaders; i++)
	{
		EwhBytes	name = request->headers[i].name;
		JsonbValue	key;
		JsonbValue	value = text_value(request->headers[i].value);

		take_spelling(&request->headers[i], given, &name);
		key = text_value(name);
		pushJsonbValue(&state, WJB_KEY, &key);
		pushJsonbValue(&state, WJB_VALUE, &value);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}
