/*
 * http.c: many HTTP exchanges at once. With transfer.c the only room that includes curl.
 *
 * One curl multi handle, whose sockets join the process latch and the postmaster in one wait. No transaction is open
 * and no snapshot held while it waits. Connections are kept and used again.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "outside/transfer.h"
#include "pgstat.h"
#include "storage/fd.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"

#define SOCKETS_PER_EXCHANGE 3	/* two addresses racing, and the resolver's wake-up pair */
#define IDLE_CONNECTIONS	64	/* kept open beside those in use, for the next message */
#define SPARE_DESCRIPTORS	16	/* left of the server's own budget: for the wait itself, and what PostgreSQL needs */
#define MAX_RESOLVING		16	/* names being resolved; each takes a thread and up to four descriptors */
#define MAX_READY			64	/* sockets looked at per wait */

typedef struct Watched
{
	curl_socket_t fd;
	int			what;			/* CURL_POLL_IN, OUT, INOUT */
} Watched;

struct EwhHttp
{
	MemoryContext context;
	CURLM	   *multi;
	int			max;
	int			under_way;		/* started and not yet freed */
	EwhTransfer *transfers;
	Watched    *watched;
	int			nwatched;
	int			max_watched;
	bool		has_deadline;	/* curl wants to be called at `deadline` even if no socket is ready */
	TimestampTz deadline;
};

/* curl callback: what to wait for on a socket. */
static int
watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
	EwhHttp    *http = arg;
	int			i = 0;

	while (i < http->nwatched && http->watched[i].fd != fd)
		i++;
	if (what == CURL_POLL_REMOVE)
	{
		if (i < http->nwatched)
			http->watched[i] = http->watched[--http->nwatched];
		return 0;
	}
	if (i == http->nwatched)
	{
		if (http->nwatched == http->max_watched)
			return -1;
		http->nwatched++;
	}
	http->watched[i].fd = fd;
	http->watched[i].what = what;
	return 0;
}

/* curl callback: when to call it next. */
static int
set_deadline(CURLM *multi, long timeout_ms, void *arg)
{
	EwhHttp    *http = arg;

	http->has_deadline = timeout_ms >= 0;
	if (http->has_deadline)
		http->deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout_ms);
	return 0;
}

/* Take a transfer out of its multi handle and list, and free it. */
static void
drop_transfer(EwhTransfer *transfer)
{
	EwhHttp    *http = transfer->http;

	if (transfer->easy != NULL)
		CURL_CALL(curl_multi_remove_handle(http->multi, transfer->easy));
	ewh_transfer_free(transfer);
	http->under_way--;
	if (transfer->prev != NULL)
		transfer->prev->next = transfer->next;
	else
		http->transfers = transfer->next;
	if (transfer->next != NULL)
		transfer->next->prev = transfer->prev;
}

/* Context callback of an exchange: frees what palloc does not know, also after an error. */
static void
close_exchange(void *arg)
{
	EwhExchange *exchange = arg;
	ListCell   *lc;

	if (exchange->transfer != NULL)
		drop_transfer(exchange->transfer);
	/* Some of these hold credentials; of a request for a token, so does the body. */
	foreach(lc, exchange->headers)
		ewh_wipe(lfirst(lc), strlen(lfirst(lc)));
	ewh_wipe((void *) exchange->body.data, exchange->body.len);
}

/* Context callback of the whole; the contexts of its exchanges are children and gone before. */
static void
close_http(void *arg)
{
	EwhHttp    *http = arg;

	CURL_CALL(curl_multi_cleanup(http->multi));
}

/*
 * Ready for at most max_exchanges at once, or as many as there are descriptors for: a process of PostgreSQL's may have a
 * third of its own for others (AcquireExternalFD). Closed with CurrentMemoryContext.
 */
EwhHttp *
ewh_http_open(int max_exchanges)
{
	static bool initialised = false;
	int			descriptors = Max(max_safe_fds / 3 - SPARE_DESCRIPTORS, 2);
	EwhHttp    *http = palloc0(sizeof(EwhHttp));
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));

	http->context = CurrentMemoryContext;
	http->max = Min(max_exchanges, Max(descriptors - IDLE_CONNECTIONS, 1));
	http->max_watched = http->max * SOCKETS_PER_EXCHANGE + IDLE_CONNECTIONS;
	http->watched = palloc_array(Watched, http->max_watched);
	if (!initialised && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		ereport(ERROR, errcode(ERRCODE_SYSTEM_ERROR), errmsg("could not initialise curl"));
	initialised = true;

	http->multi = curl_multi_init();
	if (http->multi == NULL)
		ereport(ERROR, errcode(ERRCODE_OUT_OF_MEMORY), errmsg("could not initialise curl"));
	callback->func = close_http;
	callback->arg = http;
	MemoryContextRegisterResetCallback(http->context, callback);
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, set_deadline);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long) Min(http->max + IDLE_CONNECTIONS, descriptors));
	curl_multi_setopt(http->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long) descriptors);
	/*
	 * Since 8.20 the threads that resolve are the multi handle's own: not waited for either, as of each transfer; and so
	 * many that names nobody answers for, given up by us and asked for still (two threads, for 40 s and more), leave room.
	 */
