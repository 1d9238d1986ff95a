/*
 * proof.h: what the targets of the proof wing need of requests and rows, which the server reads out of jsonb.
 *
 * Included once by a target, and so part of its program.
 */
#ifndef EWH_FUZZ_PROOF_H
#define EWH_FUZZ_PROOF_H

#include "fuzz.h"

#include <setjmp.h>

#include "proof/scheme.h"

static sigjmp_buf refused;		/* where a row that cannot be meant raises to */
static const char *setting = NULL;	/* the value of every setting */

void
ewh_rule_refuse(const char *name, const char *key, const char *value)
{
	siglongjmp(refused, 1);
}

const EwhHeader *
ewh_request_header(const EwhRequest *request, const char *name)
{
	for (int i = 0; i < request->nheaders; i++)
		if (ewh_bytes_is(request->headers[i].name, name))
			return &request->headers[i];
	return NULL;
}

char *
ewh_setting(const EwhRequest *request, const char *key)
{
	return (char *) setting;
}

/* A copy that ends where the sanitizer sees it. */
static inline EwhBytes
exact(const void *data, size_t len)
{
	EwhBytes	bytes = {memcpy(palloc(len), data, len), len};

	return bytes;
}

/* Take the text up to the separator off the front. */
static inline EwhBytes
take(EwhBytes *rest, char separator)
{
	char		text[2] = {separator, 0};
	size_t		end = ewh_bytes_find(*rest, ewh_bytes(text));
	EwhBytes	front = exact(rest->data, end);

	*rest = ewh_bytes_from(*rest, end + 1);
	return front;
}

static inline bool
is_within(EwhBytes part, EwhBytes whole)
{
	return part.len == 0 || (part.data >= whole.data && part.data + part.len <= whole.data + whole.len);
}

#endif							/* EWH_FUZZ_PROOF_H */
