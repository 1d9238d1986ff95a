/*
 * certificate.c: which key a chain of certificates vouches for.
 *
 * The root is the one that our configuration pins, never the system's store nor one that a sender brings. Names, dates
 * and CA marks are checked by OpenSSL at the time of the delivery, so that an old one can be proven again.
 */
#include "postgres.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "pgtime.h"
#include "utils/timestamp.h"

#include "proof/certificate.h"

/* Leaf, intermediates and a root: nobody's chain is longer. */
#define MAX_CHAIN 8

/* OpenSSL's level 2: RSA of 2048 bits and more, no SHA-1 in a certificate's signature. */
#define AUTH_LEVEL 2

static int
no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	return -1;
}

/* The certificates of a PEM, in order; freed by the caller with sk_X509_pop_free. */
static STACK_OF(X509) *
read_certificates(EwhBytes pem)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	BIO		   *bio = BIO_new_mem_buf(pem.data, (int) pem.len);
	X509	   *cert;

	while (certs && bio && sk_X509_num(certs) < MAX_CHAIN &&
		   (cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL)
		if (sk_X509_push(certs, cert) == 0)
			X509_free(cert);
	BIO_free(bio);
	ERR_clear_error();
	return certs;
}

/* Is there a certificate in it? */
bool
ewh_chain_readable(EwhBytes pem)
{
	STACK_OF(X509) *certs = read_certificates(pem);
	bool		readable = certs && sk_X509_num(certs) > 0;

	sk_X509_pop_free(certs, X509_free);
	return readable;
}

/* Does the name end with the suffix, at the boundary of a label? */
static bool
ends_with(const char *name, size_t len, EwhBytes suffix)
{
	const char *end;

	if (len <= suffix.len)
		return false;
	end = name + len - suffix.len;
	return pg_strncasecmp(end, suffix.data, suffix.len) == 0 && (suffix.data[0] == '.' || end[-1] == '.');
}

/* A DNS name of the certificate that ends with the suffix: of subjectAltName if it has one, else the common name. */
static bool
name_ends_with(X509 *cert, EwhBytes suffix)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	X509_NAME  *subject = X509_get_subject_name(cert);
	int			last = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	bool		found = false;
	bool		any = false;

	for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++)
	{
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type != GEN_DNS)
			continue;
		any = true;
		found = found || ends_with((const char *) ASN1_STRING_get0_data(name->d.dNSName),
								   ASN1_STRING_length(name->d.dNSName), suffix);
	}
	GENERAL_NAMES_free(names);
	if (!any && last >= 0)
	{
		const ASN1_STRING *cn = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, last));

		found = ends_with((const char *) ASN1_STRING_get0_data(cn), ASN1_STRING_length(cn), suffix);
	}
	return found;
}

/* Does the chain lead from its first certificate to the root, all valid at that time? */
static bool
chain_holds(STACK_OF(X509) *chain, STACK_OF(X509) *roots, TimestampTz at)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param;
	bool		holds = store && ctx;

	for (int i = 0; holds && i < sk_X509_num(roots); i++)
		holds = X509_STORE_add_cert(store, sk_X509_value(roots, i)) == 1;
	if (holds && X509_STORE_CTX_init(ctx, store, sk_X509_value(chain, 0), chain) == 1)
	{
		param = X509_STORE_CTX_get0_param(ctx);
		X509_VERIFY_PARAM_set_time(param, (time_t) timestamptz_to_time_t(at));
		X509_VERIFY_PARAM_set_depth(param, MAX_CHAIN);
		X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
		/* The root is pinned whether or not it signed itself. */
		X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
		holds = X509_verify_cert(ctx) == 1;
	}
	else
		holds = false;
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	return holds;
}

/* The key of the first certificate, if the chain holds and its name ends with the suffix; else NULL. */
EwhKey *
ewh_chain_key(EwhBytes chain_pem, EwhBytes root_pem, EwhBytes name_suffix, TimestampTz at)
{
	STACK_OF(X509) *chain = read_certificates(chain_pem);
	STACK_OF(X509) *roots = read_certificates(root_pem);
	EVP_PKEY   *pkey = NULL;

	if (chain && roots && sk_X509_num(chain) > 0 && sk_X509_num(roots) > 0 && name_suffix.len > 0 &&
		name_ends_with(sk_X509_value(chain, 0), name_suffix) && chain_holds(chain, roots, at))
		pkey = X509_get_pubkey(sk_X509_value(chain, 0));
	sk_X509_pop_free(chain, X509_free);
	sk_X509_pop_free(roots, X509_free);
	return ewh_key_adopt(pkey, false);
}
