/*
 * outbox.c: messages on their way to subscribers, signed by Standard Webhooks.
 *
 * What is due, in which order, and what an answer means is decided in SQL (schema/85_outbox.sql); this room signs and
 * carries. https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
#include "postgres.h"

#include <time.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "outside/job.h"
#include "outside/outbox.h"
#include "proof/key.h"
#include "proof/keyring.h"
#include "proof/signature.h"
#include "statement.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "bytes.h"

#define SECRET_TABLE "subscriber_secret"
#define SECRET_PURPOSE "sign"
#define SECRET_PREFIX "whsec_"

typedef struct Dispatch
{
	EwhJob		job;
	int32		company_id;
	int32		subscriber_id;
	int64		message_id;
	int32		try;
} Dispatch;

/* The bytes of a whsec_ secret. store_subscriber_secret() let no other form in. `out` has room for any text of this length. */
static bool
decode_secret(EwhBytes text, unsigned char *out, size_t *len)
{
	return ewh_base64_decode(ewh_bytes_from(text, strlen(SECRET_PREFIX)), EWH_BASE64, out, len);
}

/* Append " v1,<signature>" by one secret to a list of signatures. */
static void
append_signature(StringInfo list, EwhBytes secret, EwhMessage *message)
{
	unsigned char *key = palloc(EWH_BASE64_DECODED_MAX(secret.len));
	unsigned char mac[EWH_MAX_MAC];
	size_t		len;
	char		text[EWH_BASE64_ENCODED_MAX(EWH_MAX_MAC) + 1];
	EwhBytes	signature = {(char *) mac, 32};

	if (decode_secret(secret, key, &len) &&
		ewh_hmac(ewh_key_shared(EWH_SHA256, (EwhBytes) {(char *) key, len}), message, mac))
	{
		text[ewh_base64_encode(signature, EWH_BASE64, text)] = '\0';
		appendStringInfo(list, "%sv1,%s", list->len > 0 ? " " : "", text);
	}
	ewh_wipe(key, len);
	pfree(key);
}

/* Columns of claim_dispatches() that belong together: the secrets of one subscriber. */
typedef struct Secrets
{
	int			n;
	Datum	   *ids;
	Datum	   *sealed;
	Datum	   *key_names;
} Secrets;

static Datum *
array_column(HeapTuple row, TupleDesc desc, int column, Oid type, int *n)
{
	bool		isnull;
	Datum		array = ewh_row_datum(row, desc, column, &isnull);
	Datum	   *elements;

	*n = 0;
	if (isnull)
		return NULL;
	deconstruct_array(DatumGetArrayTypeP(array), type, type == INT4OID ? 4 : -1, type == INT4OID, TYPALIGN_INT, &elements, NULL, n);
	return elements;
}

/* The webhook-signature header: one signature for each secret that is valid now. NULL where one does not open. */
static char *
sign(const Dispatch *d, const char *id, const char *timestamp, EwhBytes body, const Secrets *secrets, char **why)
{
	EwhBytes	parts[] = {ewh_bytes(id), ewh_bytes("."), ewh_bytes(timestamp), ewh_bytes("."), body};
	EwhMessage	message = {parts, lengthof(parts), lengthof(parts)};
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < secrets->n; i++)
	{
		bytea	   *sealed = DatumGetByteaPP(secrets->sealed[i]);
		EwhBytes	label = ewh_keyring_label(SECRET_TABLE, d->company_id, d->subscriber_id,
											  DatumGetInt32(secrets->ids[i]), SECRET_PURPOSE);
		EwhBytes	secret;

		if (!ewh_keyring_try_open((EwhBytes) {VARDATA_ANY(sealed), VARSIZE_ANY_EXHDR(sealed)}, label,
								  TextDatumGetCString(secrets->key_names[i]), &secret, why))
			return NULL;
		append_signature(&list, secret, &message);
		ewh_wipe((void *) secret.data, secret.len);
	}
	return list.data;
}

static void
add_header(EwhExchange *exchange, const char *name, const char *value)
{
	exchange->headers = lappend(exchange->headers, psprintf("%s: %s", name, value));
}

