/*
 * normalise.h: a body and a mapping in, canonical events out.
 */
#ifndef EWH_NORMALISE_H
#define EWH_NORMALISE_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/timestamp.h"

#include "mapping.h"
#include "request.h"

/* One canonical event. Text members are NULL where the body does not say; amounts are canonical decimal text. */
typedef struct EwhEvent
{
	char	   *external_id;
	char	   *type;
	char	   *kind;
	char	   *state;			/* applied | no_effect | quarantined | waiting */
	char	   *reason;			/* of quarantined and waiting */
	char	   *object_ref;
	char	   *payment_ref;
	char	   *account_ref;
	char	   *subscription_ref;
	List	   *correlation;	/* of char * */
	List	   *correlation_amounts;	/* of char *, as long as correlation, or NIL */
	char	   *amount;
	char	   *currency;
	char	   *fee;
	char	   *fee_currency;
	char	   *to_amount;
	char	   *to_currency;
	bool		has_occurred_at;
	TimestampTz occurred_at;
	char	   *value_date;		/* YYYY-MM-DD */
	char	   *attempt;		/* of a subscription failure: invoice:attempt */
	char	   *payout_ref;
	char	   *bank_ref;
	char	   *end_to_end_id;
	char		digest[32];		/* sha256 of the canonical content, external_id left out */
} EwhEvent;

/*
 * The events of a body in its order. Never raises for content: what cannot be read at all is one quarantined event of
 * kind `other` whose external_id is sha256:<hex of the body>.
 */
extern List *ewh_normalise(const EwhMapping *mapping, const EwhRequest *req, EwhBytes content, const char *trust);

#endif							/* EWH_NORMALISE_H */
