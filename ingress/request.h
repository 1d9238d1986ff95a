/*
 * One webhook on its way: made by a connection, held by the queue, sent in a batch, answered once.
 */
#ifndef EWH_REQUEST_H
#define EWH_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "http.h"

/* What the sender is told. Points to memory of the one who answers. */
typedef struct EwhAnswer
{
	int status;
	const char *content_type;
	const char *body;
	size_t len;
} EwhAnswer;

typedef struct EwhRequest EwhRequest;

struct EwhRequest
{
	TAILQ_ENTRY(EwhRequest) link; /* in the queue */
	TAILQ_ENTRY(EwhRequest) due;  /* among all pending, in order of arrival */
	void (*answer)(void *waiting, const EwhAnswer *answer);
	void *waiting; /* the connection; NULL once it is gone */
	bool queued, answered;
	char *source, *url, *headers;
	const char *method;
	char *body;
	size_t len, size;	/* of the body: used, allocated */
	size_t charged;		/* to the memory all requests may take */
	uint64_t arrived;	/* milliseconds; when it was whole */
	uint64_t not_before; /* when it may be tried again */
	int attempts;
	bool alone; /* its own batch: it, or a neighbour, failed one */
};

TAILQ_HEAD(EwhRequestList, EwhRequest);

uint64_t ewh_now(void); /* milliseconds on a clock that only goes forward */

/* Copies what a database needs from a head; NULL: out of the memory allowed. base is what the URL begins with, or NULL. */
EwhRequest *ewh_request_new(const EwhHttpHead *head, const EwhTarget *target, const char *source, const char *base);

/* Appends to the body; false: more memory than allowed. */
bool ewh_request_append(EwhRequest *request, const char *bytes, size_t len);

void ewh_request_free(EwhRequest *request);

/* Bytes that sending it takes. */
size_t ewh_request_bytes(const EwhRequest *request);

#endif
