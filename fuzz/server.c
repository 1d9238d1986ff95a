/*
 * server.c: the server's memory, lists and calendar, as far as the parsers use them. Every palloc is a malloc of its own,
 * so that the sanitizer sees each overrun.
 */
#include "fuzz.h"

#include "fmgr.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/memutils.h"

typedef struct Chunk
{
	struct Chunk *next;
	struct Chunk *previous;
	size_t		size;
	uint64		padding;		/* keeps the data aligned */
} Chunk;

static Chunk chunks = {&chunks, &chunks};
static MemoryContextCallback *callbacks;

MemoryContext CurrentMemoryContext;

void *
palloc(Size size)
{
	Chunk	   *c = malloc(sizeof(Chunk) + size);

	c->size = size;
	c->next = chunks.next;
	c->previous = &chunks;
	chunks.next->previous = c;
	chunks.next = c;
	return c + 1;
}

void *
palloc0(Size size)
{
	return memset(palloc(size), 0, size);
}

void *
palloc_extended(Size size, int flags)
{
	return palloc0(size);
}

void
pfree(void *pointer)
{
	Chunk	   *c = (Chunk *) pointer - 1;

	c->next->previous = c->previous;
	c->previous->next = c->next;
	free(c);
}

void *
repalloc(void *pointer, Size size)
{
	void	   *copy = palloc(size);

	memcpy(copy, pointer, Min(size, ((Chunk *) pointer - 1)->size));
	pfree(pointer);
	return copy;
}

void *
MemoryContextAlloc(MemoryContext context, Size size)
{
	return palloc(size);
}

char *
pnstrdup(const char *in, Size len)
{
	char	   *copy = palloc(len + 1);

	len = strnlen(in, len);
	memcpy(copy, in, len);
	copy[len] = '\0';
	return copy;
}

char *
pstrdup(const char *in)
{
	return pnstrdup(in, strlen(in));
}

void
MemoryContextRegisterResetCallback(MemoryContext context, MemoryContextCallback *callback)
{
	callback->next = callbacks;
	callbacks = callback;
}

void
fuzz_forget(void)
{
	for (; callbacks; callbacks = callbacks->next)
		callbacks->func(callbacks->arg);
	while (chunks.next != &chunks)
		pfree(chunks.next + 1);
}

static List *
append_cell(List *list, NodeTag type)
{
	if (list == NIL)
	{
		list = palloc0(sizeof(List));
		list->type = type;
	}
	if (list->length == list->max_length)
	{
		ListCell   *more = palloc(sizeof(ListCell) * (list->max_length * 2 + 8));

		if (list->length > 0)
			memcpy(more, list->elements, sizeof(ListCell) * list->length);
		list->elements = more;
		list->max_length = list->max_length * 2 + 8;
	}
	list->length++;
	return list;
}

List *
lappend_int(List *list, int datum)
{
	list = append_cell(list, T_IntList);
	llast_int(list) = datum;
	return list;
}

List *
lappend(List *list, void *datum)
{
	list = append_cell(list, T_List);
	llast(list) = datum;
	return list;
}

List *
list_concat(List *list, const List *more)
{
	ListCell   *lc;

	foreach(lc, more)
		list = lappend(list, lfirst(lc));
	return list;
}

const int	day_tab[2][13] = {
	{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 0},
	{31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 0},
};

/* Days from the civil calendar and back, counted from 1 March of year 0. */
int
date2j(int year, int month, int day)
{
	int			y = month <= 2 ? year - 1 : year;
	int			era = y / 400;
	int			yoe = y - era * 400;
	int			doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy + 1721120;
}

void
j2date(int jd, int *year, int *month, int *day)
{
	int			z = jd - 1721120;
	int			era = z / 146097;
	int			doe = z - era * 146097;
	int			yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int			doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int			mp = (5 * doy + 2) / 153;

	*day = doy - (153 * mp + 2) / 5 + 1;
	*month = mp < 10 ? mp + 3 : mp - 9;
	*year = yoe + era * 400 + (*month <= 2);
}

/* Sums are the server's numeric; no target adds. */
Datum
numeric_in(FunctionCallInfo fcinfo)
{
	abort();
}

Datum
numeric_out(FunctionCallInfo fcinfo)
{
	abort();
}

Datum
numeric_add(FunctionCallInfo fcinfo)
{
	abort();
}

Datum
DirectFunctionCall1Coll(PGFunction func, Oid collation, Datum arg1)
{
	abort();
}

Datum
DirectFunctionCall2Coll(PGFunction func, Oid collation, Datum arg1, Datum arg2)
{
	abort();
}

Datum
DirectFunctionCall3Coll(PGFunction func, Oid collation, Datum arg1, Datum arg2, Datum arg3)
{
	abort();
}
