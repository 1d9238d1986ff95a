/*
 * reason.h: why a request is not proven. These words are the SQL interface: verdict.reason, counters, metrics.
 */
#ifndef EWH_REASON_H
#define EWH_REASON_H

#define EWH_INVALID			"invalid"			/* a signature that does not hold */
#define EWH_MISSING			"missing"			/* what has to be there is not */
#define EWH_EXPIRED			"expired"			/* genuine, but too old or from the future */
#define EWH_MALFORMED		"malformed"			/* cannot be read in one way only */
#define EWH_UNKNOWN_KEY		"unknown_key"		/* names a key that we do not have */
#define EWH_UNTRUSTED_CERT	"untrusted_cert"
#define EWH_DECRYPT_FAILED	"decrypt_failed"
#define EWH_UNSIGNED		"unsigned"			/* the scheme has no signature: nothing is proven, nothing refused */
#define EWH_NO_SECRET		"no_secret"			/* none of ours is valid at that time */
#define EWH_UNKNOWN_SOURCE	"unknown_source"
#define EWH_INACTIVE		"inactive"
#define EWH_HANDSHAKE		"handshake"

#endif							/* EWH_REASON_H */
