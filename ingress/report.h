/*
 * The report page, as the database makes it.
 */
#ifndef EWH_REPORT_H
#define EWH_REPORT_H

#include "connection.h"

void ewh_report_start(struct event_base *base);

/* GET /report?company=…&from=YYYY-MM-DD&to=YYYY-MM-DD */
void ewh_report_answer(EwhConnection *connection, const EwhTarget *target);

#endif
