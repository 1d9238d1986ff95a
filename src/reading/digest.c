/*
 * digest.c: names for bytes and for what an event says.
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "common/sha2.h"

#include "fact.h"

static pg_cryptohash_ctx *
begin_hash(void)
{
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);

	if (hash == NULL || pg_cryptohash_init(hash) < 0)
		elog(ERROR, "could not begin a sha256");
	return hash;
}

static void
add_bytes(pg_cryptohash_ctx *hash, const void *data, size_t len)
{
	if (pg_cryptohash_update(hash, data, len) < 0)
		elog(ERROR, "could not compute a sha256");
}

static void
end_hash(pg_cryptohash_ctx *hash, void *digest)
{
	if (pg_cryptohash_final(hash, digest, PG_SHA256_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not finish a sha256");
	pg_cryptohash_free(hash);
}

/* sha256:<hex>, the id of what has none. */
char *
ewh_hash_name(EwhBytes bytes)
{
	unsigned char digest[PG_SHA256_DIGEST_LENGTH];
	pg_cryptohash_ctx *hash = begin_hash();
	char	   *name = palloc(7 + 2 * sizeof(digest) + 1);

	add_bytes(hash, bytes.data, bytes.len);
	end_hash(hash, digest);
	strcpy(name, "sha256:");
	ewh_hex_encode(digest, sizeof(digest), name + 7);
	name[7 + 2 * sizeof(digest)] = '\0';
	return name;
}

/* Each text goes in with its length before it, NULL as -1, so that no two events have one spelling. */
static void
add_text(pg_cryptohash_ctx *hash, const char *text)
{
	int32		len = text ? (int32) strlen(text) : -1;

	add_bytes(hash, &len, sizeof(len));
	if (text)
		add_bytes(hash, text, len);
}

static void
add_list(pg_cryptohash_ctx *hash, const List *texts)
{
	int32		count = list_length(texts);
	ListCell   *lc;

	add_bytes(hash, &count, sizeof(count));
	foreach(lc, texts)
		add_text(hash, lfirst(lc));
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
	pg_cryptohash_ctx *hash = begin_hash();
	int64		at = e->has_occurred_at ? e->occurred_at : PG_INT64_MIN;

	for (int i = 0; i < lengthof(texts); i++)
		add_text(hash, texts[i]);
	add_list(hash, e->correlation);
	add_list(hash, e->correlation_amounts);
	add_bytes(hash, &at, sizeof(at));
	end_hash(hash, e->digest);
}
