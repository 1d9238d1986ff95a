/*
 * An HTTP client for the bench: keeps so many connections busy, each with one request at a time, until all events are
 * answered. Bodies are made and signed before the clock starts. Prints one line of JSON.
 *
 *   load PORT SECRET CONNECTIONS FIRST COUNT INVOICES [forged|RATE]
 *
 * forged: signs with a wrong secret. RATE: requests per second in all, evenly spaced (open loop), instead of as fast as
 * answers come.
 */
#include "event.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct Client
{
	int fd;
	long event; /* being asked; -1: idle */
	size_t sent, got;
	double began;
	char answer[2048];
} Client;

static char **requests;
static size_t *lengths;
static long count, next_event, answered, lost;
static long statuses[600];
static double *latencies, rate, started;
static int poll_fd, port;

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static void
make_requests(const char *secret, long first, long invoices)
{
	Event *event = malloc(sizeof *event);

	requests = calloc((size_t) count, sizeof *requests);
	lengths = calloc((size_t) count, sizeof *lengths);
	latencies = calloc((size_t) count, sizeof *latencies);
	for (long i = 0; i < count; i++)
	{
		event_make(event, first + i, invoices, secret, time(NULL));
		lengths[i] = (size_t) asprintf(&requests[i],
									   "POST /hooks/stripe HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: Stripe/1.0 "
									   "(+https://stripe.com/docs/webhooks)\r\nAccept: */*; q=0.5, application/xml\r\n"
									   "Cache-Control: no-cache\r\nContent-Type: application/json; charset=utf-8\r\n"
									   "Stripe-Signature: %s\r\nContent-Length: %d\r\n\r\n%s",
									   port, event->signature, event->len, event->body);
	}
	free(event);
}

static void
connect_client(Client *client)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t) port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct epoll_event wish = {.events = EPOLLIN, .data.ptr = client};
	int on = 1;

	client->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(client->fd, (struct sockaddr *) &to, sizeof to) != 0)
	{
		perror("connect");
		exit(1);
	}
	setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	fcntl(client->fd, F_SETFL, O_NONBLOCK);
	epoll_ctl(poll_fd, EPOLL_CTL_ADD, client->fd, &wish);
	client->event = -1;
}

static void
drop_client(Client *client)
{
	close(client->fd);
	if (client->event >= 0)
		lost++;
	connect_client(client);
}

/* Requests are small enough for a socket buffer, so a short write is an error. */
static void
ask(Client *client)
{
	if (next_event >= count || client->event >= 0)
		return;
	if (rate > 0 && started + (double) next_event / rate > now())
		return;
	client->event = next_event++;
	client->got = 0;
	client->began = rate > 0 ? started + (double) client->event / rate : now();
	if (write(client->fd, requests[client->event], lengths[client->event]) != (ssize_t) lengths[client->event])
		drop_client(client);
}

/* The whole answer's length once its head is there, else 0. */
static size_t
answer_length(const Client *client)
{
	const char *end = memmem(client->answer, client->got, "\r\n\r\n", 4);
	const char *length = end ? strcasestr(client->answer, "content-length:") : NULL;

	return end ? (size_t) (end - client->answer) + 4 + (length && length < end ? strtoul(length + 15, NULL, 10) : 0) : 0;
}

static void
hear(Client *client)
{
	ssize_t n = read(client->fd, client->answer + client->got, sizeof client->answer - client->got - 1);
	size_t whole;
	bool closes;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
	{
		drop_client(client);
		return;
	}
	client->got += (size_t) n;
	client->answer[client->got] = '\0';
	whole = answer_length(client);
	if (whole == 0 || client->got < whole || client->event < 0)
		return;
	statuses[atoi(client->answer + 9) % 600]++;
	latencies[answered++] = now() - client->began;
	client->event = -1;
	closes = strcasestr(client->answer, "connection: close") != NULL;
	if (closes)
		drop_client(client);
}

static int
ascending(const void *a, const void *b)
{
	double x = *(const double *) a, y = *(const double *) b;

	return x < y ? -1 : x > y;
}

static void
tell(double seconds)
{
	qsort(latencies, (size_t) answered, sizeof *latencies, ascending);
	printf("{\"events\": %ld, \"seconds\": %.3f, \"per_second\": %.0f, \"p50_ms\": %.2f, \"p99_ms\": %.2f, \"max_ms\": %.2f, "
		   "\"lost\": %ld, \"statuses\": {",
		   answered, seconds, (double) answered / seconds, answered ? latencies[answered / 2] * 1e3 : 0,
		   answered ? latencies[answered * 99 / 100] * 1e3 : 0, answered ? latencies[answered - 1] * 1e3 : 0, lost);
	for (int i = 0, n = 0; i < 600; i++)
		if (statuses[i])
			printf("%s\"%d\": %ld", n++ ? ", " : "", i, statuses[i]);
	puts("}}");
}

int
main(int argc, char **argv)
{
	struct epoll_event events[256];
	int connections;
	Client *clients;

	if (argc < 7)
		return 2;
	port = atoi(argv[1]);
	connections = atoi(argv[3]);
	count = atol(argv[5]);
	rate = argc > 7 ? atof(argv[7]) : 0;
	make_requests(argc > 7 && strcmp(argv[7], "forged") == 0 ? "not_the_secret_at_all" : argv[2], atol(argv[4]), atol(argv[6]));

	poll_fd = epoll_create1(0);
	clients = calloc((size_t) connections, sizeof *clients);
	for (int i = 0; i < connections; i++)
		connect_client(&clients[i]);
	started = now();
	while (answered + lost < count)
	{
		int n;

		for (int i = 0; i < connections; i++)
			ask(&clients[i]);
		n = epoll_wait(poll_fd, events, 256, rate > 0 ? 1 : 1000);
		for (int i = 0; i < n; i++)
			hear(events[i].data.ptr);
	}
	tell(now() - started);
	return 0;
}
