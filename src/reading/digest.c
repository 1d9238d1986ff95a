/*
 * digest.c: names for bytes and for what an event says.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "fact.h"
#include "sha256.h"

/* sha256:<hex>, the id of what has none. */
char *
ewh_hash_name(EwhBytes bytes)
{
	unsigned char digest[EWH_SHA256_LEN];
	char	   *name = palloc(7 + 2 * sizeof(digest) + 1);

	ewh_sha256(bytes.data, bytes.len, digest);
	strcpy(name, "sha256:");
	ewh_hex_encode(digest, sizeof(digest), name + 7);
	name[7 + 2 * sizeof(digest)] = '\0';
	return name;
}

/* Each text goes in with its length before it, NULL as -1, so that no two events have one spelling. */
static void
add_text(StringInfo said, const char *text)
{
	int32		len = text ? (int32) strlen(text) : -1;

	appendBinaryStringInfo(said, (char *) &len, sizeof(len));
	if (text)
		appendBinaryStringInfo(said, text, len);
}

static void
add_list(StringInfo said, const List *texts)
{
	int32		count = list_length(texts);
	ListCell   *lc;

	appendBinaryStringInfo(said, (char *) &count, sizeof(count));
	foreach(lc, texts)
		add_text(said, lfirst(lc));
}

/* Set the event's digest: equal for equal content, whatever the external_id. */
void
ewh_fact_digest(EwhEvent *e)
{
	const char *const texts[] = {
		e->type, e->kind, e->object_ref, e->payment_ref, e->account_ref, e->subscription_ref, e->amount, e->currency,
		e->fee, e->fee_currency, e->to_amount, e->to_currency, e->value_date, e->attempt, e->payout_ref, e->bank_ref,
		e->end_to_end_id,
	};
	StringInfoData said;
	int64		at = e->has_occurred_at ? e->occurred_at : PG_INT64_MIN;

	initStringInfo(&said);
	for (int i = 0; i < lengthof(texts); i++)
		add_text(&said, texts[i]);
	add_list(&said, e->correlation);
	add_list(&said, e->correlation_amounts);
	appendBinaryStringInfo(&said, (char *) &at, sizeof(at));
	ewh_sha256(said.data, said.len, e->digest);
	pfree(said.data);
}
