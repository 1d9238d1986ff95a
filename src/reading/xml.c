/*
 * xml.c: an XML body to a tape, through libxml2's pull parser.
 *
 * The root is an object with one member, the root element. An element is an object of its attributes (@name) and child
 * elements; one without child elements is a string, attributes or not. Elements of one name beside each other are an
 * array: /list/item/0. Namespace prefixes do not count.
 *
 * Nothing is fetched and nothing is defined in the body: a document type is refused before the parser sees it. Our own
 * code runs between its calls, never inside them, so an error of ours unwinds no foreign frame.
 */
#include "postgres.h"

#include <libxml/xmlreader.h>

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#include "tape.h"

/* The largest XML that any provider sends is a few kilobytes. */
#define MAX_XML (4 * 1024 * 1024)

typedef struct XmlReader
{
	xmlTextReaderPtr pull;
	EwhDocument *doc;
	StringInfoData arena;		/* names and texts, decoded */
	int			depth;
	EwhTapeLevel levels[EWH_MAX_DEPTH + 2];
} XmlReader;

static void
free_pull(void *arg)
{
	XmlReader  *r = arg;

	if (r->pull)
		xmlFreeTextReader(r->pull);
	r->pull = NULL;
}

static void
put(XmlReader *r, const char *prefix, const xmlChar *text, int32 *start, int32 *len)
{
	*start = r->arena.len;
	appendStringInfoString(&r->arena, prefix);
	appendStringInfoString(&r->arena, text ? (const char *) text : "");
	*len = r->arena.len - *start;
}

static EwhReadStatus
add_attributes(XmlReader *r)
{
	while (xmlTextReaderMoveToNextAttribute(r->pull) == 1)
	{
		EwhTapeNode *node;

		if (xmlTextReaderIsNamespaceDecl(r->pull) == 1)
			continue;
		node = ewh_tape_add(r->doc, &r->levels[r->depth], EWH_STRING);
		if (node == NULL)
			return EWH_UNREADABLE;
		put(r, "@", xmlTextReaderConstLocalName(r->pull), &node->key, &node->key_len);
		put(r, "", xmlTextReaderConstValue(r->pull), &node->start, &node->len);
	}
	xmlTextReaderMoveToElement(r->pull);
	return EWH_READ_OK;
}

static EwhReadStatus
open_element(XmlReader *r)
{
	EwhTapeLevel *level = &r->levels[r->depth];
	bool		empty = xmlTextReaderIsEmptyElement(r->pull) == 1;
	EwhTapeNode *node;
	EwhReadStatus status;

	if (r->depth > EWH_MAX_DEPTH)
		return EWH_TOO_DEEP;
	node = ewh_tape_add(r->doc, level, EWH_STRING);
	if (node == NULL)
		return EWH_UNREADABLE;
	put(r, "", xmlTextReaderConstLocalName(r->pull), &node->key, &node->key_len);
	r->doc->nodes[level->container].type = EWH_OBJECT;
	r->levels[++r->depth] = (EwhTapeLevel) {r->doc->count - 1, -1};
	status = add_attributes(r);
	r->doc->nodes[r->levels[r->depth].container].start = r->arena.len;
	if (empty)
		r->depth--;
	return status;
}

/* Text of the element at hand; between child elements it is white space or nothing we read. */
static void
add_text(XmlReader *r)
{
	EwhTapeNode *node = &r->doc->nodes[r->levels[r->depth].container];
	const xmlChar *text = xmlTextReaderConstValue(r->pull);

	if (node->type != EWH_STRING || text == NULL)
		return;
	appendStringInfoString(&r->arena, (const char *) text);
	node->len = r->arena.len - node->start;
}

static EwhReadStatus
read_node(XmlReader *r)
{
	switch (xmlTextReaderNodeType(r->pull))
	{
		case XML_READER_TYPE_ELEMENT:
			return open_element(r);
		case XML_READER_TYPE_END_ELEMENT:
			r->depth--;
			return EWH_READ_OK;
		case XML_READER_TYPE_TEXT:
		case XML_READER_TYPE_CDATA:
		case XML_READER_TYPE_SIGNIFICANT_WHITESPACE:
		case XML_READER_TYPE_WHITESPACE:
			add_text(r);
			return EWH_READ_OK;
		case XML_READER_TYPE_COMMENT:
		case XML_READER_TYPE_PROCESSING_INSTRUCTION:
			return EWH_READ_OK;
		default:
			return EWH_UNREADABLE;
	}
}

static EwhReadStatus
read_all(XmlReader *r)
{
	EwhReadStatus status = EWH_READ_OK;
	int			more = 1;

	while (status == EWH_READ_OK && (more = xmlTextReaderRead(r->pull)) == 1)
		status = read_node(r);
	return status == EWH_READ_OK && more != 0 ? EWH_UNREADABLE : status;
}

static bool
acceptable(EwhBytes body)
{
	return body.len > 0 && body.len <= MAX_XML &&
		memmem(body.data, body.len, "<!DOCTYPE", 9) == NULL &&
		pg_encoding_verifymbstr(PG_UTF8, body.data, body.len) == (int) body.len;
}

/* Read a whole body. The encoding is UTF-8 whatever its declaration says. */
EwhReadStatus
ewh_document_xml(EwhBytes body, EwhDocument **doc)
{
	XmlReader  *r;
	MemoryContextCallback *callback;
	EwhTapeLevel root = {-1, -1};
	EwhReadStatus status;

	*doc = NULL;
	if (!acceptable(body))
		return EWH_UNREADABLE;
	r = palloc0(sizeof(XmlReader));
	callback = palloc0(sizeof(MemoryContextCallback));
	callback->func = free_pull;
	callback->arg = r;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	r->doc = ewh_tape_begin(body);
	r->doc->xml = true;
	initStringInfo(&r->arena);
	ewh_tape_add(r->doc, &root, EWH_OBJECT);
	r->levels[0] = (EwhTapeLevel) {0, -1};
	r->pull = xmlReaderForMemory(body.data, body.len, NULL, "UTF-8",
								 XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	status = r->pull ? read_all(r) : EWH_UNREADABLE;
	free_pull(r);
	r->doc->bytes = (EwhBytes) {r->arena.data, r->arena.len};
	if (status == EWH_READ_OK)
		*doc = r->doc;
	return status;
}
