/*
 * jwk.c: keys written as JSON Web Keys (RFC 7517), alone or in a set; the private ones of them too, for who signs.
 */
#include "postgres.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/err.h>

#include "proof/key.h"
#include "reading/document.h"

#define MAX_NUMBER 1024			/* bytes: an RSA modulus of 8192 bits */

typedef struct Number
{
	unsigned char bytes[MAX_NUMBER];
	size_t		len;
} Number;

/* The base64url number at this member. */
static bool
read_number(const EwhDocument *doc, EwhNode jwk, const char *pointer, Number *number)
{
	EwhReadStatus status;
	EwhNode		node = ewh_document_find(doc, jwk, pointer, &status);
	EwhBytes	text;

	return status == EWH_READ_OK && node >= 0 && ewh_node_type(doc, node) == EWH_STRING &&
		ewh_node_text(doc, node, &text) && text.len > 0 && EWH_BASE64_DECODED_MAX(text.len) <= MAX_NUMBER &&
		ewh_base64_decode(text, EWH_BASE64URL, number->bytes, &number->len);
}

static bool
read_text(const EwhDocument *doc, EwhNode jwk, const char *pointer, EwhBytes *text)
{
	EwhReadStatus status;
	EwhNode		node = ewh_document_find(doc, jwk, pointer, &status);

	return status == EWH_READ_OK && node >= 0 && ewh_node_type(doc, node) == EWH_STRING &&
		ewh_node_text(doc, node, text);
}

static EVP_PKEY *
pkey_of_params(const char *type, int selection, OSSL_PARAM *params)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY   *pkey = NULL;

	if (ctx == NULL || params == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
		EVP_PKEY_fromdata(ctx, &pkey, selection, params) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

/* RFC 7518 section 6.3; of a private key only d is needed (section 6.3.2). */
static EVP_PKEY *
pkey_of_rsa(const EwhDocument *doc, EwhNode jwk, bool private)
{
	static const char *const MEMBERS[] = {"/n", "/e", "/d"};
	static const char *const PARAMS[] = {OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_RSA_E, OSSL_PKEY_PARAM_RSA_D};
	int			count = private ? 3 : 2;
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	BIGNUM	   *numbers[3] = {NULL, NULL, NULL};
	EVP_PKEY   *pkey = NULL;
	Number		number;
	bool		ok = build != NULL;

	for (int i = 0; ok && i < count; i++)
	{
		numbers[i] = BN_secure_new();
		ok = numbers[i] && read_number(doc, jwk, MEMBERS[i], &number) &&
			BN_bin2bn(number.bytes, (int) number.len, numbers[i]) &&
			OSSL_PARAM_BLD_push_BN(build, PARAMS[i], numbers[i]) == 1;
	}
	if (ok)
	{
		params = OSSL_PARAM_BLD_to_param(build);
		pkey = pkey_of_params("RSA", private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params);
	}
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	for (int i = 0; i < count; i++)
		BN_clear_free(numbers[i]);
	ewh_wipe(&number, sizeof(number));
	return pkey;
}

/* A private EC key: the point, and the number behind it (RFC 7518 section 6.2.2). */
static EVP_PKEY *
ec_private(char *group, unsigned char *point, size_t point_len, const Number *d)
{
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	BIGNUM	   *number = BN_secure_new();
	OSSL_PARAM *params = NULL;
	EVP_PKEY   *pkey = NULL;

	if (build && number && BN_bin2bn(d->bytes, (int) d->len, number) &&
		OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, group, 0) == 1 &&
		OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, point_len) == 1 &&
		OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, number) == 1)
	{
		params = OSSL_PARAM_BLD_to_param(build);
		pkey = pkey_of_params("EC", EVP_PKEY_KEYPAIR, params);
	}
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	BN_clear_free(number);
	return pkey;
}

