/*
 * payment.c: the rows of payments that each pay one invoice: object, voucher with its entries, allocation.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "append.h"
#include "inbox/payment.h"
#include "voucher.h"

/* The columns of each table, in its order. */
#define OBJECT_COLUMNS(C) \
	C(company_id) C(source_id) C(object) C(object_ref) C(denomination) C(payment_ref) C(currency) C(amount) \
	C(succeeded_at) C(effective) C(decided_by) C(reversal) C(contradicted) C(debit_side) C(fee) C(fee_currency) C(fee_by) \
	C(to_amount) C(to_currency) C(value_date) C(payout_ref) C(bank_ref) C(end_to_end_id) C(refs) C(ref_amounts) \
	C(account_ref) C(subscription_ref) C(facts)
#define VOUCHER_COLUMNS(C) \
	C(company_id) C(voucher_id) C(source_id) C(object) C(object_ref) C(step) C(event_id) C(booked_on) C(occurred_on) \
	C(amount) C(currency) C(posted_at) C(digest)
#define ENTRY_COLUMNS(C) C(company_id) C(voucher_id) C(entry_no) C(debit) C(credit) C(amount) C(currency)
#define ALLOCATION_COLUMNS(C) C(company_id) C(invoice_id) C(source_id) C(object) C(object_ref) C(amount)

#define NAME(column) #column,
#define OBJECT(column) OBJECT_##column,
#define VOUCHER(column) VOUCHER_##column,
#define ENTRY(column) ENTRY_##column,
#define ALLOCATION(column) ALLOCATION_##column,

enum {OBJECT_COLUMNS(OBJECT) OBJECT_N};
enum {VOUCHER_COLUMNS(VOUCHER) VOUCHER_N};
enum {ENTRY_COLUMNS(ENTRY) ENTRY_N};
enum {ALLOCATION_COLUMNS(ALLOCATION) ALLOCATION_N};

static const char *const object_columns[] = {OBJECT_COLUMNS(NAME)};
static const char *const voucher_columns[] = {VOUCHER_COLUMNS(NAME)};
static const char *const entry_columns[] = {ENTRY_COLUMNS(NAME)};
static const char *const allocation_columns[] = {ALLOCATION_COLUMNS(NAME)};

typedef struct Row
{
	Datum		values[OBJECT_N];
	bool		nulls[OBJECT_N];
} Row;

static Row
empty_row(void)
{
	Row			row;

	memset(row.nulls, true, sizeof(row.nulls));
	return row;
}

static void
put(Row *row, int column, Datum value)
{
	row->values[column] = value;
	row->nulls[column] = false;
}

static void
put_text(Row *row, int column, const char *value)
{
	put(row, column, CStringGetTextDatum(value));
}

/* As the event has it, or null. */
static void
put_said(Row *row, int column, const EwhPayment *p, EwhColumn said)
{
	row->values[column] = p->said[said];
	row->nulls[column] = p->absent[said];
}

static void
add_object(EwhRows *objects, const EwhPayment *p)
{
	Row			row = empty_row();
	Datum		fact = p->said[EWH_EVENT_ID];

	put_said(&row, OBJECT_company_id, p, EWH_COMPANY_ID);
	put_said(&row, OBJECT_source_id, p, EWH_SOURCE_ID);
	put_text(&row, OBJECT_object, "payment");
	put_said(&row, OBJECT_object_ref, p, EWH_OBJECT_REF);
	put_text(&row, OBJECT_denomination, "");
	put_said(&row, OBJECT_payment_ref, p, EWH_OBJECT_REF);
	put_said(&row, OBJECT_currency, p, EWH_CURRENCY);
	put_said(&row, OBJECT_amount, p, EWH_AMOUNT);
	put(&row, OBJECT_succeeded_at, p->moment);
	put(&row, OBJECT_effective, BoolGetDatum(true));
	put_said(&row, OBJECT_decided_by, p, EWH_EVENT_ID);
	put(&row, OBJECT_reversal, BoolGetDatum(false));
	put(&row, OBJECT_contradicted, BoolGetDatum(false));
	put(&row, OBJECT_debit_side, BoolGetDatum(false));
	if (!p->absent[EWH_FEE])
	{
		put_said(&row, OBJECT_fee, p, EWH_FEE);
		put(&row, OBJECT_fee_currency, p->fee_currency);
		put_said(&row, OBJECT_fee_by, p, EWH_EVENT_ID);
	}
	put_said(&row, OBJECT_value_date, p, EWH_VALUE_DATE);
	put_said(&row, OBJECT_payout_ref, p, EWH_PAYOUT_REF);
	put_said(&row, OBJECT_bank_ref, p, EWH_BANK_REF);
	put_said(&row, OBJECT_end_to_end_id, p, EWH_END_TO_END_ID);
	put_said(&row, OBJECT_refs, p, EWH_CORRELATION);
	put_said(&row, OBJECT_account_ref, p, EWH_ACCOUNT_REF);
	put(&row, OBJECT_facts, PointerGetDatum(construct_array(&fact, 1, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)));
	ewh_rows_add(objects, row.values, row.nulls);
}

