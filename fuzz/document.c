/*
 * document.c: JSON, forms and XML to tapes, and pointers into them. The first byte chooses the format, the bytes up to
 * the first NUL are a pointer, the rest is the body. Whatever comes, a tape that is handed out is a tree over the bytes.
 */
#include "fuzz.h"

#include "mb/pg_wchar.h"

#include "reading/path.h"
#include "reading/tape.h"

static int
check_subtree(const EwhDocument *doc, EwhNode node, EwhNode end, int depth)
{
	int			children = 0;
	EwhNode		child = ewh_node_first(doc, node);

	must(depth <= EWH_MAX_DEPTH + 1);
	while (child >= 0)
	{
		EwhNode		next = ewh_node_next(doc, child);

		must(child > node && child < end && (next < 0 || (next > child && next < end)));
		check_subtree(doc, child, next < 0 ? end : next, depth + 1);
		children++;
		child = next;
	}
	must(children == doc->nodes[node].children);
	return children;
}

/* What is handed out is text: UTF-8 without NUL. */
static void
check_text(EwhBytes text)
{
	must(pg_encoding_verifymbstr(PG_UTF8, text.data, text.len) == (int) text.len);
}

static void
check_nodes(const EwhDocument *doc)
{
	for (EwhNode node = 0; node < doc->count; node++)
	{
		const EwhTapeNode *n = &doc->nodes[node];
		EwhBytes	text;

		must(n->start >= 0 && n->len >= 0 && (size_t) n->start + n->len <= doc->bytes.len);
		must(n->key < 0 || (n->key_len >= 0 && (size_t) n->key + n->key_len <= doc->bytes.len));
		if (ewh_node_text(doc, node, &text))
			check_text(text);
		if (ewh_node_key(doc, node, &text))
			check_text(text);
	}
	check_subtree(doc, 0, doc->count, 0);
}

static void
check_pointer(const EwhDocument *doc, EwhBytes pointer)
{
	EwhPath    *path = ewh_path_compile(pointer, true);
	EwhReadStatus first = EWH_READ_OK;
	EwhReadStatus all = EWH_READ_OK;
	EwhNode		node;
	List	   *nodes;

	if (path == NULL)
		return;
	node = ewh_path_first(doc, 0, path, &first);
	nodes = ewh_path_all(doc, 0, path, &all);
	must(node < doc->count && (first == EWH_READ_OK || node < 0));
	must(first != EWH_READ_OK || all != EWH_READ_OK || (nodes == NIL ? -1 : linitial_int(nodes)) == node);
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	static EwhReadStatus (*const readers[]) (EwhBytes, EwhDocument **) = {ewh_document_json, ewh_document_form, ewh_document_xml};
	const uint8 *nul = size > 1 ? memchr(data + 1, '\0', size - 1) : NULL;
	EwhBytes	pointer;
	EwhBytes	body;
	EwhDocument *doc;

	if (nul == NULL)
		return 0;
	pointer = (EwhBytes) {(const char *) data + 1, nul - data - 1};
	/* a copy of exactly its size: a read beyond it is seen */
	body.len = data + size - nul - 1;
	body.data = memcpy(palloc(body.len), nul + 1, body.len);
	if (readers[data[0] % lengthof(readers)] (body, &doc) == EWH_READ_OK)
	{
		check_nodes(doc);
		check_pointer(doc, pointer);
	}
	else
		must(doc == NULL);
	fuzz_forget();
	return 0;
}