/* Row of claim_dispatches() to an exchange. */
static void
claim_row(HeapTuple row, TupleDesc desc, void *arg)
{
	List	  **claimed = arg;
	EwhExchange *exchange = ewh_http_exchange("POST", ewh_row_text(row, desc, 5));
	MemoryContext old = MemoryContextSwitchTo(exchange->context);
	Dispatch   *dispatch = palloc0(sizeof(Dispatch));
	char	   *id = ewh_row_text(row, desc, 6);
	char	   *timestamp = psprintf("%lld", (long long) time(NULL));
	char	   *signatures;
	Secrets		secrets;
	bool		isnull;

	dispatch->job.kind = EWH_JOB_DISPATCH;
	dispatch->company_id = DatumGetInt32(ewh_row_datum(row, desc, 1, &isnull));
	dispatch->subscriber_id = DatumGetInt32(ewh_row_datum(row, desc, 2, &isnull));
	dispatch->message_id = DatumGetInt64(ewh_row_datum(row, desc, 3, &isnull));
	dispatch->try = DatumGetInt32(ewh_row_datum(row, desc, 4, &isnull));
	exchange->job = dispatch;
	exchange->body = ewh_bytes(ewh_row_text(row, desc, 7));
	add_header(exchange, "content-type", "application/json");
	add_header(exchange, "webhook-id", id);
	add_header(exchange, "webhook-timestamp", timestamp);
	secrets.ids = array_column(row, desc, 8, INT4OID, &secrets.n);
	secrets.sealed = array_column(row, desc, 9, BYTEAOID, &secrets.n);
	secrets.key_names = array_column(row, desc, 10, TEXTOID, &secrets.n);
	signatures = sign(dispatch, id, timestamp, exchange->body, &secrets, &exchange->error);
	if (signatures != NULL)
		add_header(exchange, "webhook-signature", signatures);
	MemoryContextSwitchTo(old);
	*claimed = lappend(*claimed, exchange);
}

/* Lease due messages, at most `places`: exchanges ready to start once this transaction is committed. */
List *
ewh_outbox_claim(int places, int lease_ms)
{
	List	   *claimed = NIL;
	Datum		args[] = {Int32GetDatum(places), Int32GetDatum(lease_ms)};

	ewh_statement_run(EWH_CLAIM_DISPATCHES, args, NULL, claim_row, &claimed);
	return claimed;
}

/* Keep what came of finished tries, in one statement. */
void
ewh_outbox_record(List *finished)
{
	StringInfoData json;
	ListCell   *lc;
	Datum		args[1];

	initStringInfo(&json);
	foreach(lc, finished)
	{
		EwhExchange *exchange = lfirst(lc);
		Dispatch   *d = exchange->job;

		appendStringInfo(&json, "%c{\"company_id\":%d,\"subscriber_id\":%d,\"message_id\":" INT64_FORMAT ",\"try\":%d,\"ms\":%d",
						 json.len == 0 ? '[' : ',', d->company_id, d->subscriber_id, d->message_id, d->try, exchange->ms);
		if (exchange->status != 0)
			appendStringInfo(&json, ",\"status\":%d", exchange->status);
		if (exchange->retry_after > 0)
			appendStringInfo(&json, ",\"retry_after\":%d", exchange->retry_after);
		if (exchange->error != NULL)
		{
			appendStringInfoString(&json, ",\"error\":");
			escape_json(&json, exchange->error);
		}
		appendStringInfoChar(&json, '}');
	}
	appendStringInfoChar(&json, ']');
	args[0] = DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
	ewh_statement_run(EWH_RECORD_DISPATCHES, args, NULL, NULL, NULL);
}

/* url_refused(url text) */
PG_FUNCTION_INFO_V1(erp_webhook_url_refused);
PGDLLEXPORT Datum
erp_webhook_url_refused(PG_FUNCTION_ARGS)
{
	const char *refused = ewh_http_url_refused(text_to_cstring(PG_GETARG_TEXT_PP(0)));

	if (refused == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(refused));
}
