/* Weak stand-ins until the readers are in: without them the library would not load. */
#include "postgres.h"

#include "common/cryptohash.h"
#include "common/sha2.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "proof/verify.h"
#include "reading/normalise.h"

#define WEAK __attribute__((weak))

WEAK EwhMapping *ewh_mapping_compile(Jsonb *reading, Jsonb *events) { return palloc0(1); }
static char *field(Jsonb *j, const char *k)
{ JsonbValue b, *v = getKeyJsonValueFromContainer(&j->root, k, strlen(k), &b);
  return v && v->type == jbvString ? pnstrdup(v->val.string.val, v->val.string.len) : NULL; }
WEAK List *ewh_normalise(const EwhMapping *m, const EwhRequest *req, EwhBytes content, const char *trust)
{
	Jsonb *j = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(pnstrdup(content.data, content.len))));
	EwhEvent *e = palloc0(sizeof(*e));
	pg_cryptohash_ctx *c = pg_cryptohash_create(PG_SHA256);
	const EwhHeader *h = ewh_request_header(req, "webhook-id");
	JsonbValue b, *v = getKeyJsonValueFromContainer(&j->root, "data", 4, &b);
	e->external_id = h ? pnstrdup(h->value.data, h->value.len) : "none"; e->kind = e->type = field(j, "type"); 
	e->state = strcmp(trust, "confirm") == 0 ? "waiting" : strncmp(e->type, "tea", 3) ? "applied" : "no_effect";
	if (v && v->type == jbvBinary) { j = JsonbValueToJsonb(v); e->amount = field(j, "amount"); e->currency = field(j, "currency"); e->payment_ref = e->object_ref = field(j, "id"); }
	pg_cryptohash_init(c); pg_cryptohash_update(c, (const uint8 *) content.data, content.len); pg_cryptohash_final(c, (uint8 *) e->digest, 32); pg_cryptohash_free(c);
	return list_make1(e);
}
