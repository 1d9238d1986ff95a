/*
 * settings.h: the configuration parameters, as erp_webhook.c defines them.
 */
#ifndef EWH_SETTINGS_H
#define EWH_SETTINGS_H

#include "postgres.h"

#include "utils/timestamp.h"

extern TimestampTz ewh_setting_clock;	/* 0: the server's own clock */
extern int	ewh_setting_keep_deliveries;	/* months; 0: for ever */
extern char *ewh_setting_key_command;
extern char *ewh_setting_key_file;
extern int	ewh_setting_max_batch;
extern int	ewh_setting_max_body;	/* kB */

#endif							/* EWH_SETTINGS_H */
