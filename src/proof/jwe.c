/*
 * jwe.c: opening of compact JWE (RFC 7516): RSA-OAEP-256 or dir, with AES-GCM or AES-CBC and HMAC.
 *
 * Everything that fails after the form was understood fails alike (decrypt_failed), so that nobody learns whether a key
 * or a tag was wrong (RFC 7516 section 11.5).
 */
#include "postgres.h"

#include "proof/cipher.h"
#include "proof/jose.h"
#include "proof/reason.h"
#include "proof/scheme.h"

typedef enum JwePart
{
	HEADER, ENCRYPTED_KEY, IV, CIPHERTEXT, TAG, JWE_PARTS
} JwePart;

static const struct
{
	const char *name;
	size_t		key_len;
	bool		gcm;
} CONTENT[] = {
	{"A128GCM", 16, true},
	{"A192GCM", 24, true},
	{"A256GCM", 32, true},
	{"A128CBC-HS256", 32, false},
};

static bool
split(EwhBytes compact, EwhBytes parts[JWE_PARTS])
{
	EwhBytes	dot = ewh_bytes(".");

	for (int i = 0; i < JWE_PARTS; i++)
	{
		size_t		end = ewh_bytes_find(compact, dot);

		parts[i].data = compact.data;
		parts[i].len = end;
		if ((i < JWE_PARTS - 1) != (end < compact.len))
			return false;
		compact = ewh_bytes_from(compact, end + 1);
	}
	return true;
}

static bool
read_member(const EwhDocument *header, const char *pointer, EwhBytes *text)
{
	EwhReadStatus status = EWH_READ_OK;
	EwhNode		node = ewh_document_find(header, 0, pointer, &status);

	return status == EWH_READ_OK && node >= 0 && ewh_node_type(header, node) == EWH_STRING &&
		ewh_node_text(header, node, text);
}

static bool
is_present(const EwhDocument *header, const char *pointer)
{
	EwhReadStatus status = EWH_READ_OK;

	return ewh_document_find(header, 0, pointer, &status) >= 0 || status != EWH_READ_OK;
}

/* No list in the row allows all that we have: which key a source holds then decides. */
static bool
is_allowed(EwhTexts allowed, EwhBytes name)
{
	for (int i = 0; i < allowed.count; i++)
		if (ewh_bytes_is(name, allowed.items[i]))
			return true;
	return allowed.count == 0;
}

/* The content algorithm's place in the table, and whether the key is wrapped by RSA; -1 where we would not use it. */
static int
read_algorithms(const EwhScheme *scheme, EwhBytes header_json, bool *wrapped)
{
	EwhDocument *header;
	EwhBytes	alg,
				enc;

	if (header_json.data == NULL || ewh_document_json(header_json, &header) != EWH_READ_OK ||
		!read_member(header, "/alg", &alg) || !read_member(header, "/enc", &enc))
		return -1;
	/* Compressed content is a bomb in waiting, and no critical extension is understood here. */
	if (is_present(header, "/zip") || is_present(header, "/crit"))
		return -1;
	*wrapped = ewh_bytes_is(alg, "RSA-OAEP-256");
	if ((!*wrapped && !ewh_bytes_is(alg, "dir")) || !is_allowed(scheme->key_algs, alg) ||
		!is_allowed(scheme->content_algs, enc))
		return -1;
	for (int i = 0; i < lengthof(CONTENT); i++)
		if (ewh_bytes_is(enc, CONTENT[i].name))
			return i;
	return -1;
}

/* A shared key of this length: as it is, or as base64 or hex of it. */
static bool
shared_key(EwhBytes secret, size_t len, EwhBytes *key)
{
	unsigned char *out = palloc(EWH_BASE64_DECODED_MAX(secret.len) + 1);

	*key = secret;
	if (secret.len == len)
		return true;
	key->data = (char *) out;
	if (secret.len == 2 * len && ewh_hex_decode(secret, out))
	{
		key->len = len;
		return true;
	}
	return (ewh_base64_decode(secret, EWH_BASE64URL, out, &key->len) ||
			ewh_base64_decode(secret, EWH_BASE64, out, &key->len)) && key->len == len;
}

/* Could this secret open anything that the row allows? */
bool
ewh_jose_decrypt_key_readable(const EwhScheme *scheme, EwhBytes secret)
{
	EwhBytes	key;

	if (is_allowed(scheme->key_algs, ewh_bytes("RSA-OAEP-256")) && ewh_key_private(secret) != NULL)
		return true;
	for (int i = 0; is_allowed(scheme->key_algs, ewh_bytes("dir")) && i < lengthof(CONTENT); i++)
		if (is_allowed(scheme->content_algs, ewh_bytes(CONTENT[i].name)) &&
			shared_key(secret, CONTENT[i].key_len, &key))
			return true;
	return false;
}

/* Open a JWE with one secret, or the private key in it; a reason, or NULL with the plaintext. */
const char *
ewh_jwe_open(const EwhScheme *scheme, EwhBytes compact, EwhBytes secret, EwhKey *private_key, EwhBytes *plain)
{
	EwhBytes	text[JWE_PARTS];
	EwhBytes	part[JWE_PARTS];
	EwhBytes	key;
	bool		wrapped;
	bool		opened;
	int			content;

	if (!split(compact, text))
		return EWH_MALFORMED;
	for (int i = 0; i < JWE_PARTS; i++)
	{
		part[i] = ewh_jose_decode(text[i], scheme->alphabet);
		if (part[i].data == NULL)
			return EWH_MALFORMED;
	}
	content = read_algorithms(scheme, part[HEADER], &wrapped);
	if (content < 0)
		return EWH_MALFORMED;
	if (wrapped)
		opened = private_key && ewh_rsa_oaep256_open(private_key, part[ENCRYPTED_KEY], &key);
	else
		opened = private_key == NULL && part[ENCRYPTED_KEY].len == 0 &&
			shared_key(secret, CONTENT[content].key_len, &key);
	if (!opened)
		return EWH_DECRYPT_FAILED;
	if (key.len != CONTENT[content].key_len)
		opened = false;
	else if (CONTENT[content].gcm)
		opened = (part[IV].len == EWH_GCM_NONCE || part[IV].len == (size_t) scheme->iv_bytes) &&
			ewh_gcm_open(key, part[IV], text[HEADER], part[CIPHERTEXT], part[TAG], plain);
	else
		opened = ewh_cbc_hs256_open(key, part[IV], text[HEADER], part[CIPHERTEXT], part[TAG], plain);
	if (key.data != secret.data)
		ewh_wipe((void *) key.data, key.len);
	return opened ? NULL : EWH_DECRYPT_FAILED;
}
