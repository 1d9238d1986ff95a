/*
 * prove_jose.c: JWTs whose claims speak of the request, and JWS whose payload is the request.
 */
#include "postgres.h"

#include "proof/signature.h"
#include "proof/trial.h"

/* Each claim that the row names must read what its template renders (the body's digest …). */
static const char *
check_claims(EwhTrial *trial)
{
	const EwhScheme *scheme = trial->scheme;

	for (int i = 0; i < scheme->nclaims; i++)
	{
		EwhPlace	place = {EWH_AT_CLAIM, {&scheme->claims[i].pointer, 1}};
		EwhMessage	message = {NULL, 0, 0};
		EwhBytes	claimed = {NULL, 0};
		EwhBytes	real;
		const char *reason = ewh_trial_need(trial, &place, &claimed);

		if (reason == NULL)
			reason = ewh_template_render(scheme->claims[i].value, &trial->view, &message);
		if (reason)
			return reason;
		real = ewh_message_join(&message);
		if (claimed.len != real.len || !ewh_constant_equal(claimed.data, real.data, real.len))
			return EWH_INVALID;
	}
	return NULL;
}

/* A key of the secret under which the JWS holds. In a key set the one of its name, if both name one. */
static bool
jws_holds_under(const EwhJws *jws, const EwhKey *key, const EwhMessage *message)
{
	for (; key; key = key->next)
	{
		bool		other = jws->kid.data && key->kid && !ewh_bytes_is(jws->kid, key->kid);

		if (!other && ewh_jws_holds(jws, key, message))
			return true;
	}
	return false;
}

static const char *
try_jws(EwhTrial *trial, const EwhJws *jws, const EwhMessage *message)
{
	for (int i = 0; i < trial->nsecrets; i++)
	{
		EwhSecret  *secret = trial->secrets[i];

		if (ewh_trial_serves(trial, secret, jws->kid) &&
			jws_holds_under(jws, ewh_secret_key(trial->scheme, secret), message))
		{
			trial->verdict->secret_id = secret->secret_id;
			return NULL;
		}
	}
	return EWH_INVALID;
}

/* A JWT: its payload's claims say what was signed. */
const char *
ewh_prove_jws(EwhTrial *trial, const EwhJws *jws)
{
	EwhBytes	payload = ewh_jose_decode(jws->payload_text, EWH_BASE64URL);
	const char *reason = try_jws(trial, jws, NULL);

	if (reason)
		return reason;
	if (payload.data == NULL || ewh_document_json(payload, &trial->view.claims) != EWH_READ_OK)
		return EWH_MALFORMED;
	reason = ewh_trial_time(trial);
	if (reason == NULL)
		reason = check_claims(trial);
	return reason ? reason : ewh_trial_fresh(trial);
}

static bool
is_in_list(EwhBytes list, const char *name)
{
	while (list.len > 0)
	{
		size_t		end = ewh_bytes_find(list, ewh_bytes(","));

		if (end == strlen(name) && pg_strncasecmp(list.data, name, end) == 0)
			return true;
		list = ewh_bytes_from(list, end + 1);
	}
	return false;
}

/* A header that is there but not signed could be a stranger's: the sender always signs it. */
static const char *
check_signed_headers(EwhTrial *trial)
{
	const EwhScheme *scheme = trial->scheme;
	char	   *pointer;
	EwhPlace	place = {EWH_AT_JOSE, {&pointer, 1}};
	EwhBytes	list = {NULL, 0};

	if (scheme->must_sign.count == 0 || scheme->signed_headers == NULL)
		return NULL;
	pointer = psprintf("/%s", scheme->signed_headers);
	if (ewh_place_read(&place, &trial->view, &list) == EWH_AMBIGUOUS)
		return EWH_MALFORMED;
	for (int i = 0; i < scheme->must_sign.count; i++)
		if (ewh_request_header(trial->view.request, scheme->must_sign.items[i]) &&
			!is_in_list(list, scheme->must_sign.items[i]))
			return EWH_INVALID;
	return NULL;
}

/* A JWS whose payload is what the row's templates render. */
const char *
ewh_prove_detached(EwhTrial *trial, const EwhJws *jws)
{
	EwhBytes	urls[2] = {trial->view.request->url, ewh_bytes(ewh_setting(trial->view.request, "url"))};
	const char *reason = ewh_trial_time(trial);

	if (reason == NULL)
		reason = check_signed_headers(trial);
	for (int u = 0; reason == NULL && u < lengthof(urls); u++)
	{
		trial->view.url = urls[u];
		if (urls[u].data == NULL && (u > 0 || urls[1].data != NULL))
			continue;
		for (int m = 0; m < trial->scheme->nmessages; m++)
		{
			EwhMessage	message = {NULL, 0, 0};

			reason = ewh_template_render(trial->scheme->messages[m], &trial->view, &message);
			if (reason == NULL && try_jws(trial, jws, &message) == NULL)
				return ewh_trial_fresh(trial);
			if (reason)
				return reason;
		}
	}
	return reason ? reason : EWH_INVALID;
}
