/*
 * Listening sockets: our own, or those systemd passes (sd_listen_fds(3): LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES), so that a
 * restart refuses nobody. A socket named "admin" is the admin listener, the other one serves the hooks.
 */
#include "listener.h"

#include <errno.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connection.h"
#include "log.h"
#include "options.h"
#include "tls.h"

#define FIRST_PASSED_FD 3
#define BACKLOG 4096
#define RETRY_ACCEPT_MS 100

typedef struct Listener
{
	const char *name;
	const EwhService *service;
	bool tls;
	struct evconnlistener *listener;
} Listener;

static Listener listeners[] = {{"hooks", &ewh_hooks_service, false, NULL}, {"admin", &ewh_admin_service, false, NULL}};
static struct event_base *base;

static void
serve(const Listener *listener, evutil_socket_t fd)
{
	SSL *tls = listener->tls ? ewh_tls_new() : NULL;

	if (listener->tls && tls == NULL)
		evutil_closesocket(fd);
	else
		ewh_connection_new(base, fd, tls, listener->service);
}

static void
on_accept(struct evconnlistener *evl, evutil_socket_t fd, struct sockaddr *address, int len, void *context)
{
	(void) evl, (void) address, (void) len;
	serve(context, fd);
}

static void
on_resume(evutil_socket_t fd, short what, void *context)
{
	Listener *listener = context;

	(void) fd, (void) what;
	if (listener->listener)
		evconnlistener_enable(listener->listener);
}

/* Out of descriptors, most likely: the loop would spin on a socket it cannot accept from, so it rests. */
static void
on_error(struct evconnlistener *evl, void *context)
{
	static const struct timeval rest = {0, RETRY_ACCEPT_MS * 1000};

	if (ewh_log_may(EWH_LOG_ERROR))
		ewh_log(EWH_LOG_ERROR, "accept_failed", "message=%s", ewh_log_quote(strerror(errno)));
	evconnlistener_disable(evl);
	event_base_once(base, -1, EV_TIMEOUT, on_resume, context, &rest);
}

/* ADDR:PORT, [ADDR]:PORT or :PORT → a bound socket, or -1. */
static evutil_socket_t
bind_to(const char *text)
{
	struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM}, *found = NULL;
	const char *colon = strrchr(text, ':');
	char host[256];
	size_t len = colon ? (size_t) (colon - text) : 0;
	int fd = -1, on = 1;

	if (colon == NULL || len >= sizeof host)
	{
		errno = EINVAL;
		return -1;
	}
	memcpy(host, text, len);
	host[len] = '\0';
	if (host[0] == '[' && host[len - 1] == ']')
	{
		memmove(host, host + 1, len - 2);
		host[len - 2] = '\0';
	}
	if (getaddrinfo(len ? host : NULL, colon + 1, &hints, &found) != 0)
	{
		errno = EADDRNOTAVAIL;
		return -1;
	}
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
					bind(fd, found->ai_addr, found->ai_addrlen) != 0))
	{
		int kept = errno;

		close(fd);
		errno = kept;
		fd = -1;
	}
	freeaddrinfo(found);
	return fd;
}

/* The socket systemd passed under this name; -1 if none. An unnamed or otherwise named one is for the hooks. */
static evutil_socket_t
passed_socket(const char *wanted)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS"), *names = getenv("LISTEN_FDNAMES");
	int n = count ? atoi(count) : 0;

	if (pid == NULL || atol(pid) != (long) getpid())
		return -1;
	for (int i = 0; i < n; i++)
	{
		size_t len = names ? strcspn(names, ":") : 0;
		bool is_admin = len == 5 && memcmp(names, "admin", 5) == 0;

		if (is_admin == (strcmp(wanted, "admin") == 0))
			return FIRST_PASSED_FD + i;
		if (names)
			names += len + (names[len] == ':');
	}
	return -1;
}

static bool
listen_on(Listener *listener, const char *address)
{
	evutil_socket_t fd = passed_socket(listener->name);

	if (fd >= 0)
		evutil_make_socket_nonblocking(fd);
	else if (address)
		fd = bind_to(address);
	else
		return true;
	if (fd >= 0)
		listener->listener =
			evconnlistener_new(base, on_accept, listener, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, BACKLOG, fd);
	if (listener->listener == NULL)
	{
		ewh_log(EWH_LOG_ERROR, "listen_failed", "listener=%s address=%s message=%s", listener->name,
				ewh_log_quote(address), ewh_log_quote(strerror(errno)));
		return false;
	}
	evconnlistener_set_error_cb(listener->listener, on_error);
	ewh_log(EWH_LOG_INFO, "listening", "listener=%s address=%s tls=%d", listener->name, ewh_log_quote(address),
			listener->tls);
	return true;
}

bool
ewh_listeners_start(struct event_base *event_base)
{
	base = event_base;
	listeners[0].tls = ewh_options.tls_cert != NULL;
	return listen_on(&listeners[0], ewh_options.listen) && listen_on(&listeners[1], ewh_options.admin);
}

/* Whoever connected before we stopped is in the kernel's queue and would be reset; he is served instead. */
static void
accept_the_rest(const Listener *listener)
{
	evutil_socket_t fd;

	while ((fd = accept4(evconnlistener_get_fd(listener->listener), NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		serve(listener, fd);
}

void
ewh_listeners_stop(void)
{
	for (int i = 0; i < 2; i++)
	{
		if (listeners[i].listener == NULL)
			continue;
		accept_the_rest(&listeners[i]);
		evconnlistener_free(listeners[i].listener);
		listeners[i].listener = NULL;
	}
}
