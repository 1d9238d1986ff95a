/*
 * configuration.c: a source as the tables say it is, compiled: one reading of its rows, under the latest snapshot.
 *
 * What is wrong with a configuration is kept in source->broken rather than raised, so that one broken source does not
 * take the others of its batch with it.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "inbox/configuration.h"
#include "inbox/kept.h"
#include "proof/keyring.h"
#include "statement.h"
#include "trouble.h"

/* Wipe the opened secrets before their memory is freed. */
static void
wipe_secrets(void *arg)
{
	EwhSource  *source = arg;

	for (int i = 0; i < source->nsecrets; i++)
		explicit_bzero((char *) source->secrets[i].value.data, source->secrets[i].value.len);
}

static Jsonb *
jsonb_column(HeapTuple row, TupleDesc desc, int column, const char *absent)
{
	bool		isnull;
	Datum		value = ewh_row_datum(row, desc, column, &isnull);

	if (isnull)
		value = DirectFunctionCall1(jsonb_in, CStringGetDatum(absent));
	return DatumGetJsonbP(value);
}

/* What load_source and load_secrets bring, before it is compiled and opened. */
typedef struct Loading
{
	EwhSource  *source;
	int			allocated;
	char	  **key_names;		/* as long as source->secrets; NULL: not sealed */
	Jsonb	   *scheme;
	Jsonb	   *response;
	Jsonb	   *reading;
	Jsonb	   *events;
} Loading;

/* The row of load_source. */
static void
take_source(HeapTuple row, TupleDesc desc, void *arg)
{
	Loading    *loading = arg;
	EwhSource  *source = loading->source;
	bool		isnull;
	MemoryContext old = MemoryContextSwitchTo(source->context);

	source->known = true;
	source->company_id = DatumGetInt32(ewh_row_datum(row, desc, 1, &isnull));
	source->source_id = DatumGetInt32(ewh_row_datum(row, desc, 2, &isnull));
	source->provider = ewh_row_text(row, desc, 3);
	source->trust = ewh_row_text(row, desc, 4);
	source->active = DatumGetBool(ewh_row_datum(row, desc, 5, &isnull));
	source->settings = jsonb_column(row, desc, 6, "{}");
	loading->scheme = jsonb_column(row, desc, 7, "null");
	loading->response = jsonb_column(row, desc, 8, "{}");
	loading->reading = jsonb_column(row, desc, 9, "{}");
	loading->events = jsonb_column(row, desc, 10, "[]");
	source->fetches_keys = DatumGetBool(ewh_row_datum(row, desc, 11, &isnull));
	source->bound = DatumGetBool(ewh_row_datum(row, desc, 12, &isnull));
	MemoryContextSwitchTo(old);
}

static void *
grow(void *array, Size size)
{
	return array ? repalloc(array, size) : palloc(size);
}

static TimestampTz
bound_or(HeapTuple row, TupleDesc desc, int column, TimestampTz unbounded)
{
	bool		isnull;
	Datum		value = ewh_row_datum(row, desc, column, &isnull);

	return isnull ? unbounded : DatumGetTimestampTz(value);
}

/* One row of load_secrets, still sealed. */
static void
take_secret(HeapTuple row, TupleDesc desc, void *arg)
{
	Loading    *loading = arg;
	EwhSource  *source = loading->source;
	bool		isnull;
	MemoryContext old = MemoryContextSwitchTo(source->context);
	EwhSecret  *secret;
	bytea	   *stored;

	if (source->nsecrets == loading->allocated)
	{
		loading->allocated += 4;
		source->secrets = grow(source->secrets, loading->allocated * sizeof(EwhSecret));
		loading->key_names = grow(loading->key_names, loading->allocated * sizeof(char *));
	}
	secret = &source->secrets[source->nsecrets];
	memset(secret, 0, sizeof(EwhSecret));
	secret->secret_id = DatumGetInt32(ewh_row_datum(row, desc, 1, &isnull));
	secret->key_id = ewh_row_text(row, desc, 2);
	secret->purpose = ewh_row_text(row, desc, 3);
	stored = DatumGetByteaPP(ewh_row_datum(row, desc, 4, &isnull));
	loading->key_names[source->nsecrets] = ewh_row_text(row, desc, 5);
	secret->valid_from = bound_or(row, desc, 6, DT_NOBEGIN);
	secret->valid_until = bound_or(row, desc, 7, DT_NOEND);
	secret->value.data = VARDATA_ANY(stored);
	secret->value.len = VARSIZE_ANY_EXHDR(stored);
	source->nsecrets++;
	MemoryContextSwitchTo(old);
}

