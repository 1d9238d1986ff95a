/*
 * One client's connection: bytes in, requests out to the queue, answers back.
 */
#ifndef EWH_CONNECTION_H
#define EWH_CONNECTION_H

#include <event2/event.h>
#include <openssl/ssl.h>

#include "request.h"

typedef struct EwhConnection EwhConnection;

/* What a listener serves. */
typedef struct EwhService
{
	/* Called with a whole head: answers, waits, or returns a request that wants its body. */
	EwhRequest *(*route)(EwhConnection *connection, const EwhHttpHead *head);
	uint64_t *statuses; /* counters of its answers by status, or NULL */
} EwhService;

extern const EwhService ewh_hooks_service, ewh_admin_service;

/* Serves a new client. tls: NULL for plain HTTP, else taken over. */
void ewh_connection_new(struct event_base *base, evutil_socket_t fd, SSL *tls, const EwhService *service);

/* Answers the request being served. Closes afterwards if close is set, or if the body was not read. */
void ewh_connection_answer(EwhConnection *connection, const EwhAnswer *answer, bool close);

/* A short answer by status alone. */
void ewh_connection_refuse(EwhConnection *connection, int status);

/* What a URL begins with as this client sees it ("https://host"); false if nobody said. */
bool ewh_connection_base_url(const EwhConnection *connection, const EwhHttpHead *head, char *url, size_t size);

/* The route answers later, from elsewhere; owner_gone tells it that the client has left. */
void ewh_connection_wait(EwhConnection *connection, void *owner, void (*owner_gone)(void *owner));

/* Every connection closes after the answer it waits for; idle ones soon. */
void ewh_connections_stop(void);

#endif
