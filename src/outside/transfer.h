/*
 * transfer.h: one curl handle and the callbacks it is given; http.c and transfer.c are the room that includes curl.
 */
#ifndef EWH_TRANSFER_H
#define EWH_TRANSFER_H

#include "postgres.h"

#include <curl/curl.h>
#include <signal.h>

#include "libpq/pqsignal.h"
#include "outside/http.h"

typedef struct EwhBuffer
{
	char	   *data;			/* malloc'ed: grown inside callbacks */
	size_t		len;
	size_t		size;
	size_t		max;
} EwhBuffer;

typedef struct EwhTransfer
{
	EwhHttp    *http;
	EwhExchange *exchange;
	CURL	   *easy;
	struct curl_slist *headers;
	EwhBuffer	answer;
	size_t		header_bytes;	/* of the answer so far */
	char		retry_after[64];	/* the header's value as it came; empty: none */
	const char *refused;		/* set by a callback: why it stopped the transfer */
	bool		plain_http;
	char		error[CURL_ERROR_SIZE];
	struct EwhTransfer *prev,
			   *next;			/* all of one EwhHttp */
} EwhTransfer;

/*
 * curl resolves names in threads, which inherit the signal mask: with signals blocked around every call into curl, no
 * handler of the server's ever runs on one of them.
 */
#define CURL_CALL(call) \
	do { \
		sigset_t	was; \
		sigprocmask(SIG_SETMASK, &BlockSig, &was); \
		call; \
		sigprocmask(SIG_SETMASK, &was, NULL); \
	} while (0)

extern EwhTransfer *ewh_transfer_make(EwhExchange *exchange);
extern bool ewh_transfer_resolving(const EwhTransfer *transfer);
extern void ewh_transfer_result(EwhTransfer *transfer, CURLcode code);
extern void ewh_transfer_free(EwhTransfer *transfer);

#endif							/* EWH_TRANSFER_H */
