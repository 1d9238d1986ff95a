/*
 * pull.c: what is read from providers: pages of events, objects, keys.
 *
 * Which call is due, and what its answer means, is decided in SQL (schema/86_fetch.sql and the files after it); this
 * room adds the credentials, which are never in a row or a log in the clear, and carries. A call that needs an access
 * token is preceded by an exchange that gets one.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "outside/credential.h"
#include "outside/job.h"
#include "outside/pull.h"
#include "proof/keyring.h"
#include "reading/document.h"
#include "statement.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "bytes.h"

#define MAX_PAGE			(16 * 1024 * 1024)	/* bytes of a page of events */
#define MAX_TOKEN_ANSWER	(64 * 1024)
#define TOKEN_SECONDS		300					/* of a token that does not say how long it lives */

/* A row of claim_calls(), as it is until the answer is kept. */
typedef struct Call
{
	EwhJob		job;
	char	   *what;			/* page | object | key */
	int32		company_id;
	int32		source_id;
	char	   *ref;			/* stream of a page, fetch_id else */
	int32		lease;
	char	   *method;
	char	   *url;
	List	   *headers;		/* templates */
	char	   *body;			/* template or NULL */
	char	   *user;			/* of the API key; may be NULL */
	EwhBytes	secret;			/* open only while its exchange is made */
	char	   *token_url;		/* NULL: no token is needed */
} Call;

static List *
text_list(HeapTuple row, TupleDesc desc, int column)
{
	bool		isnull;
	Datum		array = ewh_row_datum(row, desc, column, &isnull);
	List	   *list = NIL;
	Datum	   *texts;
	int			n;

	if (isnull)
		return NIL;
	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &texts, NULL, &n);
	for (int i = 0; i < n; i++)
		list = lappend(list, TextDatumGetCString(texts[i]));
	return list;
}

/* The headers and body of an exchange from templates. Everything is in the exchange's context and goes with it. */
static void
fill(EwhExchange *exchange, const Call *call, List *headers, const char *body, const char *token)
{
	MemoryContext old = MemoryContextSwitchTo(exchange->context);
	ListCell   *lc;

	foreach(lc, headers)
		exchange->headers = lappend(exchange->headers, ewh_credential_fill(lfirst(lc), call->user, call->secret, token));
	if (body != NULL)
		exchange->body = ewh_bytes(ewh_credential_fill(body, call->user, call->secret, token));
	MemoryContextSwitchTo(old);
}

/* Copy a call into another exchange's context: the one before is about to be freed. */
static Call *
copy_call(EwhExchange *exchange, const Call *call)
{
	MemoryContext old = MemoryContextSwitchTo(exchange->context);
	Call	   *copy = palloc(sizeof(Call));
	ListCell   *lc;

	*copy = *call;
	copy->secret = (EwhBytes) {NULL, 0};
	copy->what = pstrdup(call->what);
	copy->ref = pstrdup(call->ref);
	copy->method = pstrdup(call->method);
	copy->url = pstrdup(call->url);
	copy->body = call->body != NULL ? pstrdup(call->body) : NULL;
	copy->user = call->user != NULL ? pstrdup(call->user) : NULL;
	copy->headers = NIL;
	foreach(lc, call->headers)
		copy->headers = lappend(copy->headers, pstrdup(lfirst(lc)));
	MemoryContextSwitchTo(old);
	return copy;
}

/* The exchange of the call itself. */
static EwhExchange *
call_exchange(const Call *call, const char *token)
{
	EwhExchange *exchange = ewh_http_exchange(call->method, call->url);
	Call	   *own = copy_call(exchange, call);

	own->job.kind = EWH_JOB_CALL;
	exchange->job = own;
	exchange->max_answer = MAX_PAGE;
	fill(exchange, call, call->headers, call->body, token);
	return exchange;
}

