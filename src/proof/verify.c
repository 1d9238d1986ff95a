/*
 * verify.c: is this request genuine?
 *
 * The order of the questions decides the reason that is given: is the signature there and of a readable form; is the
 * timestamp; is what must be signed; is there a key; does any signature hold under any of them; and only then, is it
 * fresh. So "expired" means: genuine, but not now.
 */
#include "postgres.h"

#include "proof/decrypt.h"
#include "proof/trial.h"
#include "proof/verify.h"

/* Far beyond what any sender sends; copies of it in base64 still fit into one allocation. */
#define MAX_BODY (256 * 1024 * 1024)

/* The one signature, or the one of the item at hand. */
static const char *
prove_one(EwhTrial *trial)
{
	EwhBytes	raw = {NULL, 0};
	EwhJws		jws;
	const char *reason = ewh_trial_signatures(trial, &raw);

	if (reason)
		return reason;
	switch (trial->scheme->proof)
	{
		case EWH_PROVE_EQUAL:
			return ewh_prove_equal(trial, raw);
		case EWH_PROVE_JWS:
		case EWH_PROVE_JWS_DETACHED:
			reason = ewh_jws_read(trial->scheme, trial->list.candidates[0].signature, &jws);
			if (reason)
				return reason;
			if (!ewh_trial_knows(trial, jws.kid))
				return EWH_UNKNOWN_KEY;
			trial->view.jose = jws.header;
			return trial->scheme->proof == EWH_PROVE_JWS ? ewh_prove_jws(trial, &jws) : ewh_prove_detached(trial, &jws);
		default:
			return ewh_prove_signed(trial);
	}
}

/* Every element of the array must prove itself: one forged item refuses all. */
static const char *
prove_each(EwhTrial *trial)
{
	EwhDocument *doc = ewh_view_json(&trial->view);
	EwhReadStatus status = EWH_READ_OK;
	EwhNode		array = doc ? ewh_document_find(doc, 0, trial->scheme->each, &status) : -1;
	const char *reason = EWH_MALFORMED;

	if (doc == NULL || status != EWH_READ_OK || array < 0 || ewh_node_type(doc, array) != EWH_ARRAY)
		return EWH_MALFORMED;
	for (EwhNode n = ewh_node_first(doc, array); n >= 0; n = ewh_node_next(doc, n))
	{
		trial->view.item = trial->scheme->item ? ewh_document_find(doc, n, trial->scheme->item, &status) : n;
		if (trial->view.item < 0 || status != EWH_READ_OK)
			return EWH_MALFORMED;
		reason = prove_one(trial);
		if (reason)
			return reason;
	}
	return reason;
}

/* Which secrets count, and whether any is chosen by its name. */
static void
sift_secrets(EwhTrial *trial, EwhSecret *secrets, int nsecrets)
{
	trial->secrets = nsecrets <= EWH_FEW_SECRETS ? trial->few : palloc(sizeof(EwhSecret *) * nsecrets);
	for (int i = 0; i < nsecrets; i++)
	{
		if (!ewh_secret_counts(&secrets[i], "verify", trial->at))
			continue;
		trial->secrets[trial->nsecrets++] = &secrets[i];
		trial->named |= secrets[i].key_id != NULL;
	}
}

static const char *
prove(EwhTrial *trial)
{
	if (trial->scheme->proof == EWH_PROVE_NOTHING)
		return EWH_UNSIGNED;
	if (trial->scheme->proof == EWH_PROVE_DECRYPT)
		return NULL;
	if (trial->nsecrets == 0)
		return EWH_NO_SECRET;
	return trial->scheme->each ? prove_each(trial) : prove_one(trial);
}

void
ewh_verify(EwhScheme *scheme, EwhSecret *secrets, int nsecrets, const EwhRequest *request, TimestampTz at,
		   EwhVerdict *verdict)
{
	EwhTrial	trial;

	/* Not the list, which is large and filled when read. */
	memset(&trial, 0, offsetof(EwhTrial, list));
	trial.verdict = verdict;
	trial.scheme = scheme;
	trial.at = at;
	sift_secrets(&trial, secrets, nsecrets);
	trial.view.request = request;
	trial.view.url = request->url;
	memset(verdict, 0, sizeof(*verdict));
	verdict->content = request->body;
	verdict->scheme = scheme;
	verdict->at = at;
	verdict->reason = request->body.len > MAX_BODY ? EWH_MALFORMED : prove(&trial);
	if (verdict->reason == NULL && scheme->decrypt != EWH_DECRYPT_NOTHING)
		verdict->reason = ewh_decrypt(scheme, secrets, nsecrets, &trial.view, at, verdict);
	verdict->ok = verdict->reason == NULL;
	if (!verdict->ok)
		verdict->secret_id = 0;
	/* A time that nobody signed is only what a stranger says. */
	if (!verdict->ok && strcmp(verdict->reason, EWH_EXPIRED) != 0)
		verdict->has_signed_at = false;
}
