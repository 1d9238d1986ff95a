/*
 * batch.h: the requests of one call on their way through the inbox: arrival, judgement, facts.
 */
#ifndef EWH_BATCH_H
#define EWH_BATCH_H

#include "postgres.h"

#include "append.h"
#include "inbox/source.h"
#include "proof/verify.h"
#include "reading/normalise.h"

/* The columns of erp_webhook.event, in the order of the table; row.c checks that they are. */
typedef enum EwhColumn
{
	EWH_COMPANY_ID, EWH_EVENT_ID, EWH_SOURCE_ID, EWH_EXTERNAL_ID, EWH_TYPE, EWH_KIND, EWH_STATE, EWH_REASON,
	EWH_OCCURRED_AT, EWH_RECEIVED_AT, EWH_SIGNED_AT, EWH_DELIVERY_ID, EWH_OBJECT_REF, EWH_PAYMENT_REF,
	EWH_ACCOUNT_REF, EWH_SUBSCRIPTION_REF, EWH_CORRELATION, EWH_CORRELATION_AMOUNTS, EWH_AMOUNT, EWH_CURRENCY,
	EWH_FEE, EWH_FEE_CURRENCY, EWH_TO_AMOUNT, EWH_TO_CURRENCY, EWH_VALUE_DATE, EWH_ATTEMPT, EWH_PAYOUT_REF,
	EWH_BANK_REF, EWH_END_TO_END_ID, EWH_DIGEST, EWH_ORIGIN, EWH_ATTEMPTS, EWH_RETRY_AT, EWH_SQLSTATE, EWH_ERROR,
	EWH_COLUMNS
} EwhColumn;

/* One request as it was handed to us; what was NULL is NULL. */
typedef struct EwhArrival
{
	char	   *source;
	Jsonb	   *headers;
	bytea	   *body;
	char	   *method;
	char	   *url;
} EwhArrival;

/* One canonical event of a request, as a row to insert. */
typedef struct EwhFact
{
	Datum		values[EWH_COLUMNS];
	bool		nulls[EWH_COLUMNS];
	int32		company_id;
	int32		source_id;
	const char *external_id;
	size_t		external_id_len;
	int			request;		/* its place in the batch */
	int			position;		/* its place in the body */
	const char *state;
	const char *reason;			/* of failed: the SQLSTATE */
	int64		event_id;		/* 0 until it is stored or found */
	bool		fresh;			/* stored by this call */
	bool		conflicts;		/* a known id that says something else */
	bool		names_only;		/* a notice without content: what it names has to be fetched */
} EwhFact;

/* What became of one request. */
typedef struct EwhJudgement
{
	EwhSource  *source;			/* NULL where the request is malformed */
	const char *outcome;		/* of one that is kept: NULL until it is recorded */
	const char *reason;			/* why not, in a word; for stats and our log, never for the sender */
	EwhReply	reply;
	EwhReply	success;		/* of one that is rejected unless its key can be fetched */
	bool		awaits_key;
	int32		secret_id;		/* 0: none */
	bool		has_signed_at;
	TimestampTz signed_at;
	TimestampTz received_at;
	int64		delivery_id;
	const char *method;
	const char *url;
	const char *headers;		/* those kept, as JSON */
	bytea	   *body;
	bool		keep_body;		/* it brought something new */
	EwhFact    *facts;
	int			nfacts;
} EwhJudgement;

extern void ewh_judge(const EwhArrival *arrival, TimestampTz now, MemoryContext keep, EwhJudgement *out);
extern void ewh_record(EwhJudgement *judgements, int n, TimestampTz now);
extern void ewh_await_key(EwhJudgement *judgement);
extern void ewh_ask_again(EwhFact **facts, int n, TimestampTz at);

/* row.c: rows of ours, and arrays of them */
extern void ewh_fact_fill(EwhFact *fact, const EwhJudgement *judgement, const EwhEvent *event);
extern void ewh_fact_state(EwhFact *fact, const char *state, const char *reason);
extern void ewh_fact_failed(EwhFact *fact, const char *sqlstate, const char *message);
extern void ewh_fact_delivery(EwhFact *fact, int64 delivery_id);
extern void ewh_take_composite(Datum composite, Datum *values, bool *nulls, int n);
extern EwhRows ewh_event_rows(int max);
extern void ewh_add_event_row(EwhRows *rows, EwhFact *fact);
extern void ewh_insert_deliveries(EwhJudgement **judgements, int n);
extern Datum ewh_conflict_array(EwhFact **facts, int n, EwhJudgement *judgements);

#endif							/* EWH_BATCH_H */
