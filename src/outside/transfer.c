/*
 * transfer.c: one HTTP transfer: how curl is set up for it, and what its callbacks let in.
 *
 * Callbacks copy, count and return: they neither palloc nor ereport, since a longjmp must not cross curl's frames.
 *
 * What a hostile peer or URL cannot do, and where it is stopped:
 *   another scheme, credentials in the URL, a port not listed   ewh_http_url_refused, and curl's own list of protocols
 *   a private address, whatever the resolver says or when       open_socket, on the address about to be used
 *   a redirect                                                  never followed: a 3xx is an answer like any other
 *   a proxy, netrc, cookie or alternative service               none is configured, the environment is not read
 *   an endless body or header, a slow drip                      take_body, take_header; one limit on the whole time
 *   a compressed bomb                                           nothing is offered; what comes is not inflated
 *   a certificate of another host or issuer                     verified against erp_webhook.ca_file or the system's
 */
#include "postgres.h"

#include <sys/socket.h>
#include <unistd.h>

#include "outside/address.h"
#include "outside/transfer.h"
#include "storage/fd.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#define MAX_URL				4096
#define MAX_HEADERS			(32 * 1024)			/* bytes of an answer's headers */
#define MAX_ANSWER			(64 * 1024)			/* of a body nobody reads: a subscriber's */
#define CONNECT_TIMEOUT_MS	10000
#define RETRY_AFTER			"retry-after:"
#define MAX_RETRY_AFTER		604800	/* seconds worth reading; SQL bounds what is heeded */

static int	http_timeout = 30;
static char *ca_file;

/* Append to a bounded buffer; false when it is full or memory is out. */
static bool
buffer_append(EwhBuffer *buffer, const char *data, size_t len)
{
	if (len > buffer->max - buffer->len)
		return false;
	if (buffer->len + len + 1 > buffer->size)
	{
		size_t		size = Max(buffer->len + len + 1, buffer->size * 2);
		char	   *grown = realloc(buffer->data, size);

		if (grown == NULL)
			return false;
		buffer->data = grown;
		buffer->size = size;
	}
	memcpy(buffer->data + buffer->len, data, len);
	buffer->len += len;
	buffer->data[buffer->len] = '\0';
	return true;
}

/* curl callback: a piece of the body. */
static size_t
take_body(char *data, size_t size, size_t n, void *arg)
{
	EwhTransfer *transfer = arg;

	if (buffer_append(&transfer->answer, data, size * n))
		return size * n;
	transfer->refused = "the answer is too large";
	return 0;
}

/* curl callback: a header line. Only Retry-After is kept; all are counted, those of interim answers (100, 103) too. */
static size_t
take_header(char *data, size_t size, size_t n, void *arg)
{
	EwhTransfer *transfer = arg;

	transfer->header_bytes += size * n;
	if (transfer->header_bytes > MAX_HEADERS)
	{
		transfer->refused = "the answer's headers are too large";
		return 0;
	}
	if (size * n > strlen(RETRY_AFTER) && strncasecmp(data, RETRY_AFTER, strlen(RETRY_AFTER)) == 0)
	{
		size_t		len = Min(size * n - strlen(RETRY_AFTER), sizeof(transfer->retry_after) - 1);

		memcpy(transfer->retry_after, data + strlen(RETRY_AFTER), len);
		transfer->retry_after[len] = '\0';
	}
	return size * n;
}

