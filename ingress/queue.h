/*
 * Requests waiting for the database, cut into batches; who is answered, tried again, or told to come back later.
 */
#ifndef EWH_QUEUE_H
#define EWH_QUEUE_H

#include <event2/event.h>

#include "request.h"

typedef struct EwhBatch EwhBatch;

struct EwhBatch
{
	uint64_t sent; /* milliseconds */
	int n;
	EwhRequest *requests[];
};

/* One row of ingest_batch(). */
typedef struct EwhReceipt
{
	const char *outcome, *content_type, *detail;
	const char *response;
	size_t response_len;
	int status;
} EwhReceipt;

/* wake is called when there may be something to take; expected says whether waiting for the database makes sense. */
void ewh_queue_start(struct event_base *base, void (*wake)(void), bool (*expected)(void));

/* False: a request would rather be told now that it cannot be served in time. */
bool ewh_queue_admits(void);

/* Takes a whole request; it is answered exactly once. */
void ewh_queue_submit(EwhRequest *request);

/* Nobody waits for this request's answer any more. */
void ewh_queue_abandon(EwhRequest *request);

/* Milliseconds that the first in the queue has waited. */
uint64_t ewh_queue_waited(void);

EwhBatch *ewh_queue_take(void);

/* The batch is committed. Both functions free it. */
void ewh_queue_committed(EwhBatch *batch, const EwhReceipt *receipts);

/* It is not, or nobody knows. sqlstate: NULL where the connection broke. */
void ewh_queue_failed(EwhBatch *batch, const char *sqlstate, const char *message);

#endif
