/*
 * credential.h: API keys and access tokens put where a provider wants them.
 */
#ifndef EWH_CREDENTIAL_H
#define EWH_CREDENTIAL_H

#include "postgres.h"

#include "bytes.h"

extern char *ewh_credential_fill(const char *template, const char *user, EwhBytes secret, const char *token);
extern const char *ewh_token_cached(int32 company_id, int32 source_id);
extern void ewh_token_keep(int32 company_id, int32 source_id, const char *token, int seconds);
extern void ewh_token_forget(int32 company_id, int32 source_id);

#endif							/* EWH_CREDENTIAL_H */
