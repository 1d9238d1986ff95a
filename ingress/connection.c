/*
 * One client's connection.
 *
 *   HEAD ─▶ BODY ─▶ SERVED ─▶ ANSWERED ─▶ HEAD          any refusal ─▶ ANSWERED ─▶ LINGER ─▶ closed
 *     └──────────────▶┘
 *
 * One request at a time: what a client pipelines waits in its buffer until the one before is answered, so answers cannot
 * change places. Each state has its time limit. A connection that closes on a client who still sends lingers: it reads
 * and discards for a moment, for a reset would destroy the answer on its way (RFC 9112 section 9.6).
 */
#include "connection.h"

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "answer.h"
#include "log.h"
#include "metrics.h"
#include "options.h"
#include "queue.h"

#define LINGER_MS 2000
#define LINGER_BYTES (4 << 20)
#define STOP_IDLE_MS 1000
#define PIPELINED_BYTES 65536 /* read ahead while a request is served */

typedef enum State
{
	HEAD,
	BODY,
	SERVED,
	ANSWERED,
	LINGER
} State;

struct EwhConnection
{
	TAILQ_ENTRY(EwhConnection) link; /* in the list of its state */
	State state;
	struct bufferevent *stream;
	struct event *timer;
	const EwhService *service;
	bool tls, close, half_closed, to_head, begun; /* begun: the next request's first bytes are there */
	size_t scanned;			   /* of a head */
	EwhRequest *request;	   /* in BODY: ours; in SERVED: the queue's */
	EwhChunked chunked;
	bool is_chunked;
	uint64_t left; /* of a body with a length */
	size_t discarded;
	void *owner; /* of the answer to come */
	void (*owner_gone)(void *owner);
};

TAILQ_HEAD(ConnectionList, EwhConnection);

/* Those we wait for, the one that waits longest first; and those that wait for us. */
static struct ConnectionList waiting = TAILQ_HEAD_INITIALIZER(waiting);
static struct ConnectionList busy = TAILQ_HEAD_INITIALIZER(busy);
static bool stopping;

static void read_input(EwhConnection *c);

static void
set_timer(EwhConnection *c, long ms)
{
	struct timeval t = {ms / 1000, (ms % 1000) * 1000};

	event_add(c->timer, &t);
}

static struct ConnectionList *
list_of(State state)
{
	return state == HEAD || state == BODY ? &waiting : &busy;
}

static void
enter(EwhConnection *c, State state, long timeout_ms)
{
	TAILQ_REMOVE(list_of(c->state), c, link);
	c->state = state;
	TAILQ_INSERT_TAIL(list_of(state), c, link);
	if (timeout_ms > 0)
		set_timer(c, timeout_ms);
	else
		event_del(c->timer);
}

static void
free_connection(EwhConnection *c)
{
	TAILQ_REMOVE(list_of(c->state), c, link);
	if (c->state == SERVED && c->owner)
		c->owner_gone(c->owner);
	if (c->state == BODY)
		ewh_request_free(c->request);
	ewh_metrics.connections--;
	event_free(c->timer);
	bufferevent_free(c->stream);
	free(c);
}

/* Begins to wait for the next request. */
static void
expect_head(EwhConnection *c)
{
	c->scanned = 0;
	c->begun = c->to_head = false;
	enter(c, HEAD, stopping ? STOP_IDLE_MS : ewh_options.idle_timeout);
}

static void
linger(EwhConnection *c)
{
	SSL *tls = bufferevent_openssl_get_ssl(c->stream);

	if (tls)
		SSL_shutdown(tls);
	shutdown(bufferevent_getfd(c->stream), SHUT_WR);
	enter(c, LINGER, LINGER_MS);
	bufferevent_enable(c->stream, EV_READ);
	read_input(c);
}

void
ewh_connection_answer(EwhConnection *c, const EwhAnswer *answer, bool close)
{
	if (c->state == BODY)
		ewh_request_free(c->request);
	c->request = NULL;
	if (close || stopping || c->half_closed)
		c->close = true;
	c->owner = NULL;
	if (c->service->statuses)
		c->service->statuses[answer->status]++;
	enter(c, ANSWERED, ewh_options.head_timeout);
	ewh_answer_write(bufferevent_get_output(c->stream), answer, c->close, c->to_head);
}

