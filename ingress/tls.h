/*
 * The certificate we serve with.
 */
#ifndef EWH_TLS_H
#define EWH_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>

/* Reads certificate and key. On failure says why in the log and keeps what was served before. */
bool ewh_tls_load(const char *certificate, const char *key);

/* For one connection; NULL without TLS, or out of memory. */
SSL *ewh_tls_new(void);

#endif
