/*
 * launcher.h: starts a worker in each database of erp_webhook.databases.
 */
#ifndef EWH_LAUNCHER_H
#define EWH_LAUNCHER_H

#include "postgres.h"

extern PGDLLEXPORT void erp_webhook_launcher_main(Datum unused);
extern void ewh_launcher_init(void);

#endif							/* EWH_LAUNCHER_H */
