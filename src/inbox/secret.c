/*
 * secret.c: what configuring needs of the C side: sealing a secret, and trying a source out.
 */
#include "postgres.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "inbox/source.h"
#include "proof/keyring.h"

static EwhBytes
bytes_arg(FunctionCallInfo fcinfo, int n)
{
	text	   *arg = PG_GETARG_TEXT_PP(n);
	EwhBytes	bytes = {VARDATA_ANY(arg), VARSIZE_ANY_EXHDR(arg)};

	return bytes;
}

PG_FUNCTION_INFO_V1(erp_webhook_seal);
/* seal(kind text, company_id int, owner_id int, secret_id int, purpose text, secret text, OUT sealed, OUT key_name) */
Datum
erp_webhook_seal(PG_FUNCTION_ARGS)
{
	EwhBytes	label = ewh_keyring_label(text_to_cstring(PG_GETARG_TEXT_PP(0)), PG_GETARG_INT32(1), PG_GETARG_INT32(2),
										  PG_GETARG_INT32(3), text_to_cstring(PG_GETARG_TEXT_PP(4)));
	const char *key_name;
	EwhBytes	sealed = ewh_keyring_seal(bytes_arg(fcinfo, 5), label, &key_name);
	TupleDesc	desc;
	bool		nulls[2] = {false, false};
	Datum		values[2];

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "seal() does not return a row");
	values[0] = PointerGetDatum(cstring_to_text_with_len(sealed.data, sealed.len));
	values[1] = CStringGetTextDatum(key_name);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* The source of this name; raises what ingest would find broken. */
static EwhSource *
usable_source(const char *name)
{
	EwhSource  *source = ewh_source_lookup(name);

	if (source->broken)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("source \"%s\" cannot be used: %s", name, source->broken)));
	return source;
}

PG_FUNCTION_INFO_V1(erp_webhook_check_secret);
/* check_secret(source text, secret text, purpose text) RETURNS void: raises where the secret cannot serve its purpose */
Datum
erp_webhook_check_secret(PG_FUNCTION_ARGS)
{
	EwhSource  *source = usable_source(text_to_cstring(PG_GETARG_TEXT_PP(0)));

	ewh_secret_check(source->scheme, bytes_arg(fcinfo, 1), text_to_cstring(PG_GETARG_TEXT_PP(2)));
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(erp_webhook_check_source);
/* check_source(source text) RETURNS void: raises what ingest would find broken */
Datum
erp_webhook_check_source(PG_FUNCTION_ARGS)
{
	usable_source(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(erp_webhook_caller);
/* caller() RETURNS oid: who asks, also inside a SECURITY DEFINER function */
Datum
erp_webhook_caller(PG_FUNCTION_ARGS)
{
	PG_RETURN_OID(GetOuterUserId());
}
