/*
 * The events of the bench: Stripe payments of 2 KB, each distinct, each for an invoice of its own, signed.
 */
#ifndef BENCH_EVENT_H
#define BENCH_EVENT_H

#include <stddef.h>
#include <time.h>

typedef struct Event
{
	char id[32], payment[32], invoice[24], signature[128];
	long cents;
	char body[3072];
	int len;
} Event;

/* Event number n pays invoice number n (modulo the invoices there are). */
void event_make(Event *event, long n, long invoices, const char *secret, time_t now);

#endif
