/*
 * resolver.c: preloaded into the server under test: names ending in .test resolve as the file EWH_TEST_HOSTS says.
 *
 * A line is "name address [address …]". Each look-up takes the next address of its name, and the last one for ever: so
 * a resolver that changes its mind between a check and its use is one line. Newer libcurl asks for IPv4 and IPv6 apart:
 * each family counts its own look-ups. The address "hangs" is a name server that does not answer for a long while.
 * Other names go to the real resolver.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HANGS 40				/* seconds */

typedef int (*Resolver) (const char *, const char *, const struct addrinfo *, struct addrinfo **);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char asked[128][256];	/* every .test look-up of this process so far, as "family name" */
static int	n_asked;

/* How often this name was asked for before, in this family. */
static int
times_asked(const char *name, int family)
{
	char		question[256];
	int			times = 0;

	snprintf(question, sizeof(question), "%d %s", family, name);
	for (int i = 0; i < n_asked; i++)
		times += strcmp(asked[i], question) == 0;
	if (n_asked < 128)
		memcpy(asked[n_asked++], question, sizeof(question));
	return times;
}

/* The address for this look-up, or 0 if the name is not in the file. */
static int
look_up(const char *name, int family, char *address, size_t size)
{
	FILE	   *f = getenv("EWH_TEST_HOSTS") ? fopen(getenv("EWH_TEST_HOSTS"), "r") : NULL;
	char		line[512];
	int			found = 0;

	while (f && fgets(line, sizeof(line), f))
	{
		char	   *save;
		char	   *word = strtok_r(line, " \n", &save);
		int			skip;

		if (word == NULL || strcmp(word, name) != 0)
			continue;
		skip = times_asked(name, family);
		while ((word = strtok_r(NULL, " \n", &save)) != NULL)
		{
			snprintf(address, size, "%s", word);
			found = 1;
			if (skip-- == 0)
				break;
		}
	}
	if (f)
		fclose(f);
	return found;
}

int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
	Resolver	real = (Resolver) dlsym(RTLD_NEXT, "getaddrinfo");
	char		address[128];
	size_t		len = node ? strlen(node) : 0;
	int			found;

	if (len < 5 || strcmp(node + len - 5, ".test") != 0)
		return real(node, service, hints, result);
	pthread_mutex_lock(&lock);
	found = look_up(node, hints ? hints->ai_family : AF_UNSPEC, address, sizeof(address));
	pthread_mutex_unlock(&lock);
	if (found && strcmp(address, "hangs") == 0)
		return sleep(HANGS), EAI_AGAIN;
	return found ? real(address, service, hints, result) : EAI_NONAME;
}
