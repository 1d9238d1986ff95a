/*
 * payment.h: payments that each pay one invoice, between plain.c, which finds them, and payment.c, which posts them.
 */
#ifndef EWH_PAYMENT_H
#define EWH_PAYMENT_H

#include "postgres.h"

#include "inbox/batch.h"
#include "inbox/house.h"

/* An event that is a payment, and the invoice it pays. */
typedef struct EwhPayment
{
	Datum		said[EWH_COLUMNS];
	bool		absent[EWH_COLUMNS];
	text	   *number;			/* of the invoice */
	int64		invoice_id;
	Datum		voucher_id;
	Datum		moment;
	Datum		day;
	Datum		booked_on;
	Datum		clearing;
	Datum		fee_currency;	/* of one that says a fee */
	bool		has_fee;		/* above zero: it is booked */
} EwhPayment;

/* plain.c: false, and nothing done, where they may not all go the short path. */
extern bool ewh_settle_plain(const EwhHouse *house, const Datum *events, int n);

/* payment.c: write the object, voucher, entries and allocation of each, in the order given. */
extern void ewh_post_payments(EwhPayment *payments, int n);

#endif							/* EWH_PAYMENT_H */
