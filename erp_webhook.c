/*
 * erp_webhook.c: the front door: magic block, settings, start-up. No logic.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

#include "compat.h"
#include "outside/launcher.h"
#include "settings.h"
#include "stats.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

TimestampTz ewh_setting_clock = 0;
int			ewh_setting_keep_deliveries = 0;
char	   *ewh_setting_key_command = NULL;
char	   *ewh_setting_key_file = NULL;
int			ewh_setting_max_batch = 0;
int			ewh_setting_max_body = 0;

static char *clock_text = NULL;
static bool settling = false;	/* asked by triggers of the books alone */

/* Accept a point in time, or nothing; a check hook must not raise. */
static bool
check_clock(char **value, void **extra, GucSource source)
{
	TimestampTz at = 0;

	if (**value != '\0' && !ewh_read_datetime(*value, &at))
		return false;
	*extra = ewh_guc_extra(sizeof(TimestampTz));
	if (*extra == NULL)
		return false;
	*(TimestampTz *) *extra = at;
	return true;
}

static void
assign_clock(const char *value, void *extra)
{
	ewh_setting_clock = *(TimestampTz *) extra;
}

static void
define_settings(void)
{
	DefineCustomStringVariable("erp_webhook.clock",
							   "The time ingest() takes for now, for tests; empty: the server's clock.", NULL,
							   &clock_text, "", PGC_SUSET, 0, check_clock, assign_clock, NULL);
	DefineCustomIntVariable("erp_webhook.keep_deliveries",
							"Months that received bodies are kept; 0: for ever. Events are kept in any case.", NULL,
							&ewh_setting_keep_deliveries, 0, 0, 1200, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("erp_webhook.key_command",
							   "Command that prints the key secrets are sealed with; it goes before key_file.", NULL,
							   &ewh_setting_key_command, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);
	DefineCustomStringVariable("erp_webhook.key_file",
							   "File that holds the key secrets are sealed with; empty: one of our own in the data directory.", NULL,
							   &ewh_setting_key_file, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);
	DefineCustomIntVariable("erp_webhook.max_batch",
							"Most requests one ingest_batch() takes.", NULL,
							&ewh_setting_max_batch, 4096, 1, 65536, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("erp_webhook.max_body",
							"Largest body ingest takes; a larger one is answered 413.", NULL,
							&ewh_setting_max_body, 4096, 1, 1024 * 256, PGC_SUSET, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomBoolVariable("erp_webhook.settling",
							 "On while settlement writes what it derives: set by its functions, for nobody else.", NULL,
							 &settling, false, PGC_USERSET, GUC_NO_SHOW_ALL | GUC_NO_RESET_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE,
							 NULL, NULL, NULL);
}

/* Called when the library is loaded. */
void
_PG_init(void)
{
	define_settings();
	ewh_launcher_init();
	MarkGUCPrefixReserved("erp_webhook");
	ewh_stats_init();
}
