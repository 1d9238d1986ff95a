/*
 * The queue between clients and the database.
 *
 *   submit ─▶ queued ─take─▶ in flight ─committed─▶ answered
 *               ▲                │
 *               └────failed──────┘        and from anywhere, at its deadline ─▶ answered 503
 *
 * No timer gathers a batch: requests that come while the connections are busy are the next one. Sending a request twice
 * does no harm, for the database knows what it has: so a batch whose COMMIT nobody knows the outcome of is sent again,
 * and the second receipt tells the truth. When there is no time for that, the sender hears 503 and asks again himself.
 */
#include "queue.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "metrics.h"
#include "options.h"

#define TICK_MS 50
#define MAX_ATTEMPTS 6
#define FIRST_PAUSE_MS 20
#define LAST_PAUSE_MS 500

static struct EwhRequestList queued = TAILQ_HEAD_INITIALIZER(queued);
static struct EwhRequestList pending = TAILQ_HEAD_INITIALIZER(pending); /* queued and in flight, oldest first */
static uint64_t paused_until;
static unsigned pause_ms;
static void (*wake_database)(void);
static bool (*database_expected)(void);

static const EwhAnswer unavailable = {503, "text/plain", "try again later\n", 16};

/* Answers once; afterwards the request only waits to be freed by whoever holds it. */
static void
answer(EwhRequest *request, const EwhAnswer *what)
{
	TAILQ_REMOVE(&pending, request, due);
	request->answered = true;
	ewh_histogram_add(&ewh_metrics.seconds, (double) (ewh_now() - request->arrived) / 1000);
	if (request->waiting)
		request->answer(request->waiting, what);
}

static void
refuse(EwhRequest *request, const char *why)
{
	if (ewh_log_may(EWH_LOG_INFO))
		ewh_log(EWH_LOG_INFO, "unavailable", "source=%s why=%s attempts=%d", ewh_log_quote(request->source), why,
				request->attempts);
	ewh_metrics_outcome("unavailable");
	answer(request, &unavailable);
}

static void
unqueue(EwhRequest *request)
{
	TAILQ_REMOVE(&queued, request, link);
	request->queued = false;
	ewh_metrics.queued--;
}

/* Refuses what is past its deadline, or cannot be served because there is no database. */
static void
expire(void)
{
	uint64_t now = ewh_now();
	bool expected = database_expected();
	EwhRequest *request, *next;

	for (request = TAILQ_FIRST(&pending); request; request = next)
	{
		bool in_queue = request->queued;

		next = TAILQ_NEXT(request, due);
		if (now - request->arrived < (uint64_t) ewh_options.deadline && expected)
			break;
		if (now - request->arrived < (uint64_t) ewh_options.deadline && !in_queue)
			continue;
		ewh_metrics.expired_requests++;
		refuse(request, expected ? "deadline" : "no_database");
		if (in_queue)
		{
			unqueue(request);
			ewh_request_free(request);
		}
	}
}

static void
on_tick(evutil_socket_t fd, short what, void *context)
{
	(void) fd, (void) what, (void) context;
	expire();
	if (!TAILQ_EMPTY(&queued))
		wake_database();
}

void
ewh_queue_start(struct event_base *base, void (*wake)(void), bool (*expected)(void))
{
	static const struct timeval tick = {0, TICK_MS * 1000};

	wake_database = wake;
	database_expected = expected;
	event_add(event_new(base, -1, EV_PERSIST, on_tick, NULL), &tick);
}

bool
ewh_queue_admits(void)
{
	if (!database_expected() || ewh_metrics.queued >= ewh_options.max_queue)
		return false;
	if (ewh_metrics.memory >= (uint64_t) ewh_options.max_memory)
		return false;
	/* Whoever is first has waited for half his time: those behind him would wait in vain. */
	return ewh_queue_waited() < (uint64_t) ewh_options.deadline / 2;
}

void
ewh_queue_submit(EwhRequest *request)
{
	request->arrived = ewh_now();
	TAILQ_INSERT_TAIL(&pending, request, due);
	TAILQ_INSERT_TAIL(&queued, request, link);
	request->queued = true;
	ewh_metrics.queued++;
	wake_database();
}

