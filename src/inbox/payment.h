/*
 * payment.h: payments that each pay one invoice, between plain.c, which finds them, and payment.c, which posts them.
 */
#ifndef EWH_PAYMENT_H
#define EWH_PAYMENT_H

#include "postgres.h"

#include "inbox/batch.h"

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

/* Write the object, voucher, entries and allocation of each, in the order given. */
extern void ewh_post_payments(EwhPayment *payments, int n);

#endif							/* EWH_PAYMENT_H */