void
ewh_connection_refuse(EwhConnection *c, int status)
{
	EwhAnswer answer = ewh_answer_for(status);

	if (ewh_log_may(EWH_LOG_INFO))
		ewh_log(EWH_LOG_INFO, "refused", "status=%d reason=%s client=%s", status, ewh_log_quote(answer.body),
				ewh_log_peer(bufferevent_getfd(c->stream)));
	ewh_connection_answer(c, &answer, true);
}

void
ewh_connection_wait(EwhConnection *c, void *owner, void (*owner_gone)(void *))
{
	c->owner = owner;
	c->owner_gone = owner_gone;
	enter(c, SERVED, 0);
}

bool
ewh_connection_base_url(const EwhConnection *c, const EwhHttpHead *head, char *url, size_t size)
{
	if (head->host.len == 0 || head->host.len + 9 > size)
		return false;
	strcpy(url, c->tls ? "https://" : "http://");
	strncat(url, head->host.at, head->host.len);
	return true;
}

static void
on_answer(void *waiting_connection, const EwhAnswer *answer)
{
	ewh_connection_answer(waiting_connection, answer, false);
}

static void
on_gone(void *request)
{
	ewh_queue_abandon(request);
}

static void
submit(EwhConnection *c)
{
	EwhRequest *request = c->request;

	if (!ewh_queue_admits())
	{
		ewh_connection_refuse(c, 503);
		return;
	}
	c->request = NULL;
	request->answer = on_answer;
	request->waiting = c;
	ewh_connection_wait(c, request, on_gone);
	ewh_queue_submit(request);
}

static void
begin_body(EwhConnection *c, const EwhHttpHead *head, EwhRequest *request)
{
	c->request = request;
	c->is_chunked = head->chunked;
	memset(&c->chunked, 0, sizeof c->chunked);
	c->left = head->length;
	enter(c, BODY, ewh_options.body_timeout);
	if (head->expect_continue && (c->is_chunked || c->left > 0) &&
		evbuffer_get_length(bufferevent_get_input(c->stream)) == 0)
		bufferevent_write(c->stream, "HTTP/1.1 100 Continue\r\n\r\n", 25);
}

/* Returns false if there is nothing to do before more bytes come. */
static bool
read_head(EwhConnection *c, struct evbuffer *input)
{
	static EwhHttpHead head; /* 4 KiB; used only within this call */
	size_t there = evbuffer_get_length(input);
	size_t most = (size_t) ewh_options.max_head;
	size_t len = there < most ? there : most;
	const char *bytes;
	EwhRequest *request;
	long end;
	int status;

	if (len == 0)
		return false;
	if (!c->begun)
	{
		c->begun = true;
		set_timer(c, ewh_options.head_timeout);
	}
	bytes = (const char *) evbuffer_pullup(input, (ev_ssize_t) len);
	end = ewh_http_head_end(bytes, len, &c->scanned);
	if (end == 0 && len < most)
		return false;
	status = end < 0 ? 400 : end == 0 ? (memchr(bytes, '\n', len) ? 431 : 414) : ewh_http_parse_head(bytes, (size_t) end, &head);
	if (status == 0)
	{
		c->close = head.close;
		c->to_head = ewh_slice_is(head.method, "head");
		request = c->service->route(c, &head);
		evbuffer_drain(input, (size_t) end);
		if (request)
			begin_body(c, &head, request);
	}
	else
		ewh_connection_refuse(c, status);
	return true;
}

static bool
take_body(EwhConnection *c, const char *bytes, size_t len)
{
	if (c->request->len + len > (size_t) ewh_options.max_body)
	{
		ewh_connection_refuse(c, 413);
		return false;
	}
	if (!ewh_request_append(c->request, bytes, len))
	{
		ewh_connection_refuse(c, 503);
		return false;
	}
	return true;
}

/* One contiguous piece of a chunked body. */
static bool
read_chunked(EwhConnection *c, struct evbuffer *input, const char *bytes, size_t len)
{
	EwhChunkStep step = ewh_chunked_read(&c->chunked, bytes, len);

	if (step.bad)
	{
		ewh_connection_refuse(c, 400);
		return true;
	}
	if (!take_body(c, step.data.at, step.data.len))
		return true;
	evbuffer_drain(input, step.used);
	if (step.done)
		submit(c);
	return true;
}

