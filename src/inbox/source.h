/*
 * source.h: a source as one backend knows it: its configuration compiled, its secrets opened.
 *
 * What lookup returns stays valid until the end of the transaction, even if the configuration changes meanwhile.
 */
#ifndef EWH_SOURCE_H
#define EWH_SOURCE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "proof/verify.h"
#include "reading/mapping.h"

typedef struct EwhSource
{
	const char *name;
	bool		known;			/* false: the dummy that stands for every unknown name */
	bool		active;
	const char *broken;			/* what is wrong with its configuration; then nothing below `settings` is there */
	TimestampTz look_again;		/* a broken one: when to see whether it was mended */
	int32		company_id;
	int32		source_id;
	const char *provider;
	const char *trust;			/* full | confirm */
	bool		bound;			/* its company's invoices are an ERP's */
	bool		fetches_keys;	/* the worker may fetch a key that is not there */
	Jsonb	   *settings;
	EwhScheme  *scheme;
	EwhAnswer  *answer;
	EwhMapping *mapping;
	EwhSecret  *secrets;		/* of every purpose and validity: sifted at use */
	int			nsecrets;
	List	   *kept_headers;	/* of char *, lower case: what proof and reading look at, kept with the body */
	Oid			admitted;		/* the role last found to be an admin of it */
	MemoryContext context;		/* all of the above */
} EwhSource;

/* Never NULL: an unknown name gives the dummy, a broken configuration says so in `broken`. */
extern EwhSource *ewh_source_lookup(const char *name);

extern uint64 ewh_configuration_generation(void);

extern void ewh_source_verify(EwhSource *source, const EwhRequest *request, TimestampTz at, EwhVerdict *verdict);

/* For verify(), sign() and the like: raises unless the role that asks is an admin of the source's company. */
extern void ewh_source_check_access(EwhSource *source);

#endif							/* EWH_SOURCE_H */
