/*
 * scheme.c: from a provider's row to what verify runs.
 *
 * One function per group of members; each raises for what cannot be meant. The language is documented in scheme.h.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "mb/pg_wchar.h"
#include "regex/regex.h"
#include "utils/builtins.h"

#include "proof/cipher.h"
#include "proof/jose.h"
#include "proof/reason.h"
#include "proof/scheme.h"

static const char ROW[] = "scheme";

static const struct
{
	const char *name;
	EwhProof	proof;
	EwhDigest	digest;
	EwhSigner	signer;
} ALGORITHMS[] = {
	{"none", EWH_PROVE_NOTHING},
	{"hmac-sha1", EWH_PROVE_HMAC, EWH_SHA1},
	{"hmac-sha256", EWH_PROVE_HMAC, EWH_SHA256},
	{"hmac-sha384", EWH_PROVE_HMAC, EWH_SHA384},
	{"hmac-sha512", EWH_PROVE_HMAC, EWH_SHA512},
	{"sha1", EWH_PROVE_DIGEST, EWH_SHA1},
	{"sha256", EWH_PROVE_DIGEST, EWH_SHA256},
	{"sha384", EWH_PROVE_DIGEST, EWH_SHA384},
	{"sha512", EWH_PROVE_DIGEST, EWH_SHA512},
	{"equal", EWH_PROVE_EQUAL},
	{"rsa-sha256", EWH_PROVE_PUBLIC, EWH_SHA256, EWH_RSA_PKCS1},
	{"rsa-sha512", EWH_PROVE_PUBLIC, EWH_SHA512, EWH_RSA_PKCS1},
	{"ecdsa-sha256-der", EWH_PROVE_PUBLIC, EWH_SHA256, EWH_ECDSA_DER},
	{"ecdsa-sha512-der", EWH_PROVE_PUBLIC, EWH_SHA512, EWH_ECDSA_DER},
	{"ed25519", EWH_PROVE_PUBLIC, EWH_SHA512, EWH_ED25519},
	{"jws", EWH_PROVE_JWS},
	{"jws-detached", EWH_PROVE_JWS_DETACHED},
};

static const struct
{
	const char *name;
	EwhKeyForm	form;
} KEY_FORMS[] = {
	{"utf8", EWH_KEY_UTF8},
	{"hex", EWH_KEY_HEX},
	{"base64", EWH_KEY_BASE64},
	{"whsec", EWH_KEY_WHSEC},
	{"pem", EWH_KEY_PUBLIC},
	{"spki-b64", EWH_KEY_PUBLIC},
	{"whpk", EWH_KEY_PUBLIC},
	{"jwk", EWH_KEY_PUBLIC},
	{"x509-chain", EWH_KEY_X509_CHAIN},
};

static const char *const REASONS[] = {EWH_INVALID, EWH_MISSING, EWH_MALFORMED, EWH_UNKNOWN_KEY};

static EwhPlace *
compile_place(EwhRule row, const char *key)
{
	char	   *text = ewh_rule_text(row, key);

	return text ? ewh_place_compile(text, row.name) : NULL;
}

/* A pattern that every row of this backend may ask about; a bad one raises now and not under a request. */
static char *
compile_pattern(char *pattern)
{
	if (pattern)
		(void) ewh_scheme_matches(pattern, ewh_bytes(""));
	return pattern;
}

/* Does the pattern (POSIX with the server's advanced syntax) match the text? What is not text matches nothing. */
bool
ewh_scheme_matches(const char *pattern, EwhBytes text)
{
	if (text.data == NULL)
		text = ewh_bytes("");
	if (!pg_verify_mbstr(PG_UTF8, text.data, (int) text.len, true))
		return false;
	return RE_compile_and_execute(cstring_to_text(pattern), (char *) text.data, (int) text.len, REG_ADVANCED,
								  C_COLLATION_OID, 0, NULL);
}

static void
compile_algorithm(EwhScheme *scheme, EwhRule row)
{
	char	   *alg = ewh_rule_text(row, "alg");

	if (alg == NULL)
	{
		if (ewh_rule_object(row, "decrypt").object == NULL)
			(void) ewh_rule_need(row, "alg");
		scheme->proof = EWH_PROVE_DECRYPT;
		return;
	}
	for (int i = 0; i < lengthof(ALGORITHMS); i++)
	{
		if (strcmp(alg, ALGORITHMS[i].name) == 0)
		{
			scheme->proof = ALGORITHMS[i].proof;
			scheme->digest = ALGORITHMS[i].digest;
			scheme->signer = ALGORITHMS[i].signer;
			return;
		}
	}
	ewh_rule_refuse(row.name, "alg", alg);
}