#if CURL_AT_LEAST_VERSION(8, 20, 0)
	curl_multi_setopt(http->multi, CURLMOPT_QUICK_EXIT, 1L);
	curl_multi_setopt(http->multi, CURLMOPT_RESOLVE_THREADS_MAX, 10L * MAX_RESOLVING);
#endif
	return http;
}

/* A new exchange with a memory context of its own, to be filled in. Until it is started, it goes with the caller's. */
EwhExchange *
ewh_http_exchange(const char *method, const char *url)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "erp_webhook exchange", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	EwhExchange *exchange = palloc0(sizeof(EwhExchange));
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));

	exchange->context = context;
	callback->func = close_exchange;
	callback->arg = exchange;
	MemoryContextRegisterResetCallback(context, callback);
	exchange->method = pstrdup(method);
	exchange->url = pstrdup(url);
	MemoryContextSwitchTo(old);
	return exchange;
}

/* Start an exchange. One that cannot start is finished at once, with its error. */
void
ewh_http_start(EwhHttp *http, EwhExchange *exchange)
{
	EwhTransfer *transfer = ewh_transfer_make(exchange);

	MemoryContextSetParent(exchange->context, http->context);
	transfer->http = http;
	transfer->next = http->transfers;
	if (transfer->next != NULL)
		transfer->next->prev = transfer;
	http->transfers = transfer;
	http->under_way++;
	if (transfer->easy != NULL)
		CURL_CALL(curl_multi_add_handle(http->multi, transfer->easy));
}

/* How many more exchanges may be started; none while many names are being resolved. */
int
ewh_http_free_places(const EwhHttp *http)
{
	int			resolving = 0;

	for (EwhTransfer *transfer = http->transfers; transfer != NULL; transfer = transfer->next)
		resolving += !transfer->exchange->finished && ewh_transfer_resolving(transfer);
	return resolving < MAX_RESOLVING ? http->max - http->under_way : 0;
}

int
ewh_http_under_way(const EwhHttp *http)
{
	return http->under_way;
}

/* Tell curl what is ready, and take the results of what has ended by it. */
static void
drive(EwhHttp *http, curl_socket_t fd, int what)
{
	int			running;
	int			left;
	CURLMsg    *msg;

	CURL_CALL(curl_multi_socket_action(http->multi, fd, what, &running));
	while ((msg = curl_multi_info_read(http->multi, &left)) != NULL)
	{
		char	   *transfer = NULL;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &transfer);
		ewh_transfer_result((EwhTransfer *) transfer, msg->data.result);
	}
}

/* Everything this process waits for, as one set. */
static WaitEventSet *
make_wait_set(const EwhHttp *http)
{
	WaitEventSet *set = ewh_create_wait_event_set(http->nwatched + 2);

	AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	for (int i = 0; i < http->nwatched; i++)
	{
		uint32		events = 0;

		if (http->watched[i].what & CURL_POLL_IN)
			events |= WL_SOCKET_READABLE;
		if (http->watched[i].what & CURL_POLL_OUT)
			events |= WL_SOCKET_WRITEABLE;
		AddWaitEventToSet(set, events, http->watched[i].fd, NULL, NULL);
	}
	return set;
}

/* The time until curl's deadline, at most timeout_ms. */
static long
until_deadline(const EwhHttp *http, long timeout_ms)
{
	if (!http->has_deadline)
		return timeout_ms;
	return Min(timeout_ms, TimestampDifferenceMilliseconds(GetCurrentTimestamp(), http->deadline));
}

/* Sleep until the latch is set, a socket is ready or the time is over; then let the ready exchanges go on. */
void
ewh_http_wait(EwhHttp *http, long timeout_ms)
{
	WaitEvent	ready[MAX_READY];
	WaitEventSet *set = make_wait_set(http);
	int			n = WaitEventSetWait(set, until_deadline(http, timeout_ms), ready, MAX_READY, PG_WAIT_EXTENSION);

	FreeWaitEventSet(set);
	for (int i = 0; i < n; i++)
	{
		int			what = 0;

		if (ready[i].events & WL_LATCH_SET)
			ResetLatch(MyLatch);
		if (ready[i].events & WL_SOCKET_READABLE)
			what |= CURL_CSELECT_IN;
		if (ready[i].events & WL_SOCKET_WRITEABLE)
			what |= CURL_CSELECT_OUT;
		if (what != 0)
			drive(http, ready[i].fd, what);
	}
	if (http->has_deadline && until_deadline(http, 1) == 0)
	{
		http->has_deadline = false;
		drive(http, CURL_SOCKET_TIMEOUT, 0);
	}
	CHECK_FOR_INTERRUPTS();
}

/* A finished exchange, to be read and freed, or NULL. */
EwhExchange *
ewh_http_next_finished(const EwhHttp *http)
{
	for (EwhTransfer *transfer = http->transfers; transfer != NULL; transfer = transfer->next)
		if (transfer->exchange->finished && !transfer->exchange->taken)
		{
			transfer->exchange->taken = true;
			return transfer->exchange;
		}
	return NULL;
}

/* Done with an exchange, finished or not. */
void
ewh_http_free_exchange(EwhExchange *exchange)
{
	MemoryContextDelete(exchange->context);
}
