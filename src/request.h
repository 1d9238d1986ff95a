/*
 * request.h: one HTTP request as every wing sees it: untouched bytes, headers with lower-case names, the source's settings.
 */
#ifndef EWH_REQUEST_H
#define EWH_REQUEST_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "bytes.h"

typedef struct EwhHeader
{
	EwhBytes	name;			/* lower case */
	EwhBytes	value;			/* of a repeated header: the first */
	bool		repeated;		/* given more than once: whoever reads it refuses */
} EwhHeader;

typedef struct EwhRequest
{
	EwhBytes	method;
	EwhBytes	url;
	EwhBytes	body;
	EwhHeader  *headers;
	int			nheaders;
	Jsonb	   *settings;		/* of the source; may be NULL */
} EwhRequest;

extern bool ewh_request_headers(Jsonb *headers, EwhRequest *req);
extern const EwhHeader *ewh_request_header(const EwhRequest *req, const char *lower_name);
extern char *ewh_setting(const EwhRequest *req, const char *key);

#endif							/* EWH_REQUEST_H */
