/*
 * What was configured: one table of names serves the command line, the environment and the file.
 */
#ifndef EWH_OPTIONS_H
#define EWH_OPTIONS_H

#include <stdbool.h>

typedef struct EwhOptions
{
	char *config, *listen, *admin, *tls_cert, *tls_key, *dsn, *report_dsn, *public_url, *log_level;
	long max_body, max_head, max_connections, max_queue, max_memory, max_batch, max_batch_bytes;
	long db_connections, deadline, retry_after;
	long head_timeout, body_timeout, idle_timeout, stop_timeout;
} EwhOptions;

extern EwhOptions ewh_options;

/* Fills ewh_options: defaults, then file, environment, command line. Exits for --help, --version and mistakes. */
void ewh_options_read(int argc, char **argv);

#endif