/* RFC 7518 section 6.2: x and y are each as wide as the curve's field. OpenSSL refuses a point off the curve. */
static EVP_PKEY *
pkey_of_ec(const EwhDocument *doc, EwhNode jwk, bool private)
{
	static const struct
	{
		const char *crv;
		char	   *group;
		size_t		width;
	}			CURVES[] = {{"P-256", "prime256v1", 32}, {"P-384", "secp384r1", 48}, {"P-521", "secp521r1", 66}};
	EwhBytes	crv;
	Number		x,
				y,
				d;
	unsigned char point[1 + 2 * 66];
	OSSL_PARAM	params[3];

	if (!read_text(doc, jwk, "/crv", &crv) || !read_number(doc, jwk, "/x", &x) ||
		!read_number(doc, jwk, "/y", &y))
		return NULL;
	for (int i = 0; i < lengthof(CURVES); i++)
	{
		size_t		width = CURVES[i].width;

		if (!ewh_bytes_is(crv, CURVES[i].crv))
			continue;
		if (x.len != width || y.len != width)
			return NULL;
		point[0] = 4;			/* uncompressed (SEC 1 section 2.3.3) */
		memcpy(point + 1, x.bytes, width);
		memcpy(point + 1 + width, y.bytes, width);
		if (private)
		{
			EVP_PKEY   *pkey = read_number(doc, jwk, "/d", &d) ?
				ec_private(CURVES[i].group, point, 1 + 2 * width, &d) : NULL;

			ewh_wipe(&d, sizeof(d));
			return pkey;
		}
		params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, CURVES[i].group, 0);
		params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * width);
		params[2] = OSSL_PARAM_construct_end();
		return pkey_of_params("EC", EVP_PKEY_PUBLIC_KEY, params);
	}
	return NULL;
}

/* RFC 8037 section 2. */
static EVP_PKEY *
pkey_of_okp(const EwhDocument *doc, EwhNode jwk, bool private)
{
	EwhBytes	crv;
	Number		number;
	EVP_PKEY   *pkey;

	if (!read_text(doc, jwk, "/crv", &crv) || !ewh_bytes_is(crv, "Ed25519") ||
		!read_number(doc, jwk, private ? "/d" : "/x", &number))
		return NULL;
	pkey = private ? EVP_PKEY_new_raw_private_key_ex(NULL, "ED25519", NULL, number.bytes, number.len) :
		EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, number.bytes, number.len);
	ewh_wipe(&number, sizeof(number));
	return pkey;
}

/* The JWK at `index`: the document itself, or that element of its "keys". *more: there may be another behind it. */
static EwhNode
jwk_at(const EwhDocument *doc, int index, bool *more)
{
	EwhReadStatus status;
	EwhNode		keys = ewh_document_find(doc, 0, "/keys", &status);
	EwhNode		node;

	*more = false;
	if (status != EWH_READ_OK)
		return -1;
	if (keys < 0)
		return index == 0 ? 0 : -1;
	if (ewh_node_type(doc, keys) != EWH_ARRAY)
		return -1;
	node = ewh_node_first(doc, keys);
	for (int i = 0; i < index && node >= 0; i++)
		node = ewh_node_next(doc, node);
	*more = node >= 0 && ewh_node_next(doc, node) >= 0;
	return node;
}

/* The key of the JWK, or of the index-th of a JWK set; NULL where it is none that we use. */
EVP_PKEY *
ewh_pkey_of_jwk(EwhBytes json, int index, bool private, char **kid, bool *more)
{
	EwhDocument *doc;
	EwhNode		jwk;
	EwhBytes	kty;
	EwhBytes	id;

	*kid = NULL;
	*more = false;
	if (ewh_document_json(json, &doc) != EWH_READ_OK)
		return NULL;
	jwk = jwk_at(doc, index, more);
	if (jwk < 0 || ewh_node_type(doc, jwk) != EWH_OBJECT || !read_text(doc, jwk, "/kty", &kty))
		return NULL;
	if (read_text(doc, jwk, "/kid", &id))
		*kid = pnstrdup(id.data, id.len);
	if (ewh_bytes_is(kty, "RSA"))
		return pkey_of_rsa(doc, jwk, private);
	if (ewh_bytes_is(kty, "EC"))
		return pkey_of_ec(doc, jwk, private);
	if (ewh_bytes_is(kty, "OKP"))
		return pkey_of_okp(doc, jwk, private);
	return NULL;
}
