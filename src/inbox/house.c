/*
 * house.c: what a company's policies say about plain payments, and whether it has rules of its own, kept per backend.
 *
 * The one fact to know: these are four tables that seldom change. As queries of every lone payment they took a tenth of it,
 * not least because a transaction has sixteen places for locks of its own and takes all others from the shared table.
 * They are read again after any change of configuration, as sources are; set_policy() also waits for whoever settles by
 * the old policies (70_policy).
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "inbox/batch.h"
#include "inbox/house.h"
#include "statement.h"

#define MAX_KEPT 1000			/* a backend that meets more companies begins anew */

typedef struct House
{
	int32		company_id;
	Datum		row;			/* erp_webhook.house */
} House;

static MemoryContext kept_context = NULL;
static HTAB *houses = NULL;
static uint64 kept_for = 0;		/* the generation of the configuration they were read from */

/* Forget all that is kept unless it is of this generation. */
static void
keep_only(uint64 generation)
{
	HASHCTL		info = {.keysize = sizeof(int32), .entrysize = sizeof(House)};

	if (houses && kept_for == generation && hash_get_num_entries(houses) < MAX_KEPT)
		return;
	if (kept_context)
		MemoryContextDelete(kept_context);
	houses = NULL;
	kept_context = AllocSetContextCreate(TopMemoryContext, "erp_webhook houses", ALLOCSET_SMALL_SIZES);
	info.hcxt = kept_context;
	houses = hash_create("erp_webhook houses", 16, &info, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	kept_for = generation;
}

static void
take_house(HeapTuple row, TupleDesc desc, void *arg)
{
	bool		isnull;

	*(Datum *) arg = ewh_row_datum(row, desc, 1, &isnull);
}

/* Keep a copy that is whole before the table knows of it. */
static void
keep(int32 company_id, Datum row)
{
	MemoryContext caller = MemoryContextSwitchTo(kept_context);
	Datum		copy = datumCopy(row, false, -1);
	House	   *house = hash_search(houses, &company_id, HASH_ENTER, NULL);

	house->row = copy;
	MemoryContextSwitchTo(caller);
}

/* read_house(), as committed now; valid until the end of the transaction. */
static Datum
row_of(int32 company_id)
{
	Datum		asked = Int32GetDatum(company_id);

	for (;;)
	{
		uint64		generation = ewh_configuration_generation();
		House	   *house;
		Datum		row = (Datum) 0;

		keep_only(generation);
		house = hash_search(houses, &company_id, HASH_FIND, NULL);
		if (house)
			return datumCopy(house->row, false, -1);
		ewh_statement_run(EWH_READ_HOUSE, &asked, NULL, take_house, &row);
		if (generation != ewh_configuration_generation())
			continue;			/* something changed while it was read */
		keep(company_id, row);
		return row;
	}
}

PG_FUNCTION_INFO_V1(erp_webhook_house_of);
/* house_of(company_id int) RETURNS house */
Datum
erp_webhook_house_of(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(row_of(PG_GETARG_INT32(0)));
}

/* The columns of erp_webhook.house. */
enum {CURRENCY, DIGITS, TOLERANCE, TIME_ZONE, TIME_ZONES, CLOSED_UNTIL, HAS_RULES, SOURCES, CLEARING, COLUMNS};

EwhHouse
ewh_house_of(int32 company_id)
{
	EwhHouse	house = {.company_id = company_id, .row = row_of(company_id)};
	Datum		values[COLUMNS];
	bool		nulls[COLUMNS];

	ewh_take_composite(house.row, values, nulls, COLUMNS);
	house.has_tolerance = !nulls[TOLERANCE];
	house.tolerance = values[TOLERANCE];
	house.time_zone = values[TIME_ZONE];
	house.time_zones = nulls[TIME_ZONES] ? 0 : DatumGetInt32(values[TIME_ZONES]);
	house.first_open_day = DatumGetDateADT(DirectFunctionCall2(date_pli, values[CLOSED_UNTIL], Int32GetDatum(1)));
	house.has_rules = DatumGetBool(values[HAS_RULES]);
	if (!nulls[SOURCES])
	{
		house.sources = values[SOURCES];
		house.clearing = values[CLEARING];
	}
	return house;
}

bool
ewh_house_clearing(const EwhHouse *house, int32 source_id, Datum *account)
{
	Datum	   *ids;
	Datum	   *accounts;
	int			n = 0;

	if (house->sources)
	{
		deconstruct_array(DatumGetArrayTypeP(house->sources), INT4OID, sizeof(int32), true, TYPALIGN_INT, &ids, NULL, &n);
		deconstruct_array(DatumGetArrayTypeP(house->clearing), TEXTOID, -1, false, TYPALIGN_INT, &accounts, NULL, &n);
	}
	for (int i = 0; i < n; i++)
		if (DatumGetInt32(ids[i]) == source_id)
		{
			*account = accounts[i];
			return true;
		}
	return false;
}