static void
open_secret(const EwhSource *source, EwhSecret *secret, const char *key_name)
{
	EwhBytes	label = ewh_keyring_label("secret", source->company_id, source->source_id, secret->secret_id, secret->purpose);

	secret->value = ewh_keyring_open(secret->value, label, key_name);
}

/* Open the secrets and compile the rows; raises for a broken one, or a sealing key that is not there. */
static void
compile(Loading *loading)
{
	EwhSource  *source = loading->source;
	MemoryContext old = MemoryContextSwitchTo(source->context);

	for (int i = 0; i < source->nsecrets; i++)
		if (loading->key_names[i])
			open_secret(source, &source->secrets[i], loading->key_names[i]);
	source->scheme = ewh_scheme_compile(loading->scheme);
	source->answer = ewh_answer_compile(loading->response);
	source->mapping = ewh_mapping_compile(loading->reading, loading->events);
	source->kept_headers = ewh_kept_headers(loading->scheme, loading->response, loading->reading, loading->events);
	MemoryContextSwitchTo(old);
}

/*
 * Compile, and keep what was wrong in source->broken rather than raise: one broken source must not take the others of
 * its batch with it. Needs no subtransaction: compiling and opening touch no table and take no lock.
 */
static void
try_to_compile(Loading *loading)
{
	MemoryContext caller = CurrentMemoryContext;

	PG_TRY();
	{
		compile(loading);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		if (ewh_is_server_trouble(geterrcode()))
			PG_RE_THROW();		/* says nothing about the source */
		MemoryContextSwitchTo(loading->source->context);
		error = CopyErrorData();
		FlushErrorState();
		loading->source->broken = error->message;
		MemoryContextSwitchTo(caller);
	}
	PG_END_TRY();
}

/* A source with a memory context of its own, empty. */
static EwhSource *
make_source(const char *name)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "erp_webhook source", ALLOCSET_SMALL_SIZES);
	EwhSource  *source = MemoryContextAllocZero(context, sizeof(EwhSource));
	MemoryContextCallback *wipe = MemoryContextAlloc(context, sizeof(MemoryContextCallback));

	source->context = context;
	source->name = MemoryContextStrdup(context, name);
	wipe->func = wipe_secrets;
	wipe->arg = source;
	MemoryContextRegisterResetCallback(context, wipe);
	return source;
}

/* The rows of a source and its secrets; false if there is none of that name. */
static bool
read_rows(Loading *loading)
{
	Datum		by_name = CStringGetTextDatum(loading->source->name);
	Datum		by_id[2];

	if (ewh_statement_run(EWH_LOAD_SOURCE, &by_name, NULL, take_source, loading) == 0)
		return false;
	by_id[0] = Int32GetDatum(loading->source->company_id);
	by_id[1] = Int32GetDatum(loading->source->source_id);
	ewh_statement_run(EWH_LOAD_SECRETS, by_id, NULL, take_secret, loading);
	return true;
}

/* Read and compile a source as it is now; NULL if there is none of that name. */
EwhSource *
ewh_configuration_load(const char *name)
{
	Loading		loading = {.source = make_source(name)};

	if (!read_rows(&loading))
	{
		MemoryContextDelete(loading.source->context);
		return NULL;
	}
	try_to_compile(&loading);
	return loading.source;
}

/*
 * What stands for every unknown name: an active source with a key nobody has, so that an unknown name costs a forger's
 * clock the same HMAC over the same body.
 */
EwhSource *
ewh_configuration_dummy(void)
{
	Loading		loading = {0};
	char	   *secret;

	loading.source = make_source("");
	secret = MemoryContextAlloc(loading.source->context, 33);
	if (!pg_strong_random(secret, 32))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("no random bytes for the key of unknown sources")));
	loading.source->secrets = MemoryContextAllocZero(loading.source->context, sizeof(EwhSecret));
	loading.source->secrets[0] = (EwhSecret) {.purpose = "verify", .value = {secret, 32},
		.valid_from = DT_NOBEGIN, .valid_until = DT_NOEND};
	loading.source->nsecrets = 1;
	loading.key_names = palloc0(sizeof(char *));
	loading.source->active = true;
	loading.source->provider = "";
	loading.source->trust = "confirm";
	loading.scheme = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(
		"{\"alg\": \"hmac-sha256\", \"key\": \"utf8\", \"msg\": \"{body}\","
		" \"sig\": {\"from\": \"header:webhook-signature\", \"enc\": \"hex\"}}")));
	loading.response = loading.reading = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
	loading.events = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("[]")));
	compile(&loading);
	return loading.source;
}
