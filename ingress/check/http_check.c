/*
 * The request parser by itself: heads, targets and chunked bodies, each beside the status that refuses it. Every head is
 * also fed byte by byte, and must come to the same end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../http.h"

static int checks, failures;

static void
check(bool right, const char *what, const char *more)
{
	checks++;
	if (right)
		printf("ok %d - %s\n", checks, what);
	else
	{
		failures++;
		printf("not ok %d - %s (%s)\n", checks, what, more);
	}
}

#define H "Host: h\r\n"

/* status 0: accepted; -1: the head never ends. */
static const struct
{
	const char *what, *bytes;
	int status;
} heads[] = {
	{"plain POST", "POST /hooks/a HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\n", 0},
	{"HTTP/1.0 without Host", "POST /hooks/a HTTP/1.0\r\nContent-Length: 3\r\n\r\n", 0},
	{"absolute form", "POST http://h/hooks/a HTTP/1.1\r\n" H "\r\n", 0},
	{"identity coding", "POST /a HTTP/1.1\r\n" H "Content-Encoding: identity\r\n\r\n", 0},
	{"Expect", "POST /a HTTP/1.1\r\n" H "Expect: 100-continue\r\n\r\n", 0},
	{"chunked", "POST /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n", 0},
	{"a value in UTF-8", "POST /a HTTP/1.1\r\n" H "X: M\xC3\xBCnchen\r\n\r\n", 0},
	{"bare LF after request line", "POST /a HTTP/1.1\nHost: h\r\n\r\n", -1},
	{"bare LF as empty line", "POST /a HTTP/1.1\r\nHost: h\r\n\n", -1},
	{"bare CR", "POST /a HTTP/1.1\r\nHost: h\rX: y\r\n\r\n", -1},
	{"HTTP/1.1 without Host", "POST /a HTTP/1.1\r\n\r\n", 400},
	{"two Hosts", "POST /a HTTP/1.1\r\n" H H "\r\n", 400},
	{"Host with user info", "POST /a HTTP/1.1\r\nHost: u@h\r\n\r\n", 400},
	{"Host with a path", "POST /a HTTP/1.1\r\nHost: h/x\r\n\r\n", 400},
	{"two Content-Lengths that agree", "POST /a HTTP/1.1\r\n" H "Content-Length: 3\r\nContent-Length: 3\r\n\r\n", 400},
	{"Content-Length list", "POST /a HTTP/1.1\r\n" H "Content-Length: 3, 3\r\n\r\n", 400},
	{"Content-Length with sign", "POST /a HTTP/1.1\r\n" H "Content-Length: +3\r\n\r\n", 400},
	{"Content-Length negative", "POST /a HTTP/1.1\r\n" H "Content-Length: -3\r\n\r\n", 400},
	{"Content-Length in hex", "POST /a HTTP/1.1\r\n" H "Content-Length: 0x3\r\n\r\n", 400},
	{"Content-Length empty", "POST /a HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", 400},
	{"Content-Length beyond 64 bits", "POST /a HTTP/1.1\r\n" H "Content-Length: 18446744073709551619\r\n\r\n", 400},
	{"chunked and Content-Length", "POST /a HTTP/1.1\r\n" H "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
	{"chunked twice", "POST /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
	{"gzip, chunked", "POST /a HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", 400},
	{"Transfer-Encoding identity", "POST /a HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n", 400},
	{"xchunked", "POST /a HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n", 400},
	{"chunked with vertical tab", "POST /a HTTP/1.1\r\n" H "Transfer-Encoding: \vchunked\r\n\r\n", 400},
	{"chunked in HTTP/1.0", "POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
	{"folded line", "POST /a HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n", 400},
	{"first line folded", "POST /a HTTP/1.1\r\n X: a\r\n" H "\r\n", 400},
	{"space before colon", "POST /a HTTP/1.1\r\n" H "Content-Length : 3\r\n\r\n", 400},
	{"no colon", "POST /a HTTP/1.1\r\n" H "nonsense\r\n\r\n", 400},
	{"empty name", "POST /a HTTP/1.1\r\n" H ": x\r\n\r\n", 400},
	{"control in a value", "POST /a HTTP/1.1\r\n" H "X: \x01\r\n\r\n", 400},
	{"not UTF-8 in a value", "POST /a HTTP/1.1\r\n" H "X: \xC3\x28\r\n\r\n", 400},
	{"overlong UTF-8 in a value", "POST /a HTTP/1.1\r\n" H "X: \xC0\xAF\r\n\r\n", 400},
	{"surrogate in a value", "POST /a HTTP/1.1\r\n" H "X: \xED\xA0\x80\r\n\r\n", 400},
	{"two spaces in the request line", "POST  /a HTTP/1.1\r\n" H "\r\n", 400},
	{"tab in the request line", "POST\t/a HTTP/1.1\r\n" H "\r\n", 400},
	{"space at its end", "POST /a HTTP/1.1 \r\n" H "\r\n", 400},
	{"no version", "POST /a\r\n" H "\r\n", 400},
	{"lower-case version", "POST /a http/1.1\r\n" H "\r\n", 400},
	{"HTTP/1.2", "POST /a HTTP/1.2\r\n" H "\r\n", 400},
	{"HTTP/2.0", "POST /a HTTP/2.0\r\n" H "\r\n", 505},
	{"preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\n", 505},
	{"a TLS greeting", "\x16\x03\x01\x02\r\n\r\n", 400},
	{"gzip body", "POST /a HTTP/1.1\r\n" H "Content-Encoding: gzip\r\n\r\n", 415},
	{"another expectation", "POST /a HTTP/1.1\r\n" H "Expect: miracles\r\n\r\n", 417},
	{"malformed goes before unsupported", "POST /a HTTP/1.1\r\n" H "Content-Encoding: gzip\r\nContent-Length: x\r\n\r\n", 400},
};

static int
status_of(const char *bytes, size_t len, size_t step)
{
	static EwhHttpHead head;
	size_t scanned = 0;
	long end = 0;

	for (size_t there = step < len ? step : len; end == 0; there += step)
	{
		end = ewh_http_head_end(bytes, there < len ? there : len, &scanned);
		if (there >= len)
			break;
	}
	return end < 0 ? -1 : end == 0 ? -2 : ewh_http_parse_head(bytes, (size_t) end, &head);
}

static void
check_heads(void)
{
	for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
	{
		size_t len = strlen(heads[i].bytes);
		char *exact = malloc(len); /* so that a sanitizer sees one byte too far */
		char got[40];
		int whole, bytewise;

		memcpy(exact, heads[i].bytes, len);
		whole = status_of(exact, len, len);
		bytewise = status_of(exact, len, 1);
		snprintf(got, sizeof got, "whole %d, byte by byte %d", whole, bytewise);
		check(whole == heads[i].status && bytewise == whole, heads[i].what, got);
		free(exact);
	}
	check(status_of("POST /a\0b HTTP/1.1\r\nHost: h\r\n\r\n", 31, 31) == -1, "NUL", "");
}

static const struct
{
	const char *target, *source;
	int status;
} targets[] = {
	{"/hooks/stripe", "stripe", 0},
	{"/hooks/stripe?a=1", "stripe", 0},
	{"/hooks/.well", ".well", 0},
	{"/hooks/M%C3%BCller%20KG", "M\xC3\xBCller KG", 0},
	{"http://h/hooks/stripe", "stripe", 0},
	{"HTTP://h/hooks/stripe", "stripe", 0},
	{"/hooks/%73tripe", "", 400},
	{"/hooks/a%2Fb", "", 400},
	{"/hooks/a%5cb", "", 400},
	{"/hooks/a%00b", "", 400},
	{"/hooks/a%0ab", "", 400},
	{"/hooks/a%FF", "", 400},
	{"/hooks/a%C0%AF", "", 400},
	{"/hooks/a%", "", 400},
	{"/hooks/a%4", "", 400},
	{"/hooks/a%zz", "", 400},
	{"/hooks/%2e%2e", "", 400},
	{"/hooks/..", "", 400},
	{"/hooks/.", "", 400},
	{"/hooks/../hooks/stripe", "", 400},
	{"/./hooks/stripe", "", 400},
	{"/hooks/stripe/..", "", 400},
	{"/%68ooks/stripe", "", 400},
	{"/hooks/stripe#x", "", 400},
	{"/hooks/a\\b", "", 400},
	{"/hooks/\xC3\xBC", "", 400},
	{"hooks/stripe", "", 400},
	{"h:80", "", 400},
	{"http://other/hooks/stripe", "", 400},
	{"http:///hooks/stripe", "", 400},
	{"ftp://h/hooks/stripe", "", 400},
	{"*", "", 404},
	{"/", "", 404},
	{"/hooks", "", 404},
	{"/hooks/", "", 404},
	{"//hooks/stripe", "", 404},
	{"/hooks//stripe", "", 404},
	{"/hooks/stripe/", "", 404},
	{"/HOOKS/stripe", "", 404},
	{"/metrics", "", 404},
};

static void
check_targets(void)
{
	for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++)
	{
		EwhHttpHead head = {.target = {targets[i].target, strlen(targets[i].target)}, .host = {"h", 1}};
		EwhTarget target;
		char source[256] = "";
		int status = ewh_target_parse(&head, &target);

		if (status == 0)
			status = ewh_target_source(&target, source);
		check(status == targets[i].status && (status != 0 || strcmp(source, targets[i].source) == 0), targets[i].target,
			  source);
	}
}

/* body NULL: refused. more: what stays for the next request. */
static const struct
{
	const char *what, *bytes, *body;
	bool done;
} chunks[] = {
	{"one chunk", "3\r\nabc\r\n0\r\n\r\n", "abc", true},
	{"two chunks and an extension", "3;x=\"y\"\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde", true},
	{"leading zeros", "0003\r\nabc\r\n000\r\n\r\n", "abc", true},
	{"none", "0\r\n\r\n", "", true},
	{"unfinished", "3\r\nab", "ab", false},
	{"size missing", "\r\nabc", NULL, false},
	{"size with 0x", "0x3\r\nabc\r\n", NULL, false},
	{"size with sign", "+3\r\nabc\r\n", NULL, false},
	{"space before size", " 3\r\nabc\r\n", NULL, false},
	{"space after size", "3 \r\nabc\r\n", NULL, false},
	{"size too long", "000000003\r\nabc\r\n", NULL, false},
	{"bare LF after size", "3\nabc\r\n", NULL, false},
	{"bare LF in an extension", "3;x\nabc\r\n", NULL, false},
	{"data longer than its size", "3\r\nabcd\r\n", NULL, false},
	{"bare LF after data", "3\r\nabc\n0\r\n\r\n", NULL, false},
	{"a trailer", "0\r\nX: y\r\n\r\n", NULL, false},
};

static void
check_chunks(size_t step)
{
	for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++)
	{
		EwhChunked chunked = {0};
		const char *at = chunks[i].bytes, *end = at + strlen(at);
		char body[64] = "";
		EwhChunkStep s = {0};

		while (at < end && !s.bad && !s.done)
		{
			s = ewh_chunked_read(&chunked, at, (size_t) (end - at) < step ? (size_t) (end - at) : step);
			strncat(body, s.data.at ? s.data.at : "", s.data.len);
			at += s.used;
		}
		check(s.bad == (chunks[i].body == NULL) && (s.bad || (s.done == chunks[i].done && strcmp(body, chunks[i].body) == 0)),
			  chunks[i].what, body);
	}
}

int
main(void)
{
	check_heads();
	check_targets();
	check_chunks(1000);
	check_chunks(1);
	printf("1..%d\n", checks);
	return failures > 0;
}
