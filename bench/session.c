/*
 * Sessions that run one prepared statement over and over, each time with the next batch of events as arrays, made before
 * the clock starts. What is compared differs in the statement alone.
 *
 *   session CONNINFO STATEMENT-FILE SECRET SESSIONS BATCH FIRST COUNT INVOICES
 *
 * The first tenth of each session's statements is not measured: plans and caches are made in them.
 *
 * Parameters of the statement: $1 event ids text[], $2 payments text[], $3 invoices text[], $4 amounts in cents int8[],
 * $5 headers jsonb[], $6 bodies bytea[]; one that it does not name is sent as NULL. Prints one line of JSON.
 */
#include "event.h"

#include <arpa/inet.h>
#include <endian.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define NPARAMS 6

typedef struct Shared
{
	volatile int ready, go;
	int lock;
	double cpu;			/* seconds that the backends computed; 0 where that cannot be seen */
	double latencies[]; /* of statements */
} Shared;

typedef struct Parameters
{
	char *values[NPARAMS];
	int lengths[NPARAMS];
} Parameters;

static const Oid types[NPARAMS] = {1009, 1009, 1009, 1016, 3807, 1001};
static const Oid elements[NPARAMS] = {25, 25, 25, 20, 3802, 17};

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static void
fail(PGconn *pg)
{
	fprintf(stderr, "session: %s", PQerrorMessage(pg));
	exit(1);
}

static char *
put_int(char *out, uint32_t value)
{
	value = htonl(value);
	memcpy(out, &value, 4);
	return out + 4;
}

/* One element of parameter p, with its length; returns its end. */
static char *
put_element(char *out, const Event *event, int p)
{
	const char *texts[] = {event->id, event->payment, event->invoice};
	char *start = out + 4;
	uint64_t cents = htobe64((uint64_t) event->cents);
	int len = 0;

	if (p < 3)
		len = sprintf(start, "%s", texts[p]);
	else if (p == 3)
		memcpy(start, &cents, (size_t) (len = 8));
	else if (p == 4)
		len = sprintf(start, "\x01{\"stripe-signature\":\"%s\",\"content-type\":\"application/json; charset=utf-8\","
							 "\"user-agent\":\"Stripe/1.0 (+https://stripe.com/docs/webhooks)\",\"host\":\"127.0.0.1\"}",
					  event->signature);
	else
		memcpy(start, event->body, (size_t) (len = event->len));
	put_int(out, (uint32_t) len);
	return start + len;
}

/* Parameter p of a batch: its elements as an array in binary form. */
static void
put_array(Parameters *batch, int p, const Event *events, int n)
{
	char *out = batch->values[p] = malloc((size_t) n * (p == 5 ? sizeof events->body : 512) + 64);

	out = put_int(out, 1);
	out = put_int(out, 0);
	out = put_int(out, elements[p]);
	out = put_int(out, (uint32_t) n);
	out = put_int(out, 1);
	for (int i = 0; i < n; i++)
		out = put_element(out, &events[i], p);
	batch->lengths[p] = (int) (out - batch->values[p]);
	batch->values[p] = realloc(batch->values[p], (size_t) batch->lengths[p]);
}

static bool
is_named(const char *statement, int p)
{
	const char parameter[] = {'$', (char) ('1' + p), '\0'};

	return strstr(statement, parameter) != NULL;
}

static void
make_batch(Parameters *batch, const char *statement, long first, int n, long invoices, const char *secret)
{
	Event *events = calloc((size_t) n, sizeof *events);

	for (int i = 0; i < n; i++)
		event_make(&events[i], first + i, invoices, secret, time(NULL));
	for (int p = 0; p < NPARAMS; p++)
		if (is_named(statement, p))
			put_array(batch, p, events, n);
	free(events);
}

/*
 * Processor time of a backend on this machine so far, in seconds: steadier than the clock where others compute too. To the
 * nanosecond; the ticks of /proc/PID/stat miss most of a backend that computes for less than a tick at a time.
 */
static double
cpu_of(int pid)
{
	char path[64];
	unsigned long ns = 0;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/schedstat", pid);
	file = fopen(path, "r");
	if (file == NULL)
		return 0;
	if (fscanf(file, "%lu", &ns) != 1)
		ns = 0;
	fclose(file);
	return (double) ns / 1e9;
}

