/*
 * Requests and the memory they may take together.
 *
 * Headers become the text of a jsonb object here, once: names in lower case, a repeated one an array, so that the
 * database sees the repetition and decides.
 */
#include "request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "metrics.h"
#include "options.h"

#define FIRST_BODY_BYTES 4096

uint64_t
ewh_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

/* Takes bytes from what all requests may hold together. */
static bool
charge(EwhRequest *request, size_t bytes)
{
	if (ewh_metrics.memory + bytes > (uint64_t) ewh_options.max_memory)
		return false;
	ewh_metrics.memory += bytes;
	request->charged += bytes;
	return true;
}

static char *
put_quoted(char *out, EwhSlice text, bool lower)
{
	*out++ = '"';
	for (size_t i = 0; i < text.len; i++)
	{
		char c = text.at[i];

		if (c == '"' || c == '\\')
			*out++ = '\\';
		if (c == '\t') /* the only control character a field can hold */
		{
			*out++ = '\\';
			c = 't';
		}
		*out++ = lower && c >= 'A' && c <= 'Z' ? (char) (c + 32) : c;
	}
	*out++ = '"';
	return out;
}

static bool
same_name(const EwhHttpField *a, const EwhHttpField *b)
{
	return a->name.len == b->name.len && strncasecmp(a->name.at, b->name.at, a->name.len) == 0;
}

static bool
named_before(const EwhHttpHead *head, int i)
{
	for (int k = 0; k < i; k++)
		if (same_name(&head->fields[k], &head->fields[i]))
			return true;
	return false;
}

/* "value", or ["value","value"] if later fields have the same name. */
static char *
put_values(char *out, const EwhHttpHead *head, int i)
{
	char *start = out;
	bool repeated = false;

	*out++ = '[';
	out = put_quoted(out, head->fields[i].value, false);
	for (int k = i + 1; k < head->nfields; k++)
	{
		if (!same_name(&head->fields[i], &head->fields[k]))
			continue;
		repeated = true;
		*out++ = ',';
		out = put_quoted(out, head->fields[k].value, false);
	}
	if (repeated)
		*out++ = ']';
	else
		memmove(start, start + 1, (size_t) (--out - start));
	return out;
}

static char *
headers_json(const EwhHttpHead *head)
{
	size_t size = 3;
	char *json, *out;

	for (int i = 0; i < head->nfields; i++)
		size += 2 * (head->fields[i].name.len + head->fields[i].value.len) + 8;
	json = out = malloc(size);
	if (json == NULL)
		return NULL;
	*out++ = '{';
	for (int i = 0; i < head->nfields; i++)
	{
		if (named_before(head, i))
			continue;
		if (out[-1] != '{')
			*out++ = ',';
		out = put_quoted(out, head->fields[i].name, true);
		*out++ = ':';
		out = put_values(out, head, i);
	}
	*out++ = '}';
	*out = '\0';
	return json;
}

/* base + path and query as sent. Without a base (HTTP/1.0, no Host, nothing configured) there is no URL to tell. */
static char *
public_url(const EwhTarget *target, const char *base)
{
	char *url = NULL;

	if (base != NULL && asprintf(&url, "%s%.*s", base, (int) target->relative.len, target->relative.at) < 0)
		return NULL;
	return url;
}

EwhRequest *
ewh_request_new(const EwhHttpHead *head, const EwhTarget *target, const char *source, const char *base)
{
	EwhRequest *request = calloc(1, sizeof *request);

	if (request == NULL)
		return NULL;
	request->source = strdup(source);
	request->headers = headers_json(head);
	request->url = public_url(target, base);
	request->method = head->method.len == 3 ? "GET" : "POST"; /* only these two come this far */
	if (request->source == NULL || request->headers == NULL ||
		!charge(request, sizeof *request + ewh_request_bytes(request)))
	{
		ewh_request_free(request);
		return NULL;
	}
	return request;
}

bool
ewh_request_append(EwhRequest *request, const char *bytes, size_t len)
{
	if (len == 0)
		return true;
	if (request->len + len > request->size)
	{
		size_t size = request->size ? request->size * 2 : FIRST_BODY_BYTES;
		char *grown;

		while (size < request->len + len)
			size *= 2;
		if (!charge(request, size - request->size))
			return false;
		grown = realloc(request->body, size);
		if (grown == NULL)
			return false;
		request->body = grown;
		request->size = size;
	}
	memcpy(request->body + request->len, bytes, len);
	request->len += len;
	ewh_metrics.body_bytes += len;
	return true;
}

void
ewh_request_free(EwhRequest *request)
{
	if (request == NULL)
		return;
	ewh_metrics.memory -= request->charged;
	free(request->source);
	free(request->url);
	free(request->headers);
	free(request->body);
	free(request);
}

size_t
ewh_request_bytes(const EwhRequest *request)
{
	return strlen(request->source) + strlen(request->headers) + (request->url ? strlen(request->url) : 0) + request->len + 64;
}
