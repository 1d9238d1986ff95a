/*
 * cipher.c: AES-GCM, AES-CBC with HMAC, RSA-OAEP.
 *
 * Plaintext is released only after its tag was found good.
 */
#include "postgres.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "proof/cipher.h"
#include "proof/signature.h"

#define AES_BLOCK 16
#define CBC_HS256_KEY 32		/* 16 bytes for the MAC, then 16 for AES (RFC 7518 section 5.2.3) */
#define CBC_HS256_TAG 16

static const unsigned char *
u(EwhBytes bytes)
{
	return (const unsigned char *) bytes.data;
}

static const EVP_CIPHER *
gcm_of(size_t key_len)
{
	switch (key_len)
	{
		case 16:
			return EVP_aes_128_gcm();
		case 24:
			return EVP_aes_192_gcm();
		case 32:
			return EVP_aes_256_gcm();
		default:
			return NULL;
	}
}

/* Decrypt; which lengths of nonce are right is for the caller to say. */
bool
ewh_gcm_open(EwhBytes key, EwhBytes nonce, EwhBytes aad, EwhBytes ciphertext, EwhBytes tag, EwhBytes *plain)
{
	const EVP_CIPHER *cipher = gcm_of(key.len);
	EVP_CIPHER_CTX *ctx;
	unsigned char *out;
	int			len = 0,
				last = 0;
	bool		ok;

	if (cipher == NULL || nonce.len == 0 || nonce.len > EWH_GCM_MAX_NONCE || tag.len != EWH_GCM_TAG)
		return false;
	out = palloc(ciphertext.len + 1);
	ctx = EVP_CIPHER_CTX_new();
	ok = ctx && EVP_DecryptInit_ex2(ctx, cipher, NULL, NULL, NULL) == 1 &&
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, (int) nonce.len, NULL) == 1 &&
		EVP_DecryptInit_ex2(ctx, NULL, u(key), u(nonce), NULL) == 1 &&
		(aad.len == 0 || EVP_DecryptUpdate(ctx, NULL, &len, u(aad), (int) aad.len) == 1) &&
		EVP_DecryptUpdate(ctx, out, &len, u(ciphertext), (int) ciphertext.len) == 1 &&
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, EWH_GCM_TAG, (void *) tag.data) == 1 &&
		EVP_DecryptFinal_ex(ctx, out + len, &last) == 1;
	EVP_CIPHER_CTX_free(ctx);
	ERR_clear_error();
	if (!ok)
	{
		ewh_wipe(out, ciphertext.len);
		return false;
	}
	out[len + last] = '\0';
	plain->data = (char *) out;
	plain->len = len + last;
	return true;
}

/* Encrypt into plain.len bytes of ciphertext and EWH_GCM_TAG of tag. */
bool
ewh_gcm_seal(EwhBytes key, EwhBytes nonce, EwhBytes aad, EwhBytes plain, unsigned char *ciphertext,
			 unsigned char *tag)
{
	const EVP_CIPHER *cipher = gcm_of(key.len);
	EVP_CIPHER_CTX *ctx;
	int			len = 0,
				last = 0;
	bool		ok;

	if (cipher == NULL || nonce.len != EWH_GCM_NONCE)
		return false;
	ctx = EVP_CIPHER_CTX_new();
	ok = ctx && EVP_EncryptInit_ex2(ctx, cipher, u(key), u(nonce), NULL) == 1 &&
		(aad.len == 0 || EVP_EncryptUpdate(ctx, NULL, &len, u(aad), (int) aad.len) == 1) &&
		EVP_EncryptUpdate(ctx, ciphertext, &len, u(plain), (int) plain.len) == 1 &&
		EVP_EncryptFinal_ex(ctx, ciphertext + len, &last) == 1 &&
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, EWH_GCM_TAG, tag) == 1;
	EVP_CIPHER_CTX_free(ctx);
	ERR_clear_error();
	return ok;
}

/* The tag of A128CBC-HS256: HMAC over AAD, IV, ciphertext and the AAD's length in bits (RFC 7518 section 5.2.2.1). */
static bool
cbc_hs256_tag_holds(EwhBytes mac_key, EwhBytes iv, EwhBytes aad, EwhBytes ciphertext, EwhBytes tag)
{
	uint64		bits = (uint64) aad.len * 8;
	unsigned char length[8];
	unsigned char mac[EWH_MAX_MAC];
	EwhBytes	parts[] = {aad, iv, ciphertext, {(char *) length, sizeof(length)}};
	EwhMessage	message = {parts, lengthof(parts), lengthof(parts)};
	EwhKey	   *key = ewh_key_shared(EWH_SHA256, mac_key);

	for (int i = 0; i < 8; i++)
		length[i] = (unsigned char) (bits >> (56 - 8 * i));
	return key && ewh_hmac(key, &message, mac) && ewh_constant_equal(mac, tag.data, CBC_HS256_TAG);
}

bool
ewh_cbc_hs256_open(EwhBytes key, EwhBytes iv, EwhBytes aad, EwhBytes ciphertext, EwhBytes tag, EwhBytes *plain)
{
	EwhBytes	mac_key = {key.data, CBC_HS256_KEY / 2};
	EVP_CIPHER_CTX *ctx;
	unsigned char *out;
	int			len = 0,
				last = 0;
	bool		ok;

	if (key.len != CBC_HS256_KEY || iv.len != AES_BLOCK || tag.len != CBC_HS256_TAG ||
		!cbc_hs256_tag_holds(mac_key, iv, aad, ciphertext, tag))
		return false;
	out = palloc(ciphertext.len + AES_BLOCK + 1);
	ctx = EVP_CIPHER_CTX_new();
	ok = ctx && EVP_DecryptInit_ex2(ctx, EVP_aes_128_cbc(), u(key) + CBC_HS256_KEY / 2, u(iv), NULL) == 1 &&
		EVP_DecryptUpdate(ctx, out, &len, u(ciphertext), (int) ciphertext.len) == 1 &&
		EVP_DecryptFinal_ex(ctx, out + len, &last) == 1;
	EVP_CIPHER_CTX_free(ctx);
	ERR_clear_error();
	plain->data = (char *) out;
	plain->len = ok ? len + last : 0;
	return ok;
}

/* RSAES-OAEP with SHA-256 for the hash and MGF1 (RFC 7518 section 4.3). */
bool
ewh_rsa_oaep256_open(const EwhKey *key, EwhBytes ciphertext, EwhBytes *plain)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key->pkey, NULL);
	OSSL_PARAM	params[4];
	size_t		len = EVP_PKEY_get_size(key->pkey);
	unsigned char *out = palloc(len);
	bool		ok;

	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_ASYM_CIPHER_PARAM_PAD_MODE, "oaep", 0);
	params[1] = OSSL_PARAM_construct_utf8_string(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, "SHA2-256", 0);
	params[2] = OSSL_PARAM_construct_utf8_string(OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST, "SHA2-256", 0);
	params[3] = OSSL_PARAM_construct_end();
	ok = ctx && EVP_PKEY_get_base_id(key->pkey) == EVP_PKEY_RSA && EVP_PKEY_decrypt_init_ex(ctx, params) == 1 &&
		EVP_PKEY_decrypt(ctx, out, &len, u(ciphertext), ciphertext.len) == 1;
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	plain->data = (char *) out;
	plain->len = ok ? len : 0;
	return ok;
}