/* A public key cannot serve an HMAC, nor text a signature: what a sender could confuse is refused here. */
static void
check_key_form(const EwhScheme *scheme, const char *key)
{
	bool		public = scheme->key == EWH_KEY_PUBLIC || scheme->key == EWH_KEY_X509_CHAIN;
	bool		wants_public = scheme->proof == EWH_PROVE_PUBLIC || scheme->proof == EWH_PROVE_JWS ||
		scheme->proof == EWH_PROVE_JWS_DETACHED;

	if (scheme->proof != EWH_PROVE_NOTHING && public != wants_public)
		ewh_rule_refuse(ROW, "key", key);
}

static void
compile_key(EwhScheme *scheme, EwhRule row)
{
	char	   *key = ewh_rule_text(row, "key");
	char	   *derive = ewh_rule_text(row, "derive");
	int			i = 0;

	scheme->key = EWH_KEY_UTF8;
	while (key && i < lengthof(KEY_FORMS) && strcmp(key, KEY_FORMS[i].name) != 0)
		i++;
	if (i == lengthof(KEY_FORMS))
		ewh_rule_refuse(row.name, "key", key);
	if (key)
		scheme->key = KEY_FORMS[i].form;
	check_key_form(scheme, key ? key : "utf8");
	scheme->derives = derive != NULL;
	if (derive && !ewh_digest_named(ewh_bytes(derive), &scheme->derive))
		ewh_rule_refuse(row.name, "derive", derive);
	scheme->kid = compile_place(row, "kid");
	scheme->secret_min = ewh_rule_integer(row, "secret_min", 8);
}

static void
compile_encoding(EwhScheme *scheme, EwhRule sig)
{
	char	   *enc = ewh_rule_text(sig, "enc");

	if (enc == NULL || strcmp(enc, "hex") == 0)
		scheme->encoding = EWH_IN_HEX;
	else if (strcmp(enc, "base64") == 0)
		scheme->encoding = EWH_IN_BASE64;
	else if (strcmp(enc, "base64url") == 0)
		scheme->encoding = EWH_IN_BASE64URL;
	else
		ewh_rule_refuse(sig.name, "enc", enc);
}

static const char *
compile_reason(EwhRule sig)
{
	char	   *reason = ewh_rule_text(sig, "absent");

	for (int i = 0; reason && i < lengthof(REASONS); i++)
		if (strcmp(reason, REASONS[i]) == 0)
			return REASONS[i];
	if (reason)
		ewh_rule_refuse(sig.name, "absent", reason);
	return EWH_INVALID;
}

/* A list needs to say what an item is. */
static void
check_list(const EwhScheme *scheme, EwhRule sig)
{
	const EwhListRule *list = &scheme->list;
	bool		named = list->kv.len > 0 && (list->wanted.count > 0 || scheme->wanted_from);
	bool		fields = list->fields.count > 0 && list->by.len > 0;

	if (list->split.data == NULL)
		return;
	if (list->split.len == 0 || (!list->first && !named && !fields))
		ewh_rule_refuse(sig.name, "split", list->split.data);
}

static void
compile_signature(EwhScheme *scheme, EwhRule row)
{
	EwhRule		sig = ewh_rule_object(row, "sig");
	EwhListRule *list = &scheme->list;

	if (scheme->proof == EWH_PROVE_NOTHING || scheme->proof == EWH_PROVE_DECRYPT)
		return;
	scheme->sig_from = ewh_place_compile(ewh_rule_need(sig, "from"), sig.name);
	scheme->wanted_from = compile_place(sig, "sig_name_from");
	scheme->must = compile_pattern(ewh_rule_text(sig, "must"));
	scheme->must_decode_colon = ewh_rule_flag(sig, "must_decode_colon");
	list->strip = ewh_rule_text(sig, "strip");
	list->strip_optional = ewh_rule_flag(sig, "strip_optional");
	list->split = ewh_bytes(ewh_rule_text(sig, "split"));
	list->trim = ewh_rule_flag(sig, "trim");
	list->kv = ewh_bytes(ewh_rule_text(sig, "kv"));
	list->first = ewh_rule_text(sig, "first");
	list->fields = ewh_rule_texts(sig, "fields");
	list->by = ewh_bytes(ewh_rule_text(sig, "by"));
	list->wanted = ewh_rule_texts(sig, "sig");
	list->alg_must = ewh_rule_text(sig, "alg_must");
	list->named_only = scheme->wanted_from != NULL;
	list->absent = compile_reason(sig);
	compile_encoding(scheme, sig);
	check_list(scheme, sig);
}

