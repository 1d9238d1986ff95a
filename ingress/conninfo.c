/*
 * libpq tries the hosts of a list in order, but its connect_timeout does not hold for non-blocking connections: a host that
 * swallows packets would be waited for for ever. We time out the whole attempt instead, and begin the next one with the
 * next host.
 */
#include "conninfo.h"

#include <stdlib.h>
#include <string.h>

#define MAX_KEYWORDS 64

/* Used unless the dsn says otherwise: notice a dead peer before the sender does. */
static const char *const defaults[][2] = {
	{"fallback_application_name", "erp-webhookd"},
	{"keepalives_idle", "10"},
	{"keepalives_interval", "3"},
	{"keepalives_count", "3"},
	{"tcp_user_timeout", "5000"},
};

static int
count_items(const char *list)
{
	int n = 1;

	for (; *list; list++)
		n += *list == ',';
	return n;
}

/* "a,b,c" turned by 1: "b,c,a". A list of one stays. */
static char *
turn_list(const char *list, int by)
{
	int n = count_items(list);
	const char *from = list;
	char *turned = malloc(strlen(list) + 2);

	if (turned == NULL)
		return NULL;
	for (by %= n; by > 0; by--)
		from = strchr(from, ',') + 1;
	if (from == list)
		return strcpy(turned, list);
	strcpy(turned, from);
	strcat(turned, ",");
	strncat(turned, list, (size_t) (from - list) - 1);
	return turned;
}

static int
is_host_list(const char *keyword)
{
	return strcmp(keyword, "host") == 0 || strcmp(keyword, "hostaddr") == 0 || strcmp(keyword, "port") == 0;
}

PGconn *
ewh_conninfo_connect(const char *dsn, int attempt, const char *session)
{
	const char *keywords[MAX_KEYWORDS + 1] = {"target_session_attrs"}, *values[MAX_KEYWORDS + 1] = {session};
	char *turned[3];
	int n = 1, nturned = 0;
	char *error = NULL;
	PQconninfoOption *given = PQconninfoParse(dsn, &error);
	PGconn *connection;

	for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++, n++)
		keywords[n] = defaults[i][0], values[n] = defaults[i][1];
	for (PQconninfoOption *o = given; o && o->keyword && n < MAX_KEYWORDS; o++)
	{
		if (o->val == NULL)
			continue;
		keywords[n] = o->keyword;
		values[n++] = is_host_list(o->keyword) ? (turned[nturned++] = turn_list(o->val, attempt)) : o->val;
	}
	if (given == NULL) /* let libpq say what is wrong with it */
		keywords[n] = "dbname", values[n] = dsn;
	connection = PQconnectStartParams(keywords, values, given == NULL);
	while (nturned > 0)
		free(turned[--nturned]);
	PQconninfoFree(given);
	PQfreemem(error);
	return connection;
}