static bool
read_body(EwhConnection *c, struct evbuffer *input)
{
	size_t len = evbuffer_get_contiguous_space(input);
	const char *bytes = (const char *) evbuffer_pullup(input, (ev_ssize_t) len);

	if (c->is_chunked)
		return len > 0 && read_chunked(c, input, bytes, len);
	if (len > c->left)
		len = (size_t) c->left;
	if (!take_body(c, bytes, len))
		return true;
	evbuffer_drain(input, len);
	c->left -= len;
	if (c->left == 0)
		submit(c);
	return c->left == 0 || len > 0;
}

static void
read_input(EwhConnection *c)
{
	struct evbuffer *input = bufferevent_get_input(c->stream);

	for (;;)
	{
		if (c->state == HEAD ? !read_head(c, input) : c->state == BODY ? !read_body(c, input) : true)
			break;
	}
	if (c->state == LINGER)
	{
		c->discarded += evbuffer_get_length(input);
		evbuffer_drain(input, evbuffer_get_length(input));
		if (c->discarded > LINGER_BYTES)
			free_connection(c);
	}
	else if (list_of(c->state) == &busy && evbuffer_get_length(input) > PIPELINED_BYTES)
		bufferevent_disable(c->stream, EV_READ);
}

static void
on_read(struct bufferevent *stream, void *context)
{
	(void) stream;
	read_input(context);
}

/* All that was to be sent is sent. */
static void
on_sent(struct bufferevent *stream, void *context)
{
	EwhConnection *c = context;

	if (c->state != ANSWERED || evbuffer_get_length(bufferevent_get_output(stream)) > 0)
		return;
	if (c->half_closed)
		free_connection(c);
	else if (c->close)
		linger(c);
	else
	{
		expect_head(c);
		bufferevent_enable(stream, EV_READ);
		read_input(c);
	}
}

/* The client is gone, or says no more. One who has asked and only closed his side still gets his answer. */
static void
on_event(struct bufferevent *stream, short what, void *context)
{
	EwhConnection *c = context;

	(void) stream;
	if (what & BEV_EVENT_CONNECTED)
		return;
	if ((what & BEV_EVENT_EOF) && (c->state == SERVED || c->state == ANSWERED))
	{
		c->half_closed = c->close = true;
		return;
	}
	if (c->tls && (what & BEV_EVENT_ERROR) && c->state == HEAD && !c->begun &&
		bufferevent_get_openssl_error(stream) != 0)
		ewh_metrics.refused_handshakes++;
	free_connection(c);
}

static void
on_timer(evutil_socket_t fd, short what, void *context)
{
	EwhConnection *c = context;

	(void) fd, (void) what;
	if (c->state == BODY || (c->state == HEAD && c->begun))
	{
		ewh_connection_refuse(c, 408);
	}
	else
		free_connection(c);
}

/* At the limit, whoever has kept us waiting longest makes room. */
static bool
make_room(void)
{
	EwhConnection *oldest = TAILQ_FIRST(&waiting);

	if (ewh_metrics.connections < ewh_options.max_connections)
		return true;
	if (oldest == NULL)
		return false;
	ewh_metrics.evicted_connections++;
	free_connection(oldest);
	return true;
}

void
ewh_connection_new(struct event_base *base, evutil_socket_t fd, SSL *tls, const EwhService *service)
{
	EwhConnection *c = make_room() ? calloc(1, sizeof *c) : NULL;
	int on = 1;

	if (c)
		c->stream = tls ? bufferevent_openssl_socket_new(base, fd, tls, BUFFEREVENT_SSL_ACCEPTING,
														  BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS)
						: bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (c == NULL || c->stream == NULL)
	{
		free(c);
		SSL_free(tls);
		evutil_closesocket(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	c->tls = tls != NULL;
	c->service = service;
	c->timer = evtimer_new(base, on_timer, c);
	c->state = HEAD;
	TAILQ_INSERT_TAIL(&waiting, c, link);
	ewh_metrics.connections++;
	ewh_metrics.accepted_connections++;
	set_timer(c, ewh_options.head_timeout);
	if (tls)
		bufferevent_openssl_set_allow_dirty_shutdown(c->stream, 1);
	bufferevent_setcb(c->stream, on_read, on_sent, on_event, c);
	bufferevent_enable(c->stream, EV_READ | EV_WRITE);
}

void
ewh_connections_stop(void)
{
	EwhConnection *c;

	stopping = true;
	TAILQ_FOREACH(c, &waiting, link)
	if (c->state == HEAD && !c->begun)
		set_timer(c, STOP_IDLE_MS);
}