/* PLACE=REGEX of the whole value. */
static void
compile_charset(EwhScheme *scheme, EwhRule row)
{
	char	   *charset = ewh_rule_text(row, "body_charset");
	char	   *equals = charset ? strchr(charset, '=') : NULL;

	if (charset == NULL)
		return;
	if (equals == NULL)
		ewh_rule_refuse(row.name, "body_charset", charset);
	*equals = '\0';
	scheme->charset_of = ewh_place_compile(charset, row.name);
	scheme->charset = compile_pattern(psprintf("^(?:%s)$", equals + 1));
}

static void
compile_time(EwhScheme *scheme, EwhRule row)
{
	static const struct
	{
		const char *name;
		EwhTimeUnit unit;
	}			UNITS[] = {
		{"s", EWH_SECONDS}, {"ms", EWH_MILLISECONDS}, {"auto", EWH_SECONDS_OR_MILLISECONDS}, {"iso", EWH_ISO8601}
	};
	EwhRule		ts = ewh_rule_object(row, "ts");
	char	   *unit;

	scheme->past = scheme->future = -1;
	if (ts.object == NULL)
		return;
	scheme->ts_from = ewh_place_compile(ewh_rule_need(ts, "from"), ts.name);
	scheme->list.holds_ts = scheme->ts_from->kind == EWH_AT_SIG;
	if (scheme->list.holds_ts && (scheme->list.split.data == NULL || (!scheme->list.first && scheme->list.kv.len == 0)))
		ewh_rule_refuse(ts.name, "from", "the signature is no list of named values");
	if (!ewh_rule_seconds(ts, "past", &scheme->past))
		(void) ewh_rule_need(ts, "past");
	if (!ewh_rule_seconds(ts, "future", &scheme->future))
		scheme->future = scheme->past;
	unit = ewh_rule_need(ts, "unit");
	for (int i = 0; i < lengthof(UNITS); i++)
	{
		if (strcmp(unit, UNITS[i].name) == 0)
		{
			scheme->ts_unit = UNITS[i].unit;
			return;
		}
	}
	ewh_rule_refuse(ts.name, "unit", unit);
}

static void
compile_messages(EwhScheme *scheme, EwhRule row)
{
	EwhTexts	texts = ewh_rule_texts(row, "msg");
	bool		needs_message = scheme->proof == EWH_PROVE_HMAC || scheme->proof == EWH_PROVE_DIGEST ||
		scheme->proof == EWH_PROVE_PUBLIC || scheme->proof == EWH_PROVE_JWS_DETACHED;

	if (needs_message && texts.count == 0)
		(void) ewh_rule_need(row, "msg");
	scheme->nmessages = texts.count;
	scheme->signed_headers = ewh_rule_text(row, "signed_headers");
	scheme->messages = palloc0(sizeof(EwhTemplate *) * Max(texts.count, 1));
	for (int i = 0; i < texts.count; i++)
	{
		scheme->messages[i] = ewh_template_compile(texts.items[i], scheme->signed_headers, row.name);
		scheme->uses_url |= ewh_template_uses_url(scheme->messages[i]);
		scheme->uses_secret |= ewh_template_uses_secret(scheme->messages[i]);
	}
	if (scheme->proof == EWH_PROVE_DIGEST && !scheme->uses_secret)
		ewh_rule_refuse(row.name, "msg", "a plain digest without {secret} proves nothing");
	if (scheme->proof == EWH_PROVE_EQUAL)
	{
		scheme->expected = ewh_template_compile(ewh_rule_need(row, "expected"), NULL, row.name);
		if (!ewh_template_uses_secret(scheme->expected))
			ewh_rule_refuse(row.name, "expected", "a value without {secret} proves nothing");
	}
}

