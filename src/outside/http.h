/*
 * http.h: many HTTP exchanges at once, driven by the process's one wait. See http.c for what is refused.
 */
#ifndef EWH_HTTP_H
#define EWH_HTTP_H

#include "postgres.h"

#include "bytes.h"
#include "nodes/pg_list.h"

typedef struct EwhHttp EwhHttp;

/* One request and what came back. The caller owns it; it lives until ewh_http_free_exchange(). */
typedef struct EwhExchange
{
	/* asked */
	MemoryContext context;		/* holds everything of this exchange */
	const char *method;
	const char *url;
	List	   *headers;		/* of char *, "name: value" */
	EwhBytes	body;
	size_t		max_answer;		/* bytes; 0: the default */
	void	   *job;			/* the caller's own */

	/* answered */
	int			status;			/* HTTP status; 0: no answer, `error` says why */
	char	   *error;			/* NULL if an answer came; one that is there before the start is the outcome */
	EwhBytes	answer;
	int			retry_after;	/* seconds the peer asks us to wait; 0: it does not */
	int			ms;
	bool		finished;
	bool		taken;			/* handed out by ewh_http_next_finished() */

	struct EwhTransfer *transfer;	/* http.c's own */
} EwhExchange;

extern EwhHttp *ewh_http_open(int max_exchanges);
extern EwhExchange *ewh_http_exchange(const char *method, const char *url);
extern void ewh_http_start(EwhHttp *http, EwhExchange *exchange);
extern int	ewh_http_free_places(const EwhHttp *http);
extern int	ewh_http_under_way(const EwhHttp *http);
extern void ewh_http_wait(EwhHttp *http, long timeout_ms);
extern EwhExchange *ewh_http_next_finished(const EwhHttp *http);
extern void ewh_http_free_exchange(EwhExchange *exchange);

extern int	ewh_http_timeout_ms(void);
extern void ewh_transfer_settings(void);
extern const char *ewh_http_url_refused(const char *url);

#endif							/* EWH_HTTP_H */