void
ewh_queue_abandon(EwhRequest *request)
{
	/* Still worth storing: the sender, who hung up, would only send it again. */
	request->waiting = NULL;
}

uint64_t
ewh_queue_waited(void)
{
	EwhRequest *first = TAILQ_FIRST(&queued);

	return first ? ewh_now() - first->arrived : 0;
}

/* Fills a batch: those in order that fit, a lonely one by itself. */
static void
fill(EwhBatch *batch)
{
	uint64_t now = ewh_now();
	EwhRequest *request, *next;
	size_t bytes = 0;

	for (request = TAILQ_FIRST(&queued); request && batch->n < ewh_options.max_batch; request = next)
	{
		next = TAILQ_NEXT(request, link);
		if (request->not_before > now)
			continue;
		bytes += ewh_request_bytes(request);
		if (batch->n > 0 && (request->alone || bytes > (size_t) ewh_options.max_batch_bytes))
			break;
		unqueue(request);
		batch->requests[batch->n++] = request;
		if (request->alone)
			break;
	}
}

EwhBatch *
ewh_queue_take(void)
{
	EwhBatch *batch;

	if (TAILQ_EMPTY(&queued) || ewh_now() < paused_until)
		return NULL;
	batch = calloc(1, sizeof *batch + (size_t) ewh_options.max_batch * sizeof *batch->requests);
	if (batch)
		fill(batch);
	if (batch == NULL || batch->n == 0)
	{
		free(batch);
		return NULL;
	}
	ewh_metrics.in_flight += batch->n;
	ewh_histogram_add(&ewh_metrics.batch_sizes, batch->n);
	return batch;
}

static void
free_batch(EwhBatch *batch)
{
	ewh_metrics.in_flight -= batch->n;
	free(batch);
}

/* A receipt as an answer. What a database says is checked too: a status no sender understands, a header that breaks. */
static EwhAnswer
answer_of(const EwhRequest *request, const EwhReceipt *receipt)
{
	EwhAnswer answer = {receipt->status, receipt->content_type, receipt->response, receipt->response_len};

	/* GET exists for handshakes; elsewhere it is the wrong method, for a known source as for an unknown one. */
	if (strcmp(request->method, "GET") == 0 &&
		(strcmp(receipt->outcome, "rejected") == 0 || strcmp(receipt->outcome, "malformed") == 0))
		return (EwhAnswer){405, "text/plain", "method not allowed\n", 19};
	if (answer.status < 200 || answer.status > 599)
		return unavailable;
	if (answer.content_type && !ewh_text_is_clean(answer.content_type, strlen(answer.content_type)))
		answer.content_type = NULL;
	return answer;
}

static void
log_receipt(const EwhRequest *request, const EwhReceipt *receipt)
{
	static const char *const usual[] = {"accepted", "duplicate", "no_effect", "waiting", "handshake"};
	EwhLogLevel level = EWH_LOG_INFO;

	for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
		if (strcmp(receipt->outcome, usual[i]) == 0)
			level = EWH_LOG_DEBUG;
	if (ewh_log_may(level))
		ewh_log(level, "request", "source=%s outcome=%s status=%d bytes=%zu ms=%lu detail=%s",
				ewh_log_quote(request->source), receipt->outcome, receipt->status, request->len,
				(unsigned long) (ewh_now() - request->arrived), ewh_log_quote(receipt->detail));
}

void
ewh_queue_committed(EwhBatch *batch, const EwhReceipt *receipts)
{
	pause_ms = 0;
	ewh_metrics.batches++;
	ewh_histogram_add(&ewh_metrics.batch_seconds, (double) (ewh_now() - batch->sent) / 1000);
	for (int i = 0; i < batch->n; i++)
	{
		EwhRequest *request = batch->requests[i];

		ewh_metrics_outcome(receipts[i].outcome);
		log_receipt(request, &receipts[i]);
		if (!request->answered)
		{
			EwhAnswer told = answer_of(request, &receipts[i]);

			answer(request, &told);
		}
		ewh_request_free(request);
	}
	free_batch(batch);
}

