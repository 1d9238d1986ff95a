/*
 * try_sql.c: a rule tried out before a source uses it: verify_with() and sign_with().
 *
 * For who writes a provider's row: nothing is stored, nothing cached, and the secrets come as arguments, so it is for
 * nobody but the administrator.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "proof/sign.h"
#include "proof/verdict.h"
#include "proof/verify.h"

/* [{"secret": …, "key_id": …, "purpose": …}, …], all valid for ever, numbered from 1. */
static EwhSecret *
read_secrets(Jsonb *jsonb, int *count)
{
	EwhRule		holder = ewh_rule(jsonb, "secrets");
	EwhRule    *rows = ewh_rule_objects(holder, "secrets", count);
	EwhSecret  *secrets = palloc0(sizeof(EwhSecret) * Max(*count, 1));

	for (int i = 0; i < *count; i++)
	{
		secrets[i].secret_id = i + 1;
		secrets[i].key_id = ewh_rule_text(rows[i], "key_id");
		secrets[i].purpose = ewh_rule_text(rows[i], "purpose");
		if (secrets[i].purpose == NULL)
			secrets[i].purpose = "verify";
		secrets[i].value = ewh_bytes(ewh_rule_need(rows[i], "secret"));
		secrets[i].valid_from = DT_NOBEGIN;
		secrets[i].valid_until = DT_NOEND;
	}
	return secrets;
}

static EwhBytes
bytes_of(const void *varlena)
{
	EwhBytes	bytes = {VARDATA_ANY(varlena), VARSIZE_ANY_EXHDR(varlena)};

	return bytes;
}

/*
 * verify_with(scheme jsonb, secrets jsonb, settings jsonb, headers jsonb, body bytea, method text, url text, at timestamptz)
 * → verdict
 */
PG_FUNCTION_INFO_V1(erp_webhook_verify_with);
Datum
erp_webhook_verify_with(PG_FUNCTION_ARGS)
{
	EwhRequest	request = {{NULL, 0}};
	EwhVerdict	verdict = {0};
	EwhScheme  *scheme;
	EwhSecret  *secrets;
	int			nsecrets;

	for (int i = 0; i < 8; i++)
		if (PG_ARGISNULL(i) && i != 6)
			PG_RETURN_NULL();
	scheme = ewh_scheme_compile(PG_GETARG_JSONB_P(0));
	secrets = read_secrets(PG_GETARG_JSONB_P(1), &nsecrets);
	request.settings = PG_GETARG_JSONB_P(2);
	request.body = bytes_of(PG_GETARG_BYTEA_PP(4));
	request.method = bytes_of(PG_GETARG_TEXT_PP(5));
	if (!PG_ARGISNULL(6))
		request.url = bytes_of(PG_GETARG_TEXT_PP(6));
	if (ewh_request_headers(PG_GETARG_JSONB_P(3), &request))
		ewh_verify(scheme, secrets, nsecrets, &request, PG_GETARG_TIMESTAMPTZ(7), &verdict);
	else
		verdict.reason = EWH_MALFORMED;
	return ewh_verdict_datum(fcinfo, &verdict);
}

/*
 * sign_with(scheme jsonb, secrets jsonb, settings jsonb, body bytea, at timestamptz, headers jsonb, method text, url text)
 * → jsonb
 */
PG_FUNCTION_INFO_V1(erp_webhook_sign_with);
Datum
erp_webhook_sign_with(PG_FUNCTION_ARGS)
{
	EwhRequest	request = {{NULL, 0}};
	EwhSecret  *secrets;
	int			nsecrets;

	for (int i = 0; i < 7; i++)
		if (PG_ARGISNULL(i))
			PG_RETURN_NULL();
	secrets = read_secrets(PG_GETARG_JSONB_P(1), &nsecrets);
	request.settings = PG_GETARG_JSONB_P(2);
	request.body = bytes_of(PG_GETARG_BYTEA_PP(3));
	request.method = bytes_of(PG_GETARG_TEXT_PP(6));
	if (!PG_ARGISNULL(7))
		request.url = bytes_of(PG_GETARG_TEXT_PP(7));
	if (!ewh_request_headers(PG_GETARG_JSONB_P(5), &request))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("headers must be an object of strings")));
	ewh_sign(ewh_scheme_compile(PG_GETARG_JSONB_P(0)), secrets, nsecrets, &request, PG_GETARG_TIMESTAMPTZ(4));
	PG_RETURN_JSONB_P(ewh_signed_headers(PG_GETARG_JSONB_P(5), &request));
}
