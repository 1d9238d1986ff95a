/*
 * source.c: what one backend knows of the sources it served: configuration compiled, secrets opened.
 *
 * The one fact to know: a trigger on every configuration table invalidates the relation cache entry of
 * erp_webhook.source, so at COMMIT of a change each backend's callback below drops all it knows. What is loaded is read
 * under the latest snapshot, and loaded again if such a message came meanwhile; so no request that begins after the
 * COMMIT sees the old configuration. An unknown name is never kept: the source may be made in the next moment.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "inbox/configuration.h"
#include "inbox/source.h"
#include "statement.h"

#define MAX_NAME 200			/* source.name's CHECK */
#define MAX_KNOWN 1000			/* sources kept; a backend that meets more begins anew */
#define BROKEN_MS 1000			/* how long a broken one is not looked at again: anybody may send requests, and a look may run key_command */

typedef struct Known
{
	char		name[MAX_NAME + 1];
	EwhSource  *source;
} Known;

static HTAB *known_sources = NULL;
static EwhSource *latest = NULL;	/* the one last asked for: senders come in bursts */
static EwhSource *dummy = NULL;
static Oid	watched = InvalidOid;	/* erp_webhook.source, whose relcache messages we listen to */
static bool watching = false;	/* `watched` is still it */
static uint64 generation = 0;	/* counts those messages */
static List *retired = NIL;		/* contexts of dropped sources that this transaction may still hold */

/* Drop every source; those in use are freed at the end of the transaction. */
static void
forget_sources(void)
{
	HASH_SEQ_STATUS scan;
	Known	   *known;
	MemoryContext old;

	generation++;
	latest = NULL;
	if (known_sources == NULL)
		return;
	old = MemoryContextSwitchTo(TopMemoryContext);
	hash_seq_init(&scan, known_sources);
	while ((known = hash_seq_search(&scan)) != NULL)
	{
		if (known->source)
			retired = lappend(retired, known->source->context);
		hash_search(known_sources, known->name, HASH_REMOVE, NULL);
	}
	MemoryContextSwitchTo(old);
}

static void
on_relcache_message(Datum arg, Oid relid)
{
	if (relid != InvalidOid && relid != watched)
		return;
	forget_sources();
	watching = false;			/* it may have been dropped: ask again */
}

/* Somebody's membership in a role changed: who may use a source is asked again. */
static void
on_membership_message(Datum arg, int cache, uint32 hash)
{
	forget_sources();
}

static void
on_transaction_end(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	for (int i = 0; i < list_length(retired); i++)
		MemoryContextDelete(list_nth(retired, i));
	list_free(retired);
	retired = NIL;
}

/* Which relation to listen to; asked again when the extension was dropped and made anew. */
static void
watch_configuration(void)
{
	static bool registered = false;

	if (watching)
		return;
	if (!registered)
	{
		CacheRegisterRelcacheCallback(on_relcache_message, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, on_membership_message, (Datum) 0);
		RegisterXactCallback(on_transaction_end, NULL);
		registered = true;
	}
	if (known_sources == NULL)
	{
		HASHCTL		info = {.keysize = sizeof(((Known *) 0)->name), .entrysize = sizeof(Known)};

		known_sources = hash_create("erp_webhook sources", 64, &info, HASH_ELEM | HASH_STRINGS);
	}
	forget_sources();
	watched = get_relname_relid("source", get_namespace_oid("erp_webhook", false));
	watching = true;
}

/* A number that is another one after every change of configuration committed until now. */
uint64
ewh_configuration_generation(void)
{
	AcceptInvalidationMessages();
	watch_configuration();
	return generation;
}

/* One that was broken may be mended without a message, by a key file that comes back. */
static bool
worth_another_look(const EwhSource *source)
{
	return source->broken && GetCurrentTimestamp() >= source->look_again;
}

/* Forget this one; what it holds is there until the end of the transaction. */
static void
retire(Known *known)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	retired = lappend(retired, known->source->context);
	MemoryContextSwitchTo(old);
	hash_search(known_sources, known->name, HASH_REMOVE, NULL);
	latest = NULL;
}

static EwhSource *
dummy_source(void)
{
	if (dummy == NULL)
	{
		EwhSource  *made = ewh_configuration_dummy();

		MemoryContextSetParent(made->context, TopMemoryContext);
		dummy = made;
	}
	return dummy;
}

/* The source of this name as committed now, or the dummy. Valid until the end of the transaction. */
EwhSource *
ewh_source_lookup(const char *name)
{
	Known	   *known;
	EwhSource  *source;
	uint64		before;

	(void) ewh_configuration_generation();
	if (latest && strcmp(latest->name, name) == 0 && !worth_another_look(latest))
		return latest;
	if (strlen(name) > MAX_NAME)
		return dummy_source();
	known = hash_search(known_sources, name, HASH_FIND, NULL);
	if (known && !worth_another_look(known->source))
		return latest = known->source;
	if (known)
		retire(known);
	do
	{
		before = generation;
		source = ewh_configuration_load(name);
		if (source && before != generation)
			MemoryContextDelete(source->context);
	} while (before != generation);
	if (source == NULL)
		return dummy_source();
	MemoryContextSetParent(source->context, TopMemoryContext);
	if (source->broken)
	{
		source->look_again = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), BROKEN_MS);
		ereport(LOG,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("erp_webhook: source \"%s\" cannot be used: %s", source->name, source->broken)));
	}
	if (hash_get_num_entries(known_sources) >= MAX_KNOWN)
		forget_sources();
	known = hash_search(known_sources, name, HASH_ENTER, NULL);
	known->source = source;
	return source;
}

/*
 * Judge a request by its source. An unknown one is judged as if it bore a signature, so that the body is hashed as it
 * would be for a known one.
 */
void
ewh_source_verify(EwhSource *source, const EwhRequest *request, TimestampTz at, EwhVerdict *verdict)
{
	static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";
	EwhHeader	header = {.name = ewh_bytes("webhook-signature"), .value = {zeros, sizeof(zeros) - 1}};
	EwhRequest	signed_request = *request;

	signed_request.headers = &header;
	signed_request.nheaders = 1;
	ewh_verify(source->scheme, source->secrets, source->nsecrets, source->known ? request : &signed_request, at, verdict);
}

/* Raise unless the role that asks administers the source's company: whoever may sign holds the secret in effect. */
void
ewh_source_check_access(EwhSource *source)
{
	Datum		args[2];

	if (!source->known || source->admitted == GetOuterUserId() || superuser_arg(GetOuterUserId()))
		return;
	args[0] = Int32GetDatum(source->company_id);
	args[1] = CStringGetTextDatum("admin");
	ewh_statement_run(EWH_CHECK_ACCESS, args, NULL, NULL, NULL);
	source->admitted = GetOuterUserId();
}

PG_FUNCTION_INFO_V1(erp_webhook_configuration_changed);
/* configuration_changed() RETURNS trigger: at COMMIT, every backend forgets the sources it knows. */
Datum
erp_webhook_configuration_changed(PG_FUNCTION_ARGS)
{
	Oid			relid = get_relname_relid("source", get_namespace_oid("erp_webhook", false));

	CacheInvalidateRelcacheByRelid(relid);
	return PointerGetDatum(NULL);
}
