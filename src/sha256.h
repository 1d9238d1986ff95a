/*
 * sha256.h: the SHA-256 of bytes that lie side by side.
 */
#ifndef EWH_SHA256_H
#define EWH_SHA256_H

#include <stddef.h>

#define EWH_SHA256_LEN 32

extern void ewh_sha256(const void *data, size_t len, void *digest);

#endif							/* EWH_SHA256_H */
