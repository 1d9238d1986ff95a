/*
 * Command line, environment and file, from one table.
 *
 * The later wins: default, file (--config), environment (ERP_WEBHOOKD_<NAME>), command line. A file holds lines of
 * "name = value", names as on the command line without the dashes; # begins a comment line.
 */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

EwhOptions ewh_options;

typedef struct Option
{
	const char *name, *argument;
	size_t offset;
	bool number;
	const char *initial;
	long least, most;
	const char *help;
} Option;

#define TEXT(name, argument, member, initial, help) {name, argument, offsetof(EwhOptions, member), false, initial, 0, 0, help}
#define NUMBER(name, member, initial, least, most, help) \
	{name, "N", offsetof(EwhOptions, member), true, initial, least, most, help}

static const Option options[] = {
	TEXT("config", "FILE", config, NULL, "read options from FILE"),
	TEXT("listen", "ADDR:PORT", listen, NULL, "where POST /hooks/<source> is served (or a socket from systemd)"),
	TEXT("tls-cert", "FILE", tls_cert, NULL, "certificate chain (PEM): serve HTTPS; read again on SIGHUP"),
	TEXT("tls-key", "FILE", tls_key, NULL, "its private key (PEM)"),
	TEXT("dsn", "CONNINFO", dsn, NULL, "the database, as libpq takes it; several hosts for failover"),
	TEXT("admin", "ADDR:PORT", admin, NULL, "where /healthz /readyz /metrics /report are served; keep it private"),
	TEXT("public-url", "URL", public_url, NULL, "what senders see in front of /hooks/…, where it is part of what they sign"),
	TEXT("report-dsn", "CONNINFO", report_dsn, NULL, "the database as a reader, perhaps a standby, for /report (default: the dsn)"),
	TEXT("log-level", "LEVEL", log_level, "info", "error, warning, info or debug (debug: a line per request)"),
	NUMBER("max-body", max_body, "1048576", 1024, 64 << 20, "bytes of a body, else 413"),
	NUMBER("max-head", max_head, "32768", 1024, 1 << 20, "bytes of request line and headers, else 431"),
	NUMBER("max-connections", max_connections, "4096", 16, 100000, "clients at once; then the longest idle one goes"),
	NUMBER("max-queue", max_queue, "4096", 1, 1000000, "requests waiting for the database, else 503"),
	NUMBER("max-memory", max_memory, "100663296", 4 << 20, 1L << 40, "bytes of all requests held, else 503"),
	NUMBER("max-batch", max_batch, "256", 1, 10000, "requests in one transaction"),
	NUMBER("max-batch-bytes", max_batch_bytes, "4194304", 65536, 1 << 28, "bytes in one transaction"),
	NUMBER("db-connections", db_connections, "4", 1, 64, "connections to the database"),
	NUMBER("deadline", deadline, "3700", 200, 60000, "milliseconds from the whole request to the answer, else 503"),
	NUMBER("retry-after", retry_after, "5", 1, 3600, "seconds that a 503 tells the sender to wait"),
	NUMBER("head-timeout", head_timeout, "10000", 100, 600000, "milliseconds for TLS and headers, else 408"),
	NUMBER("body-timeout", body_timeout, "20000", 100, 600000, "milliseconds for a body, else 408"),
	NUMBER("idle-timeout", idle_timeout, "75000", 100, 3600000, "milliseconds a connection may idle between requests"),
	NUMBER("stop-timeout", stop_timeout, "10000", 100, 600000, "milliseconds that SIGTERM leaves to unfinished requests"),
};

#define NOPTIONS ((int) (sizeof options / sizeof options[0]))

static void
fail(const char *format, const char *one, const char *two)
{
	fputs("erp-webhookd: ", stderr);
	fprintf(stderr, format, one, two);
	fputc('\n', stderr);
	exit(2);
}

static void
set(const Option *option, const char *value)
{
	char *field = (char *) &ewh_options + option->offset;
	char *end;
	long number;

	if (!option->number)
	{
		free(*(char **) field);
		*(char **) field = strdup(value);
		return;
	}
	errno = 0;
	number = strtol(value, &end, 10);
	if (*value == '\0' || *end != '\0' || errno != 0 || number < option->least || number > option->most)
		fail("%s: not a number in its range: %s", option->name, value);
	*(long *) field = number;
}

static const Option *
find(const char *name)
{
	for (int i = 0; i < NOPTIONS; i++)
		if (strcmp(options[i].name, name) == 0)
			return &options[i];
	return NULL;
}

/* Cuts white space off both ends, in place. */
static char *
strip(char *text)
{
	size_t len;

	while (isspace((unsigned char) *text))
		text++;
	len = strlen(text);
	while (len > 0 && isspace((unsigned char) text[len - 1]))
		text[--len] = '\0';
	return text;
}