/* curl callback: open a socket to this very address, or refuse. */
static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *addr)
{
	EwhTransfer *transfer = arg;
	const char *refused = ewh_address_refused(&addr->addr, transfer->plain_http);
	int			fd;

	if (refused != NULL)
	{
		transfer->refused = refused;
		return CURL_SOCKET_BAD;
	}
	if (!AcquireExternalFD())
		return CURL_SOCKET_BAD;
	fd = socket(addr->family, addr->socktype | SOCK_CLOEXEC, addr->protocol);
	if (fd < 0)
		ReleaseExternalFD();
	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

/* curl callback */
static int
close_socket(void *arg, curl_socket_t fd)
{
	ReleaseExternalFD();
	return close(fd);
}

/* Why a URL may not be called, before any name is resolved; NULL if it may. */
const char *
ewh_http_url_refused(const char *url)
{
	CURLU	   *parsed;
	char	   *scheme = NULL,
			   *user = NULL,
			   *host = NULL,
			   *port = NULL;
	const char *why = NULL;

	for (const char *c = url; *c != '\0'; c++)
		if ((unsigned char) *c <= ' ' || (unsigned char) *c >= 0x7f)
			return "the URL holds a space, a control character or one outside ASCII";
	if (strlen(url) > MAX_URL)
		return "the URL is too long";

	parsed = curl_url();
	if (parsed == NULL || curl_url_set(parsed, CURLUPART_URL, url, CURLU_PATH_AS_IS) != CURLUE_OK ||
		curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
		curl_url_get(parsed, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
		curl_url_get(parsed, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK)
		why = "not an absolute URL";
	else if (strcmp(scheme, "https") != 0 && !(strcmp(scheme, "http") == 0 && ewh_address_loopback_listed()))
		why = "the scheme is not https";
	else if (curl_url_get(parsed, CURLUPART_USER, &user, 0) == CURLUE_OK)
		why = "the URL holds credentials";
	else if (!ewh_address_port_allowed(atoi(port)))
		why = "the port is not in erp_webhook.allowed_ports";
	curl_free(scheme);
	curl_free(user);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(parsed);
	return why;
}

/* Every setopt of a transfer; false if one failed, for want of memory. */
static bool
set_options(EwhTransfer *transfer)
{
	CURL	   *easy = transfer->easy;
	EwhExchange *exchange = transfer->exchange;
	bool		ok = true;

#define SET(option, value) ok = ok && curl_easy_setopt(easy, option, value) == CURLE_OK
	SET(CURLOPT_URL, exchange->url);
	SET(CURLOPT_PATH_AS_IS, 1L);
#if CURL_AT_LEAST_VERSION(7, 85, 0)
	SET(CURLOPT_PROTOCOLS_STR, transfer->plain_http ? "http" : "https");
#else
	SET(CURLOPT_PROTOCOLS, (long) (transfer->plain_http ? CURLPROTO_HTTP : CURLPROTO_HTTPS));
#endif
	/* A name that resolves for ever is left to its thread; to wait for that would hold up every other exchange. */
#if CURL_AT_LEAST_VERSION(7, 87, 0)
	SET(CURLOPT_QUICK_EXIT, 1L);
#endif
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
	SET(CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_HTTP_CONTENT_DECODING, 0L);
	SET(CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	if (ca_file != NULL && ca_file[0] != '\0')
		SET(CURLOPT_CAINFO, ca_file);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long) Min(CONNECT_TIMEOUT_MS, http_timeout * 1000));
	SET(CURLOPT_TIMEOUT_MS, (long) http_timeout * 1000);
	SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SET(CURLOPT_OPENSOCKETDATA, transfer);
	SET(CURLOPT_CLOSESOCKETFUNCTION, close_socket);
	SET(CURLOPT_WRITEFUNCTION, take_body);
	SET(CURLOPT_WRITEDATA, transfer);
	SET(CURLOPT_HEADERFUNCTION, take_header);
	SET(CURLOPT_HEADERDATA, transfer);
	SET(CURLOPT_ERRORBUFFER, transfer->error);
	SET(CURLOPT_PRIVATE, transfer);
	SET(CURLOPT_HTTPHEADER, transfer->headers);
	if (exchange->body.data != NULL)
	{
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) exchange->body.len);
		SET(CURLOPT_POSTFIELDS, exchange->body.data);
	}
	SET(CURLOPT_CUSTOMREQUEST, exchange->method);
#undef SET
	return ok;
}

/* The header list as curl wants it; false on a header that would end its line, or for want of memory. */
static bool
set_headers(EwhTransfer *transfer)
{
	static const char *const ours[] = {"Expect:", "User-Agent: erp_webhook"};
	ListCell   *lc;

	foreach(lc, transfer->exchange->headers)
	{
		struct curl_slist *longer;

		if (strpbrk(lfirst(lc), "\r\n") != NULL)
			return false;
		longer = curl_slist_append(transfer->headers, lfirst(lc));
		if (longer == NULL)
			return false;
		transfer->headers = longer;
	}
	for (int i = 0; i < lengthof(ours); i++)
	{
		struct curl_slist *longer = curl_slist_append(transfer->headers, ours[i]);

		if (longer == NULL)
			return false;
		transfer->headers = longer;
	}
	return true;
}