static void
compile_jws(EwhScheme *scheme, EwhRule row)
{
	EwhRule		claims = ewh_rule_object(row, "claims");
	char	  **names;

	scheme->jws_algs = ewh_rule_texts(row, "jws_algs");
	scheme->crit_known = ewh_rule_texts(row, "crit_known");
	scheme->must_sign = ewh_rule_texts(row, "must_sign");
	if (scheme->proof != EWH_PROVE_JWS && scheme->proof != EWH_PROVE_JWS_DETACHED)
		return;
	if (scheme->jws_algs.count == 0)
		ewh_rule_refuse(row.name, "jws_algs", "at least one algorithm must be allowed");
	for (int i = 0; i < scheme->jws_algs.count; i++)
	{
		EwhSigner	signer;
		EwhDigest	digest;

		if (!ewh_jose_algorithm(ewh_bytes(scheme->jws_algs.items[i]), &signer, &digest))
			ewh_rule_refuse(row.name, "jws_algs", scheme->jws_algs.items[i]);
	}
	names = ewh_rule_keys(claims, &scheme->nclaims);
	scheme->claims = palloc(sizeof(EwhClaim) * Max(scheme->nclaims, 1));
	for (int i = 0; i < scheme->nclaims; i++)
	{
		scheme->claims[i].pointer = psprintf("/%s", names[i]);
		scheme->claims[i].value = ewh_template_compile(ewh_rule_need(claims, names[i]), NULL, claims.name);
	}
}

static void
compile_certificate(EwhScheme *scheme, EwhRule row)
{
	EwhRule		alg_header = ewh_rule_object(row, "alg_header");

	scheme->cert_url = compile_place(row, "cert_url");
	scheme->cert_url_must = compile_pattern(ewh_rule_text(row, "cert_url_must"));
	if (scheme->cert_url && !scheme->cert_url_must)
		(void) ewh_rule_need(row, "cert_url_must");
	scheme->cert_name = ewh_rule_text(row, "cert_name");
	scheme->cert_url_default = ewh_rule_text(row, "cert_url_default");
	if (alg_header.object)
	{
		scheme->alg_header = ewh_place_compile(ewh_rule_need(alg_header, "from"), alg_header.name);
		scheme->alg_header_must = ewh_rule_need(alg_header, "must");
	}
}

/* A place; a bare pointer means the JSON body. */
static EwhPlace *
compile_member(EwhRule row, const char *key, bool needed)
{
	char	   *text = needed ? ewh_rule_need(row, key) : ewh_rule_text(row, key);

	if (text == NULL)
		return NULL;
	return ewh_place_compile(*text == '/' ? psprintf("json:%s", text) : text, row.name);
}

static void
compile_decrypt(EwhScheme *scheme, EwhRule row)
{
	EwhRule		decrypt = ewh_rule_object(row, "decrypt");
	char	   *alg;
	char	   *alphabet;

	if (decrypt.object == NULL)
		return;
	alg = ewh_rule_need(decrypt, "alg");
	if (strcmp(alg, "aes-gcm") == 0)
		scheme->decrypt = EWH_DECRYPT_AES_GCM;
	else if (strcmp(alg, "jwe") == 0)
		scheme->decrypt = EWH_DECRYPT_JWE;
	else
		ewh_rule_refuse(decrypt.name, "alg", alg);
	scheme->ciphertext = compile_member(decrypt, "ct", true);
	scheme->aad = compile_member(decrypt, "aad", false);
	scheme->nonce = compile_member(decrypt, "nonce", scheme->decrypt == EWH_DECRYPT_AES_GCM);
	scheme->key_algs = ewh_rule_texts(decrypt, "key_algs");
	scheme->content_algs = ewh_rule_texts(decrypt, "content_algs");
	scheme->iv_bytes = ewh_rule_integer(decrypt, "iv_bytes", EWH_GCM_NONCE);
	alphabet = ewh_rule_text(decrypt, "alphabet");
	if (alphabet && strcmp(alphabet, "mixed") != 0)
		ewh_rule_refuse(decrypt.name, "alphabet", alphabet);
	scheme->alphabet = alphabet ? EWH_BASE64_MIXED : EWH_BASE64URL;
}

/* Compile a row in the current memory context. */
EwhScheme *
ewh_scheme_compile(Jsonb *jsonb)
{
	EwhScheme  *scheme = palloc0(sizeof(EwhScheme));
	EwhRule		row = ewh_rule(jsonb, ROW);

	scheme->context = CurrentMemoryContext;
	compile_algorithm(scheme, row);
	compile_key(scheme, row);
	compile_signature(scheme, row);
	compile_charset(scheme, row);
	compile_time(scheme, row);
	compile_messages(scheme, row);
	compile_jws(scheme, row);
	compile_certificate(scheme, row);
	compile_decrypt(scheme, row);
	scheme->each = ewh_rule_text(row, "each");
	scheme->item = ewh_rule_text(row, "item");
	return scheme;
}
