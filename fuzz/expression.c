/*
 * expression.c: patterns over what a document holds. Up to the first NUL the pattern ("before{hole}behind"), then a JSON
 * body. What take and find give is made of the text, and every match has the pattern's shape.
 */
#include "fuzz.h"

#include "reading/expression.h"

/* Expressions on headers and settings are not made here. */
const EwhHeader *
ewh_request_header(const EwhRequest *req, const char *lower_name)
{
	abort();
}

char *
ewh_setting(const EwhRequest *req, const char *key)
{
	abort();
}

static bool
read_pattern(EwhBytes text, EwhPattern *pattern)
{
	const char *open = memchr(text.data, '{', text.len);
	const char *close = open ? memchr(open, '}', text.data + text.len - open) : NULL;

	if (close == NULL)
		return false;
	pattern->hole = close == open + 1 ? 'a' : open[1] == 'd' ? 'd' : 'w';
	pattern->before = (EwhBytes) {text.data, open - text.data};
	pattern->behind = (EwhBytes) {close + 1, text.data + text.len - close - 1};
	return true;
}

static bool
inside(EwhBytes part, EwhBytes whole)
{
	return part.len == 0 || memmem(whole.data, whole.len, part.data, part.len) != NULL;
}

static void
check_found(const EwhPattern *p, EwhBytes found)
{
	must(found.len > p->before.len + p->behind.len);
	must(memcmp(found.data, p->before.data, p->before.len) == 0);
	must(memcmp(found.data + found.len - p->behind.len, p->behind.data, p->behind.len) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	const uint8 *nul = memchr(data, '\0', size);
	EwhPattern	pattern = {0};
	EwhExpression at = {.kind = EWH_POINTER};
	EwhExpression derived = {.kind = EWH_DERIVED, .pattern = &pattern};
	EwhScopes	scopes = {0};
	EwhDocument *doc;
	EwhBytes	body;
	EwhValue	taken;
	ListCell   *lc;

	if (nul == NULL || !read_pattern((EwhBytes) {(const char *) data, nul - data}, &pattern))
		return 0;
	body.len = data + size - nul - 1;
	body.data = memcpy(palloc(body.len), nul + 1, body.len);
	if (ewh_document_json(body, &doc) == EWH_READ_OK)
	{
		scopes.doc = doc;
		at.path = ewh_path_compile((EwhBytes) {"/*", 2}, true);
		derived.parts = lappend(NIL, &at);
		taken = ewh_evaluate(&scopes, &derived);
		must(taken.text.data == NULL || ewh_evaluate(&scopes, &at).text.len >= taken.text.len);
		pattern.whole = true;
		foreach(lc, ewh_evaluate_all(&scopes, &derived))
		{
			EwhValue   *found = lfirst(lc);

			check_found(&pattern, found->text);
			must(inside(found->text, body) || memchr(body.data, '\\', body.len));
		}
	}
	fuzz_forget();
	return 0;
}