/* Set up the transfer of an exchange. If that fails, the exchange is finished with its error and `easy` is NULL. */
EwhTransfer *
ewh_transfer_make(EwhExchange *exchange)
{
	EwhTransfer *transfer = MemoryContextAllocZero(exchange->context, sizeof(EwhTransfer));
	const char *refused = exchange->error != NULL ? exchange->error : ewh_http_url_refused(exchange->url);

	transfer->exchange = exchange;
	transfer->plain_http = strncmp(exchange->url, "http:", 5) == 0;
	transfer->answer.max = exchange->max_answer != 0 ? exchange->max_answer : MAX_ANSWER;
	exchange->transfer = transfer;

	if (refused == NULL && !set_headers(transfer))
		refused = "a header holds a line break";
	if (refused == NULL)
		transfer->easy = curl_easy_init();
	if (refused == NULL && (transfer->easy == NULL || !set_options(transfer)))
		refused = "out of memory";
	if (refused != NULL)
	{
		if (transfer->easy != NULL)
			curl_easy_cleanup(transfer->easy);
		transfer->easy = NULL;
		exchange->error = MemoryContextStrdup(exchange->context, refused);
		exchange->finished = true;
	}
	return transfer;
}

/*
 * Is the name of its host still being looked up? Newer libcurl tells no time of a look-up where a connection is used again:
 * there the request is out.
 */
bool
ewh_transfer_resolving(const EwhTransfer *transfer)
{
	curl_off_t	looked_up = 0;
	curl_off_t	asked = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_NAMELOOKUP_TIME_T, &looked_up);
	curl_easy_getinfo(transfer->easy, CURLINFO_PRETRANSFER_TIME_T, &asked);
	return looked_up == 0 && asked == 0;
}

/*
 * How many seconds the answer asks to wait: RFC 9110 section 10.2.3, a number or a date; 0 when it asks for nothing, and
 * for a date that has passed.
 *
 * Not CURLINFO_RETRY_AFTER: newer libcurl cuts that to six hours, and how long is heeded is for SQL to say.
 */
static int
asked_to_wait(const char *value)
{
	int64		seconds;

	value += strspn(value, " \t");
	if (*value >= '0' && *value <= '9')
		seconds = strtoll(value, NULL, 10);
	else
		seconds = (int64) curl_getdate(value, NULL) - time(NULL);
	return (int) Min(Max(seconds, 0), MAX_RETRY_AFTER);
}

/* A transfer has ended: copy what came back into the exchange. */
void
ewh_transfer_result(EwhTransfer *transfer, CURLcode code)
{
	EwhExchange *exchange = transfer->exchange;
	MemoryContext old = MemoryContextSwitchTo(exchange->context);
	curl_off_t	us = 0;
	long		status = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_TOTAL_TIME_T, &us);
	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	exchange->ms = (int) (us / 1000);
	if (code == CURLE_OK)
	{
		exchange->retry_after = asked_to_wait(transfer->retry_after);
		exchange->status = (int) status;
		exchange->answer.data = transfer->answer.data;
		exchange->answer.len = transfer->answer.len;
	}
	else if (transfer->refused != NULL)
		exchange->error = pstrdup(transfer->refused);
	else
	{
		exchange->error = pstrdup(transfer->error[0] != '\0' ? transfer->error : curl_easy_strerror(code));
		/* A peer may have had a word in this text. */
		for (char *c = exchange->error; *c != '\0'; c++)
			if ((unsigned char) *c < ' ' || (unsigned char) *c >= 0x7f)
				*c = '?';
	}
	if (exchange->error == NULL && exchange->status == 0)
		exchange->error = pstrdup("no HTTP status in the answer");
	exchange->finished = true;
	MemoryContextSwitchTo(old);
}

/* Free what is not palloc'ed; the handle is already out of its multi. */
void
ewh_transfer_free(EwhTransfer *transfer)
{
	if (transfer->easy != NULL)
		CURL_CALL(curl_easy_cleanup(transfer->easy));
	curl_slist_free_all(transfer->headers);
	free(transfer->answer.data);
	transfer->easy = NULL;
	transfer->headers = NULL;
	transfer->answer.data = NULL;
}

/* The longest one exchange can take. */
int
ewh_http_timeout_ms(void)
{
	return http_timeout * 1000;
}

/* Settings of a transfer; called once, from _PG_init. */
void
ewh_transfer_settings(void)
{
	DefineCustomStringVariable("erp_webhook.ca_file",
							   "File of the certificates the worker trusts, in PEM; empty: the system's.", NULL,
							   &ca_file, "", PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("erp_webhook.http_timeout",
							"Time one HTTP exchange of the worker may take as a whole.", NULL,
							&http_timeout, 30, 1, 300, PGC_SUSET, GUC_UNIT_S, NULL, NULL, NULL);
}
