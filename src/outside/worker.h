/*
 * worker.h: the background worker of one database.
 */
#ifndef EWH_WORKER_H
#define EWH_WORKER_H

#include "postgres.h"

extern PGDLLEXPORT void erp_webhook_worker_main(Datum unused);
extern void ewh_worker_settings(void);
extern const char *ewh_worker_role(void);

#endif							/* EWH_WORKER_H */
