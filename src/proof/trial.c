/*
 * trial.c: the steps that all proofs begin and end with: which secrets count, where the signatures are, when it was
 * signed, and whether that is fresh.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "proof/trial.h"

/* Which secrets may prove a signature made with the key of this name? Without names among them, all. */
bool
ewh_trial_serves(const EwhTrial *trial, const EwhSecret *secret, EwhBytes kid)
{
	return kid.data == NULL || !trial->named ||
		(secret->key_id && ewh_bytes_equal(kid, ewh_bytes(secret->key_id)));
}

bool
ewh_trial_knows(const EwhTrial *trial, EwhBytes kid)
{
	for (int i = 0; i < trial->nsecrets; i++)
		if (ewh_trial_serves(trial, trial->secrets[i], kid))
			return true;
	return false;
}

/* A place that has to be there. */
const char *
ewh_trial_need(EwhTrial *trial, const EwhPlace *place, EwhBytes *value)
{
	switch (ewh_place_read(place, &trial->view, value))
	{
		case EWH_FOUND:
			return NULL;
		case EWH_NOT_FOUND:
			return EWH_MISSING;
		case EWH_AMBIGUOUS:
			break;
	}
	return EWH_MALFORMED;
}

/* "user:password" in base64 (RFC 7617 section 2). */
static bool
holds_credentials(EwhBytes header)
{
	EwhBytes	decoded = ewh_jose_decode(ewh_bytes_from(header, strlen("Basic ")), EWH_BASE64);

	return decoded.data && ewh_bytes_find(decoded, ewh_bytes(":")) < decoded.len;
}

/* What the sender says it signed with, and the alphabet of what it signed, as the row demands. */
static const char *
check_surroundings(EwhTrial *trial)
{
	const EwhScheme *scheme = trial->scheme;
	EwhBytes	value = {NULL, 0};
	const char *reason;

	if (scheme->charset_of)
	{
		if (ewh_place_read(scheme->charset_of, &trial->view, &value) == EWH_AMBIGUOUS ||
			!ewh_scheme_matches(scheme->charset, value))
			return EWH_MALFORMED;
	}
	if (scheme->alg_header)
	{
		reason = ewh_trial_need(trial, scheme->alg_header, &value);
		if (reason)
			return reason;
		if (!ewh_bytes_is(value, scheme->alg_header_must))
			return EWH_INVALID;
	}
	return NULL;
}

/* Find the signatures: *raw is all of the value, the list what it is made of. */
const char *
ewh_trial_signatures(EwhTrial *trial, EwhBytes *raw)
{
	const EwhScheme *scheme = trial->scheme;
	EwhBytes	wanted = {NULL, 0};
	const char *reason = ewh_trial_need(trial, scheme->sig_from, raw);

	if (reason)
		return reason;
	if (raw->len == 0)
		return EWH_MISSING;
	if (scheme->must && !ewh_scheme_matches(scheme->must, *raw))
		return EWH_MALFORMED;
	if (scheme->must_decode_colon && !holds_credentials(*raw))
		return EWH_MALFORMED;
	reason = check_surroundings(trial);
	if (reason)
		return reason;
	if (scheme->wanted_from)
	{
		reason = ewh_trial_need(trial, scheme->wanted_from, &wanted);
		if (reason)
			return reason;
	}
	reason = ewh_siglist_read(&scheme->list, *raw, wanted, &trial->list);
	trial->view.list = &trial->list;
	return reason;
}

/* Read the timestamp, keeping its text for the signed string. */
const char *
ewh_trial_time(EwhTrial *trial)
{
	const EwhScheme *scheme = trial->scheme;
	EwhVerdict *verdict = trial->verdict;
	const char *reason;

	if (scheme->ts_from == NULL)
		return NULL;
	reason = ewh_trial_need(trial, scheme->ts_from, &trial->view.ts);
	if (reason == NULL && trial->view.ts.len == 0)
		reason = EWH_MISSING;
	/* Within a signature header the timestamp is part of the syntax. */
	if (reason)
		return scheme->ts_from->kind == EWH_AT_SIG ? EWH_MALFORMED : reason;
	if (!ewh_stamp_read(scheme->ts_unit, trial->view.ts, &verdict->signed_at))
		return EWH_MALFORMED;
	verdict->has_signed_at = true;
	return NULL;
}

const char *
ewh_trial_fresh(const EwhTrial *trial)
{
	const EwhScheme *scheme = trial->scheme;
	int64		age;

	if (scheme->ts_from == NULL)
		return NULL;
	if (TIMESTAMP_NOT_FINITE(trial->at))
		return EWH_EXPIRED;
	age = trial->at - trial->verdict->signed_at;
	return age > scheme->past || -age > scheme->future ? EWH_EXPIRED : NULL;
}
