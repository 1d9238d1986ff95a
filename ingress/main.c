/*
 * erp-webhookd: the thin ingress. One thread, one event loop; everything that can wait is an event.
 *
 *   main ─▶ listener ─▶ connection ─▶ hooks ─▶ queue ─▶ database ─▶ erp_webhook.ingest_batch()
 *                           └───────▶ admin ─▶ report
 *
 * Signals: TERM and INT stop accepting, finish what was received, and end; HUP reads the certificate again.
 */
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "connection.h"
#include "database.h"
#include "listener.h"
#include "log.h"
#include "metrics.h"
#include "options.h"
#include "queue.h"
#include "report.h"
#include "tls.h"

#define STOP_CHECK_MS 20
#define SPARE_DESCRIPTORS 64

static struct event_base *base;
static uint64_t stop_at; /* 0: not stopping */

/* Tells systemd (sd_notify(3)) without its library. */
static void
notify_systemd(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	if (path == NULL || strlen(path) >= sizeof address.sun_path)
		return;
	strcpy(address.sun_path, path);
	if (address.sun_path[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	sendto(fd, state, strlen(state), 0, (struct sockaddr *) &address,
		   (socklen_t) (offsetof(struct sockaddr_un, sun_path) + strlen(path)));
	close(fd);
}

static void
raise_descriptor_limit(void)
{
	struct rlimit limit;
	long possible;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	possible = (long) limit.rlim_cur - SPARE_DESCRIPTORS - ewh_options.db_connections;
	if (limit.rlim_cur != RLIM_INFINITY && possible < ewh_options.max_connections)
	{
		ewh_log(EWH_LOG_WARNING, "few_descriptors", "max_connections=%ld", possible);
		ewh_options.max_connections = possible > 16 ? possible : 16;
	}
}

/* Ends the loop once nobody waits for an answer, or when time is up. */
static void
on_stop_check(evutil_socket_t fd, short what, void *context)
{
	(void) fd, (void) what, (void) context;
	if (ewh_metrics.connections > 0 && ewh_now() < stop_at)
		return;
	ewh_log(EWH_LOG_INFO, "stopped", "unfinished_connections=%ld", ewh_metrics.connections);
	event_base_loopbreak(base);
}

static void
on_stop(evutil_socket_t fd, short what, void *context)
{
	static const struct timeval check = {0, STOP_CHECK_MS * 1000};

	(void) fd, (void) what, (void) context;
	if (stop_at != 0)
		return;
	stop_at = ewh_now() + (uint64_t) ewh_options.stop_timeout;
	notify_systemd("STOPPING=1");
	ewh_log(EWH_LOG_INFO, "stopping", "connections=%ld queued=%ld in_flight=%ld", ewh_metrics.connections,
			ewh_metrics.queued, ewh_metrics.in_flight);
	ewh_listeners_stop();
	ewh_connections_stop();
	event_add(event_new(base, -1, EV_PERSIST, on_stop_check, NULL), &check);
}

static void
on_hangup(evutil_socket_t fd, short what, void *context)
{
	(void) fd, (void) what, (void) context;
	if (ewh_options.tls_cert)
		ewh_tls_load(ewh_options.tls_cert, ewh_options.tls_key);
}

static void
handle_signals(void)
{
	signal(SIGPIPE, SIG_IGN);
	event_add(evsignal_new(base, SIGTERM, on_stop, NULL), NULL);
	event_add(evsignal_new(base, SIGINT, on_stop, NULL), NULL);
	event_add(evsignal_new(base, SIGHUP, on_hangup, NULL), NULL);
}

int
main(int argc, char **argv)
{
	ewh_options_read(argc, argv);
	if (!ewh_log_set_level(ewh_options.log_level))
	{
		fprintf(stderr, "erp-webhookd: unknown log level %s\n", ewh_options.log_level);
		return 2;
	}
	raise_descriptor_limit();
	ewh_metrics_start();
	base = event_base_new();
	handle_signals();
	if (ewh_options.tls_cert && !ewh_tls_load(ewh_options.tls_cert, ewh_options.tls_key))
		return 1;
	ewh_queue_start(base, ewh_database_wake, ewh_database_expected);
	ewh_report_start(base);
	if (!ewh_listeners_start(base))
		return 1;
	ewh_database_start(base);
	ewh_log(EWH_LOG_INFO, "started", "version=" EWH_VERSION " pid=%d", (int) getpid());
	notify_systemd("READY=1");
	event_base_dispatch(base);
	ewh_database_stop();
	return 0;
}
