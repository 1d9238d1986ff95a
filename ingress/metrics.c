/*
 * Counters and their Prometheus text (exposition format 0.0.4).
 */
#include "metrics.h"

#include <string.h>

EwhMetrics ewh_metrics;

static const double second_bounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 0};
static const double size_bounds[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 0};

/* The outcomes of a receipt (the last ones are ours); anything else counts as "other". */
static const char *const outcome_names[] = {"accepted",	 "duplicate", "waiting",   "quarantined", "no_effect",	 "failed", "handshake",
											"rejected", "malformed", "method", "unavailable", "other"};

#define NOUTCOMES (sizeof outcome_names / sizeof outcome_names[0])

void
ewh_metrics_start(void)
{
	ewh_metrics.seconds.bounds = second_bounds;
	ewh_metrics.batch_seconds.bounds = second_bounds;
	ewh_metrics.batch_sizes.bounds = size_bounds;
}

void
ewh_metrics_outcome(const char *outcome)
{
	size_t i = 0;

	while (i < NOUTCOMES - 1 && strcmp(outcome_names[i], outcome) != 0)
		i++;
	ewh_metrics.outcomes[i]++;
}

void
ewh_histogram_add(EwhHistogram *histogram, double value)
{
	int i = 0;

	while (histogram->bounds[i] != 0 && value > histogram->bounds[i])
		i++;
	histogram->counts[i]++;
	histogram->total++;
	histogram->sum += value;
}

static void
write_head(struct evbuffer *out, const char *name, const char *type, const char *help)
{
	evbuffer_add_printf(out, "# HELP erp_webhookd_%s %s\n# TYPE erp_webhookd_%s %s\n", name, help, name, type);
}

static void
write_histogram(struct evbuffer *out, const char *name, const char *help, const EwhHistogram *histogram)
{
	uint64_t below = 0;
	int i;

	write_head(out, name, "histogram", help);
	for (i = 0; histogram->bounds[i] != 0; i++)
	{
		below += histogram->counts[i];
		evbuffer_add_printf(out, "erp_webhookd_%s_bucket{le=\"%g\"} %lu\n", name, histogram->bounds[i],
							(unsigned long) below);
	}
	evbuffer_add_printf(out, "erp_webhookd_%s_bucket{le=\"+Inf\"} %lu\n", name, (unsigned long) histogram->total);
	evbuffer_add_printf(out, "erp_webhookd_%s_sum %.6f\nerp_webhookd_%s_count %lu\n", name, histogram->sum, name,
						(unsigned long) histogram->total);
}

static void
write_numbers(struct evbuffer *out)
{
	const struct
	{
		const char *name, *type, *help;
		int64_t value;
	} numbers[] = {
		{"batches_total", "counter", "Batches committed.", (int64_t) ewh_metrics.batches},
		{"batches_failed_total", "counter", "Batches that ended in an error.", (int64_t) ewh_metrics.failed_batches},
		{"requests_retried_total", "counter", "Requests sent to the database again.", (int64_t) ewh_metrics.retried_requests},
		{"requests_expired_total", "counter", "Requests answered 503 at their deadline.", (int64_t) ewh_metrics.expired_requests},
		{"requests_shed_total", "counter", "Requests answered 503 before their body was read.", (int64_t) ewh_metrics.shed_requests},
		{"body_bytes_total", "counter", "Bytes of bodies received.", (int64_t) ewh_metrics.body_bytes},
		{"connections_accepted_total", "counter", "Connections accepted.", (int64_t) ewh_metrics.accepted_connections},
		{"connections_evicted_total", "counter", "Connections closed to make room.", (int64_t) ewh_metrics.evicted_connections},
		{"tls_failures_total", "counter", "Connections that failed in TLS.", (int64_t) ewh_metrics.refused_handshakes},
		{"database_connects_total", "counter", "Connections to the database made.", (int64_t) ewh_metrics.database_connects},
		{"database_failures_total", "counter", "Connections to the database lost or not made.", (int64_t) ewh_metrics.database_failures},
		{"connections", "gauge", "Client connections open.", ewh_metrics.connections},
		{"queued_requests", "gauge", "Requests waiting for a batch.", ewh_metrics.queued},
		{"in_flight_requests", "gauge", "Requests in a batch.", ewh_metrics.in_flight},
		{"database_connections_ready", "gauge", "Connections to the database ready.", ewh_metrics.database_ready},
		{"request_memory_bytes", "gauge", "Bytes of requests held.", (int64_t) ewh_metrics.memory},
		{"certificate_expires_seconds", "gauge", "When the TLS certificate expires, in Unix time; 0 without TLS.", ewh_metrics.certificate_expires},
	};

	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
	{
		write_head(out, numbers[i].name, numbers[i].type, numbers[i].help);
		evbuffer_add_printf(out, "erp_webhookd_%s %ld\n", numbers[i].name, (long) numbers[i].value);
	}
}

void
ewh_metrics_write(struct evbuffer *out)
{
	write_head(out, "requests_total", "counter", "Requests by what became of them.");
	for (size_t i = 0; i < NOUTCOMES; i++)
		evbuffer_add_printf(out, "erp_webhookd_requests_total{outcome=\"%s\"} %lu\n", outcome_names[i],
							(unsigned long) ewh_metrics.outcomes[i]);
	write_head(out, "answers_total", "counter", "Answers by HTTP status.");
	for (int status = 0; status < 600; status++)
		if (ewh_metrics.statuses[status] > 0)
			evbuffer_add_printf(out, "erp_webhookd_answers_total{status=\"%d\"} %lu\n", status,
								(unsigned long) ewh_metrics.statuses[status]);
	write_histogram(out, "request_seconds", "From a whole request to its answer.", &ewh_metrics.seconds);
	write_histogram(out, "batch_seconds", "From sending a batch to its commit.", &ewh_metrics.batch_seconds);
	write_histogram(out, "batch_size", "Requests in a batch.", &ewh_metrics.batch_sizes);
	write_numbers(out);
}
