/*
 * What is counted, and its Prometheus text. Plain numbers, written where things happen: there is one thread.
 */
#ifndef EWH_METRICS_H
#define EWH_METRICS_H

#include <event2/buffer.h>
#include <stdint.h>

typedef struct EwhHistogram
{
	const double *bounds; /* upper, ascending, ended by 0 */
	uint64_t counts[16], total;
	double sum;
} EwhHistogram;

typedef struct EwhMetrics
{
	uint64_t outcomes[16];	   /* by receipt; see ewh_metrics_outcome */
	uint64_t statuses[600];	   /* of answers on the hooks' listener */
	uint64_t batches, failed_batches, retried_requests, expired_requests, shed_requests;
	uint64_t accepted_connections, evicted_connections, refused_handshakes, database_connects, database_failures;
	uint64_t body_bytes;
	long connections, queued, in_flight, database_ready;
	uint64_t memory;
	int64_t certificate_expires;
	EwhHistogram seconds, batch_sizes, batch_seconds;
} EwhMetrics;

extern EwhMetrics ewh_metrics;

void ewh_metrics_start(void);
void ewh_metrics_outcome(const char *outcome);
void ewh_histogram_add(EwhHistogram *histogram, double value);
void ewh_metrics_write(struct evbuffer *out);

#endif
