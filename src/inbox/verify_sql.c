/*
 * verify_sql.c: the SQL-callable verify() and sign() of a source.
 *
 * verify() answers by the same code and in the same order as ingest, and writes nothing. What it allocates is freed by
 * the executor with the row it was called for. Its speed is measured (bench/verify.sh).
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "inbox/source.h"
#include "proof/sign.h"
#include "proof/verdict.h"

static EwhBytes
bytes_of(const void *varlena)
{
	EwhBytes	bytes = {VARDATA_ANY(varlena), VARSIZE_ANY_EXHDR(varlena)};

	return bytes;
}

static EwhBytes
text_arg(FunctionCallInfo fcinfo, int n)
{
	EwhBytes	none = {NULL, 0};

	return PG_ARGISNULL(n) ? none : bytes_of(PG_GETARG_TEXT_PP(n));
}

/*
 * A source that can be used; a configuration of ours that is broken raises. Who can sign can forge: what this backend
 * has cached serves only a caller who administers the company.
 */
static EwhSource *
usable_source(EwhBytes name)
{
	EwhSource  *source = ewh_source_lookup(pnstrdup(name.data, name.len));

	if (source->broken)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("source \"%s\" cannot be used: %s", source->name, source->broken)));
	ewh_source_check_access(source);
	return source;
}

/* The verdict of a source, in the order of ingest: who is unknown or inactive is so whatever it sends. */
static void
judge(EwhSource *source, const EwhRequest *request, TimestampTz at, EwhVerdict *verdict)
{
	EwhReply	reply;

	ewh_source_verify(source, request, at, verdict);
	if (!source->known)
		verdict->reason = EWH_UNKNOWN_SOURCE;
	else if (!source->active)
		verdict->reason = EWH_INACTIVE;
	else if (ewh_handshake(source->answer, request, verdict, source->secrets, source->nsecrets, &reply))
		verdict->reason = EWH_HANDSHAKE;
	else
		return;
	verdict->ok = false;
	verdict->secret_id = 0;
	verdict->has_signed_at = false;
}

/* The verdict on evidence: a source that is no longer active was active then. */
static void
judge_stored(EwhSource *source, const EwhRequest *request, TimestampTz at, EwhVerdict *verdict)
{
	ewh_verify(source->scheme, source->secrets, source->nsecrets, request, at, verdict);
}

static Datum
verify_by(FunctionCallInfo fcinfo, void (*judge_by) (EwhSource *, const EwhRequest *, TimestampTz, EwhVerdict *))
{
	EwhRequest	request = {{NULL, 0}};
	EwhVerdict	verdict = {0};
	EwhSource  *source;

	verdict.reason = EWH_MALFORMED;
	if (!PG_ARGISNULL(0) && !PG_ARGISNULL(2) && !PG_ARGISNULL(5))
	{
		source = usable_source(text_arg(fcinfo, 0));
		request.settings = source->settings;
		request.body = bytes_of(PG_GETARG_BYTEA_PP(2));
		request.method = PG_ARGISNULL(3) ? ewh_bytes("POST") : text_arg(fcinfo, 3);
		request.url = text_arg(fcinfo, 4);
		if (ewh_request_headers(PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1), &request))
			judge_by(source, &request, PG_GETARG_TIMESTAMPTZ(5), &verdict);
	}
	return ewh_verdict_datum(fcinfo, &verdict);
}

PG_FUNCTION_INFO_V1(erp_webhook_verify);
/* verify(source text, headers jsonb, body bytea, method text, url text, at timestamptz) → verdict */
Datum
erp_webhook_verify(PG_FUNCTION_ARGS)
{
	return verify_by(fcinfo, judge);
}

PG_FUNCTION_INFO_V1(erp_webhook_verify_stored);
/* verify_stored(source text, headers jsonb, body bytea, method text, url text, at timestamptz) → verdict */
Datum
erp_webhook_verify_stored(PG_FUNCTION_ARGS)
{
	return verify_by(fcinfo, judge_stored);
}

PG_FUNCTION_INFO_V1(erp_webhook_sign);
/* sign(source text, body bytea, at timestamptz, headers jsonb, method text, url text) → jsonb */
Datum
erp_webhook_sign(PG_FUNCTION_ARGS)
{
	EwhRequest	request = {{NULL, 0}};
	EwhSource  *source;

	for (int i = 0; i < 5; i++)
		if (PG_ARGISNULL(i))
			PG_RETURN_NULL();
	source = usable_source(text_arg(fcinfo, 0));
	if (!source->known)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("source \"%s\" does not exist", text_to_cstring(PG_GETARG_TEXT_PP(0)))));
	request.settings = source->settings;
	request.body = bytes_of(PG_GETARG_BYTEA_PP(1));
	request.method = text_arg(fcinfo, 4);
	request.url = text_arg(fcinfo, 5);
	if (!ewh_request_headers(PG_GETARG_JSONB_P(3), &request))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("headers must be an object of strings")));
	ewh_sign(source->scheme, source->secrets, source->nsecrets, &request, PG_GETARG_TIMESTAMPTZ(2));
	PG_RETURN_JSONB_P(ewh_signed_headers(PG_GETARG_JSONB_P(3), &request));
}
