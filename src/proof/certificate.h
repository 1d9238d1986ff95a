/*
 * certificate.h: chains of X.509 certificates up to a root of our own choosing.
 */
#ifndef EWH_CERTIFICATE_H
#define EWH_CERTIFICATE_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "proof/key.h"

extern bool ewh_chain_readable(EwhBytes pem);
extern EwhKey *ewh_chain_key(EwhBytes chain_pem, EwhBytes root_pem, EwhBytes name_suffix, TimestampTz at);

#endif							/* EWH_CERTIFICATE_H */
