/*
 * TLS 1.2 and 1.3 with forward secrecy and authenticated ciphers only; no renegotiation, no compression, http/1.1.
 *
 * Connections keep the context they began with, so a reload disturbs none.
 */
#include "tls.h"

#include <openssl/err.h>
#include <string.h>
#include <time.h>

#include "log.h"
#include "metrics.h"

#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

static SSL_CTX *current;

/* Clients that offer h2 as well get http/1.1; those that offer no protocol we speak are served it anyway. */
static int
choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in, unsigned in_len,
				void *context)
{
	static const unsigned char ours[] = "\x08http/1.1";

	(void) ssl, (void) context;
	return SSL_select_next_proto((unsigned char **) out, out_len, ours, sizeof ours - 1, in, in_len) ==
				   OPENSSL_NPN_NEGOTIATED
			   ? SSL_TLSEXT_ERR_OK
			   : SSL_TLSEXT_ERR_NOACK;
}

static void
note_expiry(SSL_CTX *context)
{
	struct tm parts;

	if (ASN1_TIME_to_tm(X509_get0_notAfter(SSL_CTX_get0_certificate(context)), &parts))
		ewh_metrics.certificate_expires = timegm(&parts);
}

bool
ewh_tls_load(const char *certificate, const char *key)
{
	SSL_CTX *fresh = SSL_CTX_new(TLS_server_method());
	char why[200];

	ERR_clear_error();
	if (fresh && SSL_CTX_set_min_proto_version(fresh, TLS1_2_VERSION) && SSL_CTX_set_cipher_list(fresh, CIPHERS) &&
		SSL_CTX_use_certificate_chain_file(fresh, certificate) == 1 &&
		SSL_CTX_use_PrivateKey_file(fresh, key, SSL_FILETYPE_PEM) == 1 && SSL_CTX_check_private_key(fresh) == 1)
	{
		SSL_CTX_set_options(fresh, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
		SSL_CTX_set_mode(fresh, SSL_MODE_RELEASE_BUFFERS);
		SSL_CTX_set_alpn_select_cb(fresh, choose_protocol, NULL);
		note_expiry(fresh);
		SSL_CTX_free(current);
		current = fresh;
		ewh_log(EWH_LOG_INFO, "tls_loaded", "certificate=%s", ewh_log_quote(certificate));
		return true;
	}
	ERR_error_string_n(ERR_get_error(), why, sizeof why);
	ewh_log(EWH_LOG_ERROR, "tls_failed", "certificate=%s message=%s", ewh_log_quote(certificate), ewh_log_quote(why));
	SSL_CTX_free(fresh);
	return false;
}

SSL *
ewh_tls_new(void)
{
	return current ? SSL_new(current) : NULL;
}