/* Row of claim_calls() to an exchange: of the call, or of the token it needs first. */
static void
claim_row(HeapTuple row, TupleDesc desc, void *arg)
{
	List	  **claimed = arg;
	EwhExchange *exchange;
	Call		call = {0};
	bool		isnull;
	bool		no_secret;
	Datum		sealed;
	char	   *why = NULL;
	const char *token;

	call.what = ewh_row_text(row, desc, 1);
	call.company_id = DatumGetInt32(ewh_row_datum(row, desc, 2, &isnull));
	call.source_id = DatumGetInt32(ewh_row_datum(row, desc, 3, &isnull));
	call.ref = ewh_row_text(row, desc, 4);
	call.lease = DatumGetInt32(ewh_row_datum(row, desc, 5, &isnull));
	call.method = ewh_row_text(row, desc, 6);
	call.url = ewh_row_text(row, desc, 7);
	call.headers = text_list(row, desc, 8);
	call.body = ewh_row_text(row, desc, 9);
	sealed = ewh_row_datum(row, desc, 11, &no_secret);
	call.user = ewh_row_text(row, desc, 13);
	call.token_url = ewh_row_text(row, desc, 14);
	if (!no_secret)
	{
		bytea	   *seal = DatumGetByteaPP(sealed);
		EwhBytes	label = ewh_keyring_label("secret", call.company_id, call.source_id,
											  DatumGetInt32(ewh_row_datum(row, desc, 10, &isnull)), "api");

		ewh_keyring_try_open((EwhBytes) {VARDATA_ANY(seal), VARSIZE_ANY_EXHDR(seal)}, label,
							 ewh_row_text(row, desc, 12), &call.secret, &why);
	}
	token = ewh_token_cached(call.company_id, call.source_id);
	if (call.token_url == NULL || token != NULL || why != NULL)
		exchange = call_exchange(&call, token);
	else
	{
		exchange = ewh_http_exchange("POST", call.token_url);
		fill(exchange, &call, text_list(row, desc, 15), ewh_row_text(row, desc, 16), NULL);
		exchange->max_answer = MAX_TOKEN_ANSWER;
		exchange->job = copy_call(exchange, &call);
		((Call *) exchange->job)->job.kind = EWH_JOB_TOKEN;
	}
	exchange->error = why;
	ewh_wipe((void *) call.secret.data, call.secret.len);
	*claimed = lappend(*claimed, exchange);
}

/* Lease due calls, at most `places`: exchanges ready to start once this transaction is committed. */
List *
ewh_pull_claim(int places, int lease_ms)
{
	List	   *claimed = NIL;
	Datum		args[] = {Int32GetDatum(places), Int32GetDatum(lease_ms)};

	ewh_statement_run(EWH_CLAIM_CALLS, args, NULL, claim_row, &claimed);
	return claimed;
}

/* A member of a JSON answer as text, or NULL. */
static char *
json_text(const EwhDocument *doc, const char *pointer)
{
	EwhReadStatus status;
	EwhNode		node = ewh_document_find(doc, 0, pointer, &status);
	EwhBytes	text;

	if (status != EWH_READ_OK || node < 0 || !ewh_node_text(doc, node, &text))
		return NULL;
	return pnstrdup(text.data, text.len);
}

/*
 * The exchange that an answered token exchange was for, or NULL if the answer held no token (RFC 6749 section 5.1); then
 * the token exchange itself is what is recorded, as a failed call.
 */
EwhExchange *
ewh_pull_continue(EwhExchange *answered)
{
	Call	   *call = answered->job;
	EwhDocument *doc;
	char	   *token;
	char	   *seconds;

	if (answered->status != 200 || ewh_document_json(answered->answer, &doc) != EWH_READ_OK)
		return NULL;
	token = json_text(doc, "/access_token");
	if (token == NULL || token[0] == '\0' || strpbrk(token, "\r\n") != NULL)
		return NULL;
	seconds = json_text(doc, "/expires_in");
	ewh_token_keep(call->company_id, call->source_id, token, seconds != NULL ? atoi(seconds) : TOKEN_SECONDS);
	return call_exchange(call, token);
}

static void
append_member(StringInfo json, const char *name, const char *value)
{
	if (value == NULL)
		return;
	appendStringInfo(json, ",\"%s\":", name);
	escape_json(json, value);
}

/* Keep the answer of one call, which may ingest events and settle: in a transaction of its own. */
void
ewh_pull_record(void *finished)
{
	EwhExchange *exchange = finished;
	Call	   *call = exchange->job;
	bool		is_token = call->job.kind == EWH_JOB_TOKEN;
	bool		answered = exchange->status != 0 && !is_token;
	StringInfoData json;
	Datum		args[2];
	char		nulls[2] = {' ', answered ? ' ' : 'n'};
	bytea	   *body;

	if (exchange->status == 401)
		ewh_token_forget(call->company_id, call->source_id);
	initStringInfo(&json);
	appendStringInfo(&json, "{\"company_id\":%d,\"source_id\":%d,\"lease\":%d,\"status\":%d",
					 call->company_id, call->source_id, call->lease, is_token ? 0 : exchange->status);
	append_member(&json, "what", call->what);
	append_member(&json, "ref", call->ref);
	append_member(&json, "error", is_token && exchange->error == NULL ?
				  psprintf("the token request was answered %d", exchange->status) : exchange->error);
	if (exchange->retry_after > 0)
		appendStringInfo(&json, ",\"retry_after\":%d", exchange->retry_after);
	appendStringInfoChar(&json, '}');

	body = palloc(VARHDRSZ + exchange->answer.len);
	SET_VARSIZE(body, VARHDRSZ + exchange->answer.len);
	if (exchange->answer.len > 0)
		memcpy(VARDATA(body), exchange->answer.data, exchange->answer.len);
	args[0] = DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
	args[1] = PointerGetDatum(body);
	ewh_statement_run(EWH_RECORD_CALL, args, nulls, NULL, NULL);
}