/* An entry, as a row and as the digest of its voucher sees it. */
static void
add_entry(EwhRows *entries, const EwhPayment *p, int no, Datum debit, Datum credit, Datum amount, Datum currency,
		  StringInfo text)
{
	Row			row = empty_row();

	put_said(&row, ENTRY_company_id, p, EWH_COMPANY_ID);
	put(&row, ENTRY_voucher_id, p->voucher_id);
	put(&row, ENTRY_entry_no, Int32GetDatum(no));
	put(&row, ENTRY_debit, debit);
	put(&row, ENTRY_credit, credit);
	put(&row, ENTRY_amount, amount);
	put(&row, ENTRY_currency, currency);
	ewh_rows_add(entries, row.values, row.nulls);
	ewh_add_entry_text(text, debit, credit, amount, currency);
}

/* The clearing account has what was receivable, less the provider's fee. Returns what the digest sees, as text. */
static Datum
add_entries(EwhRows *entries, const EwhPayment *p)
{
	StringInfoData text;

	initStringInfo(&text);
	add_entry(entries, p, 1, p->clearing, CStringGetTextDatum("receivable"), p->said[EWH_AMOUNT], p->said[EWH_CURRENCY], &text);
	if (p->has_fee)
		add_entry(entries, p, 2, CStringGetTextDatum("fees"), p->clearing, p->said[EWH_FEE], p->fee_currency, &text);
	return PointerGetDatum(cstring_to_text_with_len(text.data, text.len));
}

static void
add_voucher(EwhRows *vouchers, const EwhPayment *p, Datum entries)
{
	Row			row = empty_row();

	put_said(&row, VOUCHER_company_id, p, EWH_COMPANY_ID);
	put(&row, VOUCHER_voucher_id, p->voucher_id);
	put_said(&row, VOUCHER_source_id, p, EWH_SOURCE_ID);
	put_text(&row, VOUCHER_object, "payment");
	put_said(&row, VOUCHER_object_ref, p, EWH_OBJECT_REF);
	put(&row, VOUCHER_step, Int32GetDatum(1));
	put_said(&row, VOUCHER_event_id, p, EWH_EVENT_ID);
	put(&row, VOUCHER_booked_on, p->booked_on);
	put(&row, VOUCHER_occurred_on, p->day);
	put_said(&row, VOUCHER_amount, p, EWH_AMOUNT);
	put_said(&row, VOUCHER_currency, p, EWH_CURRENCY);
	put(&row, VOUCHER_posted_at, TimestampTzGetDatum(GetCurrentTransactionStartTimestamp()));
	put(&row, VOUCHER_digest, DirectFunctionCall9(erp_webhook_voucher_digest,
		row.values[VOUCHER_company_id], row.values[VOUCHER_source_id], row.values[VOUCHER_object],
		row.values[VOUCHER_object_ref], row.values[VOUCHER_step], row.values[VOUCHER_event_id],
		row.values[VOUCHER_booked_on], row.values[VOUCHER_occurred_on], entries));
	ewh_rows_add(vouchers, row.values, row.nulls);
}

static void
add_allocation(EwhRows *allocations, const EwhPayment *p)
{
	Row			row = empty_row();

	put_said(&row, ALLOCATION_company_id, p, EWH_COMPANY_ID);
	put(&row, ALLOCATION_invoice_id, Int64GetDatum(p->invoice_id));
	put_said(&row, ALLOCATION_source_id, p, EWH_SOURCE_ID);
	put_text(&row, ALLOCATION_object, "payment");
	put_said(&row, ALLOCATION_object_ref, p, EWH_OBJECT_REF);
	put_said(&row, ALLOCATION_amount, p, EWH_AMOUNT);
	ewh_rows_add(allocations, row.values, row.nulls);
}

void
ewh_post_payments(EwhPayment *payments, int n)
{
	Oid			sequence = get_relname_relid("voucher_voucher_id_seq", get_namespace_oid("erp_webhook", false));
	EwhRows		objects = ewh_rows_begin(EWH_TABLE_MONEY_OBJECT, object_columns, OBJECT_N, n);
	EwhRows		vouchers = ewh_rows_begin(EWH_TABLE_VOUCHER, voucher_columns, VOUCHER_N, n);
	EwhRows		entries = ewh_rows_begin(EWH_TABLE_ENTRY, entry_columns, ENTRY_N, 2 * n);
	EwhRows		allocations = ewh_rows_begin(EWH_TABLE_ALLOCATION, allocation_columns, ALLOCATION_N, n);

	for (int i = 0; i < n; i++)
	{
		EwhPayment *p = &payments[i];

		p->voucher_id = Int64GetDatum(nextval_internal(sequence, false));
		add_object(&objects, p);
		add_voucher(&vouchers, p, add_entries(&entries, p));
		add_allocation(&allocations, p);
	}
	ewh_rows_insert(&objects);
	ewh_rows_insert(&vouchers);
	ewh_rows_insert(&entries);
	ewh_rows_insert(&allocations);
}
