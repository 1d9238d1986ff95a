/*
 * token.h: the parts of a template: literal text, what a {token} stands for, a [group].
 */
#ifndef EWH_TOKEN_H
#define EWH_TOKEN_H

#include "postgres.h"

#include "proof/template.h"

typedef struct EwhPart EwhPart;

/* Append to the message what the part stands for. */
typedef const char *(*EwhRender) (const EwhPart *part, EwhView *view, EwhMessage *message);

typedef enum EwhFilter
{
	EWH_NO_FILTER, EWH_FILTER_SHA256HEX, EWH_FILTER_B64, EWH_FILTER_HMAC
} EwhFilter;

struct EwhPart
{
	EwhRender	render;
	EwhBytes	literal;		/* of text; the argument of a token */
	EwhPlace   *place;
	EwhTemplate *group;
	EwhFilter	filter;
	bool		optional;
	bool		variant;		/* the second of two tokens that share a function */
};

extern EwhPart ewh_token_compile(char *token, const char *signed_headers, const char *row_name);
extern bool ewh_token_reads_url(const EwhPart *part);
extern bool ewh_token_reads_secret(const EwhPart *part);
extern bool ewh_token_reads_header_list(const EwhPart *part);

#endif							/* EWH_TOKEN_H */
