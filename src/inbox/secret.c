/*
 * secret.c: what configuring needs of the C side: sealing a secret, and trying a source out.
 */
#include "postgres.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "inbox/source.h"
#include "inbox/pending.h"

PG_FUNCTION_INFO_V1(erp_webhook_seal);
/* seal(secret text, OUT sealed bytea, OUT key_name text) */
Datum
erp_webhook_seal(PG_FUNCTION_ARGS)
{
	text	   *secret = PG_GETARG_TEXT_PP(0);
	EwhBytes	plain = {VARDATA_ANY(secret), VARSIZE_ANY_EXHDR(secret)};
	const char *key_name;
	EwhBytes	sealed = ewh_keyring_seal(plain, &key_name);
	TupleDesc	desc;
	bool		nulls[2] = {false, false};
	Datum		values[2];

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "seal() does not return a row");
	values[0] = PointerGetDatum(cstring_to_text_with_len(sealed.data, sealed.len));
	values[1] = CStringGetTextDatum(key_name);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

PG_FUNCTION_INFO_V1(erp_webhook_check_source);
/* check_source(source text) RETURNS void: raises what ingest would find broken */
Datum
erp_webhook_check_source(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	EwhSource  *source = ewh_source_lookup(name);

	if (source->broken)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("source \"%s\" cannot be used: %s", name, source->broken)));
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(erp_webhook_caller);
/* caller() RETURNS oid: who asks, also inside a SECURITY DEFINER function */
Datum
erp_webhook_caller(PG_FUNCTION_ARGS)
{
	PG_RETURN_OID(GetOuterUserId());
}
