/*
 * normalise.c: from a body to its canonical events.
 *
 * A body holds one item or, where the mapping says `each`, many. An item becomes one event for each fact of the
 * mapping of which a row holds; one that no row knows becomes a single event of kind `other`.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "content.h"
#include "fact.h"
#include "normalise.h"

/* One body being read. */
typedef struct BodyReader
{
	const EwhMapping *mapping;
	const EwhRequest *req;
	const EwhDocument *doc;
	const EwhDocument *body;
	const char *trust;
	char	   *body_name;		/* sha256:… of the bytes, made when first needed */
	List	   *events;
} BodyReader;

static char *
body_name(BodyReader *b)
{
	if (b->body_name == NULL)
		b->body_name = ewh_hash_name(b->req->body);
	return b->body_name;
}

/* The one event of a body that cannot be read, or that holds no item. */
static EwhEvent *
bodily_event(BodyReader *b, const char *state, const char *reason)
{
	EwhEvent   *event = palloc0(sizeof(EwhEvent));

	event->external_id = body_name(b);
	event->kind = "other";
	event->state = (char *) state;
	event->reason = (char *) reason;
	ewh_fact_digest(event);
	return event;
}

static const char *
reason_of(EwhReadStatus status)
{
	return status == EWH_TOO_DEEP ? "too_deep" : "unreadable";
}

/*
 * Give the event its external_id: the mapping's, else one from the bytes and the item's place. A further fact of the
 * item carries the fact's name behind it, one of several elements what it is about.
 */
static void
name_event(BodyReader *b, EwhEvent *event, int item, const char *fact, int element)
{
	char	   *id = event->external_id;

	if (id == NULL)
		id = item < 0 ? body_name(b) : psprintf("%s#%d", body_name(b), item);
	if (fact[0])
		id = psprintf("%s#%s", id, fact);
	if (element >= 0)
		id = event->object_ref ? psprintf("%s#%s", id, event->object_ref) : psprintf("%s#%d", id, element);
	if (strlen(id) > EWH_MAX_REFERENCE)
		id = ewh_hash_name((EwhBytes) {id, strlen(id)});
	event->external_id = id;
}

static void
add_event(BodyReader *b, const EwhRow *row, EwhScopes *scopes, const char *type, int item, int element)
{
	EwhEvent   *event = ewh_fact_read(b->mapping, row, scopes, type, b->trust);

	name_event(b, event, item, row ? row->fact : "", element);
	ewh_fact_digest(event);
	b->events = lappend(b->events, event);
}

/* A row with `each`: every element it points at is a fact of its own. False where there is none. */
static bool
add_elements(BodyReader *b, const EwhRow *row, EwhScopes *scopes, const char *type, int item)
{
	EwhScopes	element = *scopes;
	EwhReadStatus status = EWH_READ_OK;
	int			i = 0;
	ListCell   *lc;

	foreach(lc, ewh_path_all(scopes->doc, scopes->here, row->each, &status))
	{
		element.here = lfirst_int(lc);
		element.trouble = NULL;
		add_event(b, row, &element, type, item, i++);
	}
	if (status != EWH_READ_OK)
		scopes->trouble = "unreadable";
	return i > 0;
}

static const List *
rows_for(const EwhMapping *mapping, const char *type)
{
	char		key[NAMEDATALEN * 2] = {0};
	EwhTypeRows *entry;

	if (type == NULL || strlen(type) >= sizeof(key))
		return mapping->untyped;
	strlcpy(key, type, sizeof(key));
	entry = hash_search(mapping->by_type, key, HASH_FIND, NULL);
	return entry ? entry->rows : mapping->untyped;
}

/* The first row of this fact that holds. */
static const EwhRow *
row_for(const List *rows, const char *fact, EwhScopes *scopes, const char *type)
{
	ListCell   *lc;

	foreach(lc, rows)
	{
		const EwhRow *row = lfirst(lc);

		if (strcmp(row->fact, fact) == 0 && ewh_conditions_hold(scopes, row->conditions, type))
			return row;
	}
	return NULL;
}

/* All events of one item; item is its place in the body, -1 where the body is the item. */
static void
read_item(BodyReader *b, EwhNode node, int item)
{
	EwhScopes	scopes = {b->doc, node, node, b->body, b->req, NULL};
	char	   *type = ewh_evaluate_text(&scopes, b->mapping->type);
	const List *rows = rows_for(b->mapping, type);
	bool		known = false;
	ListCell   *lc;

	foreach(lc, b->mapping->facts)
	{
		const EwhRow *row = row_for(rows, lfirst(lc), &scopes, type);

		/* a condition that must not be used leaves the kind unknown */
		if (scopes.trouble || row == NULL)
			continue;
		if (row->each)
			known |= add_elements(b, row, &scopes, type, item);
		else
		{
			add_event(b, row, &scopes, type, item, -1);
			known = true;
		}
	}
	if (!known)
		add_event(b, NULL, &scopes, type, item, -1);
}

/* The items of the first `each` alternative that has any. */
static List *
find_items(BodyReader *b, EwhReadStatus *status)
{
	ListCell   *lc;

	foreach(lc, b->mapping->each)
	{
		List	   *items = ewh_path_all(b->doc, 0, lfirst(lc), status);

		if (items != NIL || *status != EWH_READ_OK)
			return items;
	}
	return NIL;
}

static void
read_items(BodyReader *b)
{
	EwhReadStatus status = EWH_READ_OK;
	List	   *items;
	int			i = 0;
	ListCell   *lc;

	if (b->mapping->each == NIL)
	{
		read_item(b, 0, -1);
		return;
	}
	items = find_items(b, &status);
	foreach(lc, items)
	{
		CHECK_FOR_INTERRUPTS();
		read_item(b, lfirst_int(lc), i++);
	}
	if (status != EWH_READ_OK)
		b->events = list_make1(bodily_event(b, "quarantined", reason_of(status)));
	else if (items == NIL)
		b->events = list_make1(bodily_event(b, "no_effect", NULL));
}

/* See normalise.h. */
List *
ewh_normalise(const EwhMapping *mapping, const EwhRequest *req, EwhBytes content, const char *trust)
{
	BodyReader	b = {mapping, req, NULL, NULL, trust, NULL, NIL};
	EwhDocument *doc;
	EwhDocument *body;
	EwhReadStatus status = ewh_content_open(mapping, req, content, &doc);

	if (status != EWH_READ_OK)
		return list_make1(bodily_event(&b, "quarantined", reason_of(status)));
	b.doc = b.body = doc;
	if (content.data != req->body.data || mapping->wrappers != NIL)
		b.body = ewh_content_body(mapping, req, &body) == EWH_READ_OK ? body : NULL;
	read_items(&b);
	return b.events;
}