static void
read_file(const char *path)
{
	FILE *file = fopen(path, "r");
	char line[8192];

	if (file == NULL)
		fail("cannot read %s: %s", path, strerror(errno));
	while (fgets(line, sizeof line, file))
	{
		char *name = strip(line);
		char *equals = strchr(name, '=');
		const Option *option;

		if (*name == '\0' || *name == '#')
			continue;
		if (equals == NULL)
			fail("%s: a line without '=': %s", path, name);
		*equals = '\0';
		option = find(strip(name));
		if (option == NULL || strcmp(option->name, "config") == 0)
			fail("%s: unknown option %s", path, strip(name));
		set(option, strip(equals + 1));
	}
	fclose(file);
}

static void
read_environment(void)
{
	for (int i = 0; i < NOPTIONS; i++)
	{
		char name[64];
		const char *value;
		int n = snprintf(name, sizeof name, "ERP_WEBHOOKD_%s", options[i].name);

		for (int k = 0; k < n; k++)
			name[k] = name[k] == '-' ? '_' : (char) toupper((unsigned char) name[k]);
		value = getenv(name);
		if (value != NULL && *value != '\0')
			set(&options[i], value);
	}
}

static void
help(void)
{
	puts("erp-webhookd: receives webhooks over HTTP(S) and hands them, untouched and in batches, to\n"
		 "erp_webhook.ingest_batch() in PostgreSQL. A 2xx means committed.\n\n"
		 "usage: erp-webhookd --listen ADDR:PORT [--tls-cert FILE --tls-key FILE] --dsn CONNINFO\n"
		 "                    [--admin ADDR:PORT] [--public-url URL] [more options]\n");
	for (int i = 0; i < NOPTIONS; i++)
	{
		char left[48];

		snprintf(left, sizeof left, "--%s %s", options[i].name, options[i].argument);
		printf("  %-28s %s", left, options[i].help);
		if (options[i].initial)
			printf(" [%s]", options[i].initial);
		putchar('\n');
	}
	puts("  --help, --version\n\n"
		 "Each option is also read from the environment (ERP_WEBHOOKD_DSN, ERP_WEBHOOKD_MAX_BODY, …) and from the\n"
		 "file of --config, as lines of \"name = value\"; the command line wins, then the environment.\n"
		 "A password belongs in PGPASSFILE or the file, not on the command line.\n"
		 "Signals: TERM, INT finish what was received and stop; HUP reads the certificate again.");
}

static void
read_command_line(int argc, char **argv, bool only_config)
{
	struct option longs[NOPTIONS + 3];
	int c, index;

	memset(longs, 0, sizeof longs);
	for (int i = 0; i < NOPTIONS; i++)
		longs[i] = (struct option){options[i].name, required_argument, NULL, 1};
	longs[NOPTIONS] = (struct option){"help", no_argument, NULL, 'h'};
	longs[NOPTIONS + 1] = (struct option){"version", no_argument, NULL, 'V'};

	optind = 1;
	opterr = !only_config;
	while ((c = getopt_long(argc, argv, "", longs, &index)) != -1)
	{
		if (c == 'h')
		{
			help();
			exit(0);
		}
		if (c == 'V')
		{
			puts("erp-webhookd " EWH_VERSION);
			exit(0);
		}
		if (c == 1 && (!only_config || strcmp(options[index].name, "config") == 0))
			set(&options[index], optarg);
		if (c == '?' && !only_config)
			exit(2);
	}
	if (optind < argc && !only_config)
		fail("unexpected argument: %s%s", argv[optind], "");
}

static void
check_together(void)
{
	if (ewh_options.dsn == NULL)
		fail("%s is needed%s", "--dsn", "; see --help");
	if (ewh_options.listen == NULL && getenv("LISTEN_FDS") == NULL)
		fail("%s is needed%s", "--listen", "; see --help");
	if ((ewh_options.tls_cert == NULL) != (ewh_options.tls_key == NULL))
		fail("%s and %s go together", "--tls-cert", "--tls-key");
	if (ewh_options.public_url)
	{
		size_t len = strlen(ewh_options.public_url);

		if (len > 0 && ewh_options.public_url[len - 1] == '/')
			ewh_options.public_url[len - 1] = '\0';
	}
}

void
ewh_options_read(int argc, char **argv)
{
	for (int i = 0; i < NOPTIONS; i++)
		if (options[i].initial)
			set(&options[i], options[i].initial);
	read_environment();
	read_command_line(argc, argv, true);
	if (ewh_options.config)
	{
		read_file(ewh_options.config);
		read_environment();
	}
	read_command_line(argc, argv, false);
	check_together();
}
