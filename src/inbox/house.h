/*
 * house.h: what a company's policies say about plain payments.
 */
#ifndef EWH_HOUSE_H
#define EWH_HOUSE_H

#include "postgres.h"

#include "utils/date.h"

typedef struct EwhHouse
{
	int32		company_id;
	Datum		row;			/* erp_webhook.house */
	bool		has_tolerance;
	Datum		tolerance;		/* numeric */
	Datum		time_zone;		/* text */
	int			time_zones;		/* how many the company has lived in; 0: the default one */
	DateADT		first_open_day; /* what happened before is booked on it */
	bool		has_rules;
	Datum		sources;		/* int[] */
	Datum		clearing;		/* text[]: the clearing account of each */
} EwhHouse;

extern EwhHouse ewh_house_of(int32 company_id);

/* The clearing account of a source, as text; false where the company has no such source. */
extern bool ewh_house_clearing(const EwhHouse *house, int32 source_id, Datum *account);

#endif							/* EWH_HOUSE_H */
