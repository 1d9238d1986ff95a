/*
 * Connections to PostgreSQL.
 */
#ifndef EWH_DATABASE_H
#define EWH_DATABASE_H

#include <event2/event.h>
#include <stdbool.h>

void ewh_database_start(struct event_base *base);
void ewh_database_stop(void);

/* There may be something in the queue. */
void ewh_database_wake(void);

/* At least one connection can take batches. */
bool ewh_database_ready(void);

/* Ready, or away for so short a time that waiting for it makes sense. */
bool ewh_database_expected(void);

#endif