/* What a failed statement asks for. Classes not listed are some request's own fault, or a mistake in the database. */
typedef enum Remedy
{
	AGAIN,		 /* at once: another transaction was in the way */
	AGAIN_LATER, /* the server is in trouble */
	APART		 /* one by one, to find the one at fault */
} Remedy;

static Remedy
remedy_for(const char *sqlstate)
{
	static const struct
	{
		const char *prefix;
		Remedy remedy;
	} remedies[] = {
		{"40", AGAIN},		   /* serialization failure, deadlock */
		{"55P03", AGAIN},	   /* lock not available */
		{"57014", AGAIN},	   /* statement timeout */
		{"XX", AGAIN},		   /* internal: a fault that this event may have found, so others are not held up */
		{"08", AGAIN_LATER},   /* connection */
		{"25", AGAIN_LATER},   /* read-only: a standby, or what was the primary */
		{"53", AGAIN_LATER},   /* out of disk, memory, connections */
		{"55", AGAIN_LATER},   /* object not in the state needed */
		{"57", AGAIN_LATER},   /* shutdown, crash, starting up */
		{"58", AGAIN_LATER},   /* I/O */
	};

	if (sqlstate == NULL)
		return AGAIN_LATER;
	for (size_t i = 0; i < sizeof remedies / sizeof remedies[0]; i++)
		if (strncmp(sqlstate, remedies[i].prefix, strlen(remedies[i].prefix)) == 0)
			return remedies[i].remedy;
	return APART;
}

/* The one at fault, found. Its own input: tell the sender. Anything else is ours: 503. */
static void
give_up(EwhRequest *request, const char *sqlstate)
{
	static const EwhAnswer bad = {400, "text/plain", "bad request\n", 12};

	if (request->answered)
		return;
	if (sqlstate && strncmp(sqlstate, "22", 2) == 0)
	{
		ewh_metrics_outcome("malformed");
		answer(request, &bad);
	}
	else
		refuse(request, "error");
}

static void
requeue(EwhRequest *request, bool alone)
{
	/* The first time at once; then less and less eagerly. */
	if (request->attempts > 0)
		request->not_before = ewh_now() + ((uint64_t) FIRST_PAUSE_MS << request->attempts);
	request->attempts++;
	request->alone = alone;
	TAILQ_INSERT_HEAD(&queued, request, link);
	request->queued = true;
	ewh_metrics.queued++;
	ewh_metrics.retried_requests++;
}

static void
pause_for_a_while(void)
{
	pause_ms = pause_ms == 0 ? FIRST_PAUSE_MS : pause_ms * 2;
	if (pause_ms > LAST_PAUSE_MS)
		pause_ms = LAST_PAUSE_MS;
	paused_until = ewh_now() + pause_ms;
}

void
ewh_queue_failed(EwhBatch *batch, const char *sqlstate, const char *message)
{
	Remedy remedy = remedy_for(sqlstate);

	ewh_metrics.failed_batches++;
	if (ewh_log_may(EWH_LOG_WARNING))
		ewh_log(EWH_LOG_WARNING, "batch_failed", "sqlstate=%s requests=%d ms=%lu message=%s", sqlstate ? sqlstate : "none",
				batch->n, (unsigned long) (ewh_now() - batch->sent), ewh_log_quote(message));
	if (remedy == AGAIN_LATER)
		pause_for_a_while();
	/* Backwards, so that they stand in the queue as they stood before. */
	for (int i = batch->n - 1; i >= 0; i--)
	{
		EwhRequest *request = batch->requests[i];
		bool apart = remedy == APART || (remedy == AGAIN && request->attempts > 0);

		if (!request->answered && request->attempts < MAX_ATTEMPTS && !(remedy == APART && batch->n == 1))
		{
			requeue(request, apart || request->alone);
			continue;
		}
		give_up(request, sqlstate);
		ewh_request_free(request);
	}
	free_batch(batch);
	wake_database();
}
