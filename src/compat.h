/*
 * compat.h: every difference between PostgreSQL 15 and 18 that this project meets.
 *
 * Nothing else in the project asks for PG_VERSION_NUM.
 */
#ifndef EWH_COMPAT_H
#define EWH_COMPAT_H

#include "postgres.h"

#include "common/jsonapi.h"
#include "mb/pg_wchar.h"
#include "storage/latch.h"

/* 17 gave wait event sets a resource owner, 18 a header. Ours live for one wait, outside transactions. */
#if PG_VERSION_NUM >= 180000
#include "storage/waiteventset.h"
#endif
#if PG_VERSION_NUM >= 170000
#define ewh_create_wait_event_set(n) CreateWaitEventSet(NULL, n)
#else
#define ewh_create_wait_event_set(n) CreateWaitEventSet(CurrentMemoryContext, n)
#endif

/* A lexer over UTF-8 text that leaves escapes alone; its constructor changed in 17. */
static inline JsonLexContext *
ewh_json_lexer(const char *json, size_t len)
{
#if PG_VERSION_NUM >= 170000
	return makeJsonLexContextCstringLen(NULL, json, len, PG_UTF8, false);
#else
	return makeJsonLexContextCstringLen((char *) json, (int) len, PG_UTF8, false);
#endif
}

#endif							/* EWH_COMPAT_H */
