/*
 * trial.h: one question put to one request: what the steps of a proof share.
 *
 * A step answers with a verdict's reason, or NULL where it found nothing wrong.
 */
#ifndef EWH_TRIAL_H
#define EWH_TRIAL_H

#include "postgres.h"

#include "proof/jose.h"
#include "proof/verify.h"

/* Most sources have one secret, or two in a rotation. */
#define EWH_FEW_SECRETS 4

typedef struct EwhTrial
{
	EwhScheme  *scheme;
	EwhSecret  *few[EWH_FEW_SECRETS];
	EwhSecret **secrets;		/* those that count: of purpose verify, valid at that time */
	int			nsecrets;
	TimestampTz at;
	bool		named;			/* at least one secret that counts has a key_id */
	EwhView		view;
	EwhSigList	list;
	EwhVerdict *verdict;
} EwhTrial;

extern bool ewh_trial_serves(const EwhTrial *trial, const EwhSecret *secret, EwhBytes kid);
extern bool ewh_trial_knows(const EwhTrial *trial, EwhBytes kid);

extern const char *ewh_trial_need(EwhTrial *trial, const EwhPlace *place, EwhBytes *value);
extern const char *ewh_trial_signatures(EwhTrial *trial, EwhBytes *raw);
extern const char *ewh_trial_time(EwhTrial *trial);
extern const char *ewh_trial_fresh(const EwhTrial *trial);

extern const char *ewh_prove_signed(EwhTrial *trial);
extern const char *ewh_prove_equal(EwhTrial *trial, EwhBytes raw);
extern const char *ewh_prove_jws(EwhTrial *trial, const EwhJws *jws);
extern const char *ewh_prove_detached(EwhTrial *trial, const EwhJws *jws);

#endif							/* EWH_TRIAL_H */
