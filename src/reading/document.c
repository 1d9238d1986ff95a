/*
 * document.c: the tape, and reading it by pointer.
 *
 * An object's members are looked through to the end even when the key is found: a second one of that name makes the
 * body mean different things to different readers, and so nothing is read from it.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#include "tape.h"

EwhDocument *
ewh_tape_begin(EwhBytes bytes)
{
	EwhDocument *doc = palloc0(sizeof(EwhDocument));

	doc->bytes = bytes;
	/* a member takes about twenty bytes in the bodies we know; a wrong guess only costs a repalloc */
	doc->room = Max(bytes.len / 20, 16);
	doc->room = Min(doc->room, EWH_MAX_NODES);
	doc->nodes = palloc(sizeof(EwhTapeNode) * doc->room);
	return doc;
}

/* A new node at the end of `level`; the caller fills its range and key. NULL where the tape grows beyond all measure. */
EwhTapeNode *
ewh_tape_add(EwhDocument *doc, EwhTapeLevel *level, EwhNodeType type)
{
	EwhTapeNode *node;
	EwhNode		self = doc->count;

	if (doc->count == EWH_MAX_NODES)
		return NULL;
	if (doc->count == doc->room)
	{
		doc->room = Min(doc->room * 2, EWH_MAX_NODES);
		doc->nodes = repalloc(doc->nodes, sizeof(EwhTapeNode) * doc->room);
	}
	node = &doc->nodes[doc->count++];
	memset(node, 0, sizeof(*node));
	node->type = type;
	node->key = -1;
	node->next = -1;
	if (level->last >= 0)
		doc->nodes[level->last].next = self;
	if (level->container >= 0)
		doc->nodes[level->container].children++;
	level->last = self;
	return node;
}

EwhNodeType
ewh_node_type(const EwhDocument *doc, EwhNode node)
{
	return node < 0 ? EWH_ABSENT : (EwhNodeType) doc->nodes[node].type;
}

EwhNode
ewh_node_first(const EwhDocument *doc, EwhNode node)
{
	return node >= 0 && doc->nodes[node].children > 0 ? node + 1 : -1;
}

EwhNode
ewh_node_next(const EwhDocument *doc, EwhNode node)
{
	return node >= 0 ? doc->nodes[node].next : -1;
}

/* The four hex digits at s, already checked by the lexer. */
static unsigned int
hex4(const char *s)
{
	unsigned int value = 0;

	for (int i = 0; i < 4; i++)
	{
		char		c = s[i];

		value = value * 16 + (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	return value;
}

/*
 * The code point of the \u escape at *s (behind the 'u'), and of its second half. 0 for what no text may hold: U+0000
 * and a surrogate without its partner (RFC 8259 section 8.2).
 */
static unsigned int
escaped_code_point(const char **s, const char *end)
{
	unsigned int high = hex4(*s);
	unsigned int low;

	*s += 4;
	if (high >= 0xDC00 && high <= 0xDFFF)
		return 0;
	if (high < 0xD800 || high > 0xDBFF)
		return high;
	if (end - *s < 6 || (*s)[0] != '\\' || (*s)[1] != 'u')
		return 0;
	low = hex4(*s + 2);
	if (low < 0xDC00 || low > 0xDFFF)
		return 0;
	*s += 6;
	return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
}

static char
single_escape(char c)
{
	switch (c)
	{
		case 'b':
			return '\b';
		case 'f':
			return '\f';
		case 'n':
			return '\n';
		case 'r':
			return '\r';
		case 't':
			return '\t';
		default:
			return c;
	}
}

/* Undo the escapes of a JSON string that the lexer has passed. */
static bool
unescape(const char *s, int32 len, EwhBytes *out)
{
	const char *end = s + len;
	char	   *to = palloc(len + 1);

	out->data = to;
	while (s < end)
	{
		unsigned int code;

		if (*s != '\\')
		{
			*to++ = *s++;
			continue;
		}
		s++;
		if (*s != 'u')
		{
			*to++ = single_escape(*s++);
			continue;
		}
		s++;
		code = escaped_code_point(&s, end);
		if (code == 0)
			return false;
		unicode_to_utf8(code, (unsigned char *) to);
		to += pg_utf_mblen((unsigned char *) to);
	}
	out->len = to - out->data;
	return true;
}

static bool
range(const EwhDocument *doc, int32 start, int32 len, bool escaped, EwhBytes *out)
{
	if (escaped)
		return unescape(doc->bytes.data + start, len, out);
	out->data = doc->bytes.data + start;
	out->len = len;
	return true;
}

/* The member's key, decoded; false where there is none or it is not a text. */
bool
ewh_node_key(const EwhDocument *doc, EwhNode node, EwhBytes *key)
{
	const EwhTapeNode *n = &doc->nodes[node];

	return node >= 0 && n->key >= 0 && range(doc, n->key, n->key_len, n->key_escaped, key);
}

/* The text of a string, decoded; of anything else as it was written. False where the string holds no text. */
bool
ewh_node_text(const EwhDocument *doc, EwhNode node, EwhBytes *text)
{
	const EwhTapeNode *n = &doc->nodes[node];

	return node >= 0 && range(doc, n->start, n->len, n->escaped, text);
}

/* Is this member's key `name`? Only a key with escapes has to be decoded to tell. Inlined: most members are of other names. */
static inline bool
is_named(const EwhDocument *doc, const EwhTapeNode *n, EwhBytes name)
{
	EwhBytes	key;

	if (n->key < 0)
		return false;
	if (!n->key_escaped)
		return n->key_len == (int32) name.len && memcmp(doc->bytes.data + n->key, name.data, name.len) == 0;
	return range(doc, n->key, n->key_len, true, &key) && ewh_bytes_equal(key, name);
}

/*
 * The member `name` of an object. In XML, `index` picks one of several elements of that name and -1 demands that
 * there be one; elsewhere a second one is always a duplicate.
 */
EwhNode
ewh_node_member(const EwhDocument *doc, EwhNode object, EwhBytes name, int32 index, EwhReadStatus *status)
{
	EwhNode		found = -1;
	int32		seen = 0;

	for (EwhNode child = ewh_node_first(doc, object); child >= 0; child = doc->nodes[child].next)
	{
		if (!is_named(doc, &doc->nodes[child], name))
			continue;
		if (index < 0 || seen == index)
		{
			if (found >= 0)
				*status = EWH_DUPLICATE_KEY;
			else
				found = child;
		}
		seen++;
	}
	return *status == EWH_READ_OK ? found : -1;
}

/* The index-th element of an array. */
EwhNode
ewh_node_element(const EwhDocument *doc, EwhNode array, int32 index)
{
	EwhNode		child;

	if (index < 0 || index >= doc->nodes[array].children)
		return -1;
	for (child = array + 1; index > 0; index--)
		child = doc->nodes[child].next;
	return child;
}

bool
ewh_document_is_xml(const EwhDocument *doc)
{
	return doc->xml;
}
