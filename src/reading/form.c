/*
 * form.c: application/x-www-form-urlencoded to a tape: an object of strings in the order of the text.
 *
 * Decoding is strict: %XX with two hex digits, + for a space. A name given twice stays twice on the tape, so that who
 * reads that name finds a duplicate.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "tape.h"

/*
 * Decode a range of the text to the end of the arena; false where it is not well written or not UTF-8. Each part is
 * checked by itself: the halves of a character in two parts would pass together.
 */
static bool
decode(EwhBytes text, char *arena, int32 *used, int32 *start, int32 *len)
{
	size_t		decoded;

	*start = *used;
	if (!ewh_percent_decode(text, true, arena + *used, &decoded))
		return false;
	*len = decoded;
	*used += decoded;
	return pg_encoding_verifymbstr(PG_UTF8, arena + *start, *len) == *len;
}

static bool
add_pair(EwhDocument *doc, EwhTapeLevel *level, EwhBytes pair, char *arena, int32 *used)
{
	const char *equals = memchr(pair.data, '=', pair.len);
	const char *end = pair.data + pair.len;
	EwhBytes	name = {pair.data, (equals ? equals : end) - pair.data};
	EwhBytes	value = {equals ? equals + 1 : end, equals ? end - equals - 1 : 0};
	EwhTapeNode *node = ewh_tape_add(doc, level, EWH_STRING);

	return node && decode(name, arena, used, &node->key, &node->key_len) &&
		decode(value, arena, used, &node->start, &node->len);
}

/* Read a form. Anything that does not decode to valid UTF-8 without NUL is unreadable, and so is the empty body. */
EwhReadStatus
ewh_document_form(EwhBytes body, EwhDocument **doc)
{
	const char *at = body.data;
	const char *end = body.data + body.len;
	char	   *arena;
	int32		used = 0;
	EwhDocument *d;
	EwhTapeLevel root = {-1, -1};
	EwhTapeLevel level = {0, -1};

	*doc = NULL;
	if (body.len == 0 || body.len > PG_INT32_MAX / 2)
		return EWH_UNREADABLE;
	arena = palloc(body.len + 1);
	d = ewh_tape_begin((EwhBytes) {arena, body.len});
	ewh_tape_add(d, &root, EWH_OBJECT);
	while (at < end)
	{
		const char *amp = memchr(at, '&', end - at);
		EwhBytes	pair = {at, (amp ? amp : end) - at};

		if (pair.len > 0 && !add_pair(d, &level, pair, arena, &used))
			return EWH_UNREADABLE;
		at += pair.len + 1;
	}
	*doc = d;
	return EWH_READ_OK;
}
