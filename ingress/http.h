/*
 * A strict reading of HTTP/1.1 requests (RFC 9112), over bytes that are already there.
 *
 * Nothing here knows sockets or allocates: a head is parsed where it lies, and what is found points into it. Where the
 * standard lets a recipient be lenient, this one refuses, because two readers that differ in leniency (a proxy and we)
 * are how requests are smuggled.
 */
#ifndef EWH_HTTP_H
#define EWH_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EWH_HTTP_MAX_HEADERS 100
#define EWH_HTTP_MAX_LINE 8192 /* request line; RFC 9112 section 3 asks for 8000 at least */

/* Bytes that belong to someone else. */
typedef struct EwhSlice
{
	const char *at;
	size_t len;
} EwhSlice;

typedef struct EwhHttpField
{
	EwhSlice name, value;
} EwhHttpField;

typedef struct EwhHttpHead
{
	EwhSlice method, target, host;
	int minor; /* HTTP/1.minor */
	EwhHttpField fields[EWH_HTTP_MAX_HEADERS];
	int nfields;
	bool has_length, chunked, expect_continue, close;
	uint64_t length;
} EwhHttpHead;

/* Where a head ends: > 0 its length with the empty line, 0 not yet there, < 0 it can never become one. */
long ewh_http_head_end(const char *bytes, size_t len, size_t *scanned);

/* Parses a whole head. Returns 0, or the status that refuses it. */
int ewh_http_parse_head(const char *bytes, size_t len, EwhHttpHead *head);

bool ewh_slice_is(EwhSlice slice, const char *lower_word); /* regardless of case */

/* The request target: which hook is meant. */
typedef struct EwhTarget
{
	EwhSlice authority; /* of the absolute form, else empty */
	EwhSlice path;		/* as sent, without the query */
	EwhSlice query;		/* behind the question mark */
	EwhSlice relative;	/* path and query as sent: what a public URL ends with */
} EwhTarget;

int ewh_target_parse(const EwhHttpHead *head, EwhTarget *target);

/* The last segment of /hooks/<source>, decoded into source (at least path.len + 1 bytes). Returns 0, 400 or 404. */
int ewh_target_source(const EwhTarget *target, char *source);

/* A value from a query of a=b&c=d, decoded; false if it is not there or not decodable. */
bool ewh_target_parameter(const EwhTarget *target, const char *name, char *value, size_t size);

/* Valid UTF-8 (RFC 3629) without control characters other than tab. */
bool ewh_text_is_clean(const char *text, size_t len);

/* A chunked body (RFC 9112 section 7.1), decoded as it arrives. */
typedef struct EwhChunked
{
	int state;
	uint64_t left;	/* of this chunk */
	unsigned count; /* of digits, or of bytes in an extension */
} EwhChunked;

typedef struct EwhChunkStep
{
	size_t used;   /* of the input */
	EwhSlice data; /* body bytes inside what was used */
	bool done;
	bool bad;
} EwhChunkStep;

EwhChunkStep ewh_chunked_read(EwhChunked *chunked, const char *bytes, size_t len);

#endif
