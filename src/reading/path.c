/*
 * path.c: pointers as arrays of steps, and walking a document by them.
 */
#include "postgres.h"

#include "path.h"

/* Longer pointers than any provider's are a mistake in a row. */
#define MAX_STEPS 32

typedef enum StepKind
{
	STEP_MEMBER,				/* a member's name, or an element's index */
	STEP_FIRST_WHERE,			/* [name=text] */
	STEP_ALL					/* *, perhaps with [name=text] */
} StepKind;

typedef struct Step
{
	StepKind	kind;
	EwhBytes	name;
	int32		index;			/* the name as an array index, or -1 */
	bool		where;
	EwhBytes	text;			/* what the member `name` must read */
} Step;

struct EwhPath
{
	int			nsteps;
	Step		steps[FLEXIBLE_ARRAY_MEMBER];
};

/* An array index as RFC 6901 section 4 spells it: no sign, no leading zero. */
static int32
array_index(EwhBytes token)
{
	int32		index = 0;

	if (token.len == 0 || token.len > 9 || (token.len > 1 && token.data[0] == '0'))
		return -1;
	for (size_t i = 0; i < token.len; i++)
	{
		if (token.data[i] < '0' || token.data[i] > '9')
			return -1;
		index = index * 10 + (token.data[i] - '0');
	}
	return index;
}

/* A reference token without its escapes ~0 and ~1; false where a ~ stands alone. */
static bool
unescape_token(EwhBytes token, EwhBytes *out)
{
	char	   *to = palloc(token.len + 1);

	out->data = to;
	for (size_t i = 0; i < token.len; i++)
	{
		char		c = token.data[i];

		if (c == '~')
		{
			if (++i == token.len || (token.data[i] != '0' && token.data[i] != '1'))
				return false;
			c = token.data[i] == '0' ? '~' : '/';
		}
		*to++ = c;
	}
	out->len = to - out->data;
	return true;
}

/* Split "[name=text]" into the step; false where it is not of that shape. */
static bool
selector(EwhBytes token, Step *step)
{
	const char *equals;

	if (token.len < 4 || token.data[0] != '[' || token.data[token.len - 1] != ']')
		return false;
	equals = memchr(token.data, '=', token.len);
	if (equals == NULL)
		return false;
	step->where = true;
	step->name = (EwhBytes) {token.data + 1, equals - token.data - 1};
	step->text = (EwhBytes) {equals + 1, token.data + token.len - 1 - (equals + 1)};
	return true;
}

static void
read_step(EwhBytes token, bool selectors, Step *step)
{
	step->kind = STEP_MEMBER;
	step->name = token;
	step->index = array_index(token);
	if (!selectors || token.len == 0)
		return;
	if (token.data[0] == '*' &&
		(token.len == 1 || selector((EwhBytes) {token.data + 1, token.len - 1}, step)))
		step->kind = STEP_ALL;
	else if (selector(token, step))
		step->kind = STEP_FIRST_WHERE;
}

/* The steps of a pointer; NULL where it is none. The empty pointer is the whole document. */
EwhPath *
ewh_path_compile(EwhBytes pointer, bool selectors)
{
	EwhPath    *path = palloc0(offsetof(EwhPath, steps) + sizeof(Step) * MAX_STEPS);
	const char *p = pointer.data;
	const char *end = pointer.data + pointer.len;

	while (p < end)
	{
		const char *slash;
		EwhBytes	token;

		if (*p != '/' || path->nsteps == MAX_STEPS)
			return NULL;
		p++;
		slash = memchr(p, '/', end - p);
		token = (EwhBytes) {p, (slash ? slash : end) - p};
		p += token.len;
		if (!unescape_token(token, &token))
			return NULL;
		read_step(token, selectors, &path->steps[path->nsteps++]);
	}
	return path;
}

static bool
reads(const EwhDocument *doc, EwhNode element, const Step *step, EwhReadStatus *status)
{
	EwhNode		member = ewh_node_member(doc, element, step->name, -1, status);
	EwhBytes	text;

	return member >= 0 && ewh_node_text(doc, member, &text) &&
		text.len == step->text.len && memcmp(text.data, step->text.data, text.len) == 0;
}

static EwhNode
first_where(const EwhDocument *doc, EwhNode array, const Step *step, EwhReadStatus *status)
{
	if (ewh_node_type(doc, array) != EWH_ARRAY)
		return -1;
	for (EwhNode e = ewh_node_first(doc, array); e >= 0; e = ewh_node_next(doc, e))
		if (reads(doc, e, step, status))
			return e;
	return -1;
}

/* One step of a single kind; may take the next one with it (an index behind an XML element's name). */
static EwhNode
take_step(const EwhDocument *doc, EwhNode node, const EwhPath *path, int *at, EwhReadStatus *status)
{
	const Step *step = &path->steps[*at];
	int32		index = -1;

	if (step->kind == STEP_FIRST_WHERE)
		return first_where(doc, node, step, status);
	if (ewh_node_type(doc, node) == EWH_ARRAY)
		return ewh_node_element(doc, node, step->index);
	if (ewh_document_is_xml(doc) && *at + 1 < path->nsteps && path->steps[*at + 1].index >= 0)
		index = path->steps[++*at].index;
	return ewh_node_member(doc, node, step->name, index, status);
}

/* The node at the path; behind a `*` the first. -1 where there is none or *status says why it must not be used. */
EwhNode
ewh_path_first(const EwhDocument *doc, EwhNode from, const EwhPath *path, EwhReadStatus *status)
{
	EwhNode		node = from;

	for (int at = 0; at < path->nsteps && node >= 0; at++)
	{
		if (path->steps[at].kind == STEP_ALL)
		{
			List	   *all = ewh_path_all(doc, from, path, status);

			return all == NIL ? -1 : linitial_int(all);
		}
		node = take_step(doc, node, path, &at, status);
	}
	return *status == EWH_READ_OK ? node : -1;
}

/* Walk on from `node` at step `at`; recursion is as deep as the pointer has stars, never as the body. */
static void
collect(const EwhDocument *doc, EwhNode node, const EwhPath *path, int at, List **found, EwhReadStatus *status)
{
	for (; at < path->nsteps && node >= 0; at++)
	{
		const Step *step = &path->steps[at];

		if (step->kind != STEP_ALL)
		{
			node = take_step(doc, node, path, &at, status);
			continue;
		}
		if (ewh_node_type(doc, node) != EWH_ARRAY)
			return;
		for (EwhNode e = ewh_node_first(doc, node); e >= 0; e = ewh_node_next(doc, e))
			if (!step->where || reads(doc, e, step, status))
				collect(doc, e, path, at + 1, found, status);
		return;
	}
	if (node >= 0)
		*found = lappend_int(*found, node);
}

/* Every node at the path, in the order of the body. */
List *
ewh_path_all(const EwhDocument *doc, EwhNode from, const EwhPath *path, EwhReadStatus *status)
{
	List	   *found = NIL;

	collect(doc, from, path, 0, &found, status);
	return *status == EWH_READ_OK ? found : NIL;
}

/* RFC 6901 from any node, for callers with a pointer of their own. */
EwhNode
ewh_document_find(const EwhDocument *doc, EwhNode from, const char *pointer, EwhReadStatus *status)
{
	EwhPath    *path = ewh_path_compile((EwhBytes) {pointer, strlen(pointer)}, false);
	EwhNode		node;

	*status = EWH_READ_OK;
	if (path == NULL)
		return -1;
	node = ewh_path_first(doc, from, path, status);
	return node;
}