/* Send a batch and wait for its answer; returns how long that took. */
static double
execute(PGconn *pg, const Parameters *batch)
{
	static const int formats[NPARAMS] = {1, 1, 1, 1, 1, 1};
	double began = now();
	PGresult *result = PQexecPrepared(pg, "s", NPARAMS, (const char *const *) batch->values, batch->lengths, formats, 1);

	if (PQresultStatus(result) != PGRES_TUPLES_OK && PQresultStatus(result) != PGRES_COMMAND_OK)
		fail(pg);
	PQclear(result);
	return now() - began;
}

/* One session: its share of the statements, `warm` of them before the clock starts. */
static void
run(const char *conninfo, const char *statement, Parameters *batches, long warm, long n, Shared *shared, double *latencies)
{
	PGconn *pg = PQconnectdb(conninfo);
	PGresult *result;
	double cpu;

	if (PQstatus(pg) != CONNECTION_OK)
		fail(pg);
	result = PQprepare(pg, "s", statement, NPARAMS, types);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		fail(pg);
	PQclear(result);
	for (long i = 0; i < warm; i++)
		execute(pg, &batches[i]);
	cpu = cpu_of(PQbackendPID(pg));
	__atomic_add_fetch(&shared->ready, 1, __ATOMIC_SEQ_CST);
	while (!shared->go)
		usleep(100);
	for (long i = 0; i < n; i++)
		latencies[i] = execute(pg, &batches[warm + i]);
	cpu = cpu_of(PQbackendPID(pg)) - cpu;
	while (__atomic_exchange_n(&shared->lock, 1, __ATOMIC_SEQ_CST))
		usleep(10);
	shared->cpu += cpu;
	__atomic_store_n(&shared->lock, 0, __ATOMIC_SEQ_CST);
	PQfinish(pg);
	exit(0);
}

static char *
read_file(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 65536);

	if (file == NULL || fread(text, 1, 65535, file) == 0)
	{
		perror(path);
		exit(1);
	}
	fclose(file);
	return text;
}

static int
ascending(const void *a, const void *b)
{
	double x = *(const double *) a, y = *(const double *) b;

	return x < y ? -1 : x > y;
}

int
main(int argc, char **argv)
{
	long first, count, invoices, each, warm;
	int sessions, size, status, failed = 0;
	char *statement;
	Shared *shared;
	double began, seconds;

	if (argc != 9)
		return 2;
	statement = read_file(argv[2]);
	sessions = atoi(argv[4]);
	size = atoi(argv[5]);
	first = atol(argv[6]);
	count = atol(argv[7]);
	invoices = atol(argv[8]);
	each = count / sessions / size; /* statements of one session */
	warm = each / 10;
	each -= warm;
	shared = mmap(NULL, sizeof *shared + (size_t) (each * sessions) * sizeof(double), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int s = 0; s < sessions; s++)
	{
		if (fork() == 0)
		{
			Parameters *batches = calloc((size_t) (warm + each), sizeof *batches);

			for (long i = 0; i < warm + each; i++)
				make_batch(&batches[i], statement, first + (s * (warm + each) + i) * size, size, invoices, argv[3]);
			run(argv[1], statement, batches, warm, each, shared, shared->latencies + s * each);
		}
	}
	while (shared->ready < sessions)
	{
		if (waitpid(-1, &status, WNOHANG) > 0)
			return 1;
		usleep(1000);
	}
	began = now();
	shared->go = 1;
	while (wait(&status) > 0)
		failed |= status;
	seconds = now() - began;
	qsort(shared->latencies, (size_t) (each * sessions), sizeof(double), ascending);
	printf("{\"events\": %ld, \"seconds\": %.3f, \"per_second\": %.0f, \"p50_ms\": %.2f, \"p99_ms\": %.2f, \"cpu_us\": %.0f}\n",
		   each * sessions * size, seconds, (double) (each * sessions * size) / seconds,
		   shared->latencies[each * sessions / 2] * 1e3, shared->latencies[each * sessions * 99 / 100] * 1e3,
		   shared->cpu * 1e6 / (double) (each * sessions * size));
	return failed != 0;
}
