/*
 * sha256.c: the SHA-256 of bytes that lie side by side.
 *
 * The server's own makes a context and looks the algorithm up each time, which for the hundred bytes of a voucher takes
 * longer than to hash them. Both are made once here, and kept for the life of the process.
 */
#include "postgres.h"

#include <openssl/evp.h>

#include "sha256.h"

void
ewh_sha256(const void *data, size_t len, void *digest)
{
	static EVP_MD *md;
	static EVP_MD_CTX *ctx;

	if (md == NULL)
		md = EVP_MD_fetch(NULL, "SHA2-256", NULL);
	if (ctx == NULL)
		ctx = EVP_MD_CTX_new();
	if (md == NULL || ctx == NULL || EVP_DigestInit_ex2(ctx, md, NULL) != 1 ||
		EVP_DigestUpdate(ctx, data, len) != 1 || EVP_DigestFinal_ex(ctx, digest, NULL) != 1)
		elog(ERROR, "could not compute a sha256");
}
