/*
 * listening.c: what a trigger asks before it does anything: is a dump being restored, is settlement at work, does anybody
 * listen.
 *
 * In C, and the listeners kept per backend, because every ingest() asks: as a query in two PL/pgSQL triggers the last
 * question took a tenth of a lone one. The server reads a trigger's condition anew each time, so it is a short one.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"
#include "utils/rls.h"

#include "inbox/listening.h"
#include "inbox/source.h"
#include "statement.h"

/* pg_dump opens its script, and pg_restore its session, with these two settings; no ordinary session has both. */
bool
ewh_is_restoring(void)
{
	return !check_function_bodies && !row_security;
}

PG_FUNCTION_INFO_V1(erp_webhook_restoring);
/* restoring() RETURNS boolean */
Datum
erp_webhook_restoring(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(ewh_is_restoring());
}

bool		ewh_settling = false;

PG_FUNCTION_INFO_V1(erp_webhook_is_settling);
/* is_settling() RETURNS boolean */
Datum
erp_webhook_is_settling(PG_FUNCTION_ARGS)
{
	const char *settling = GetConfigOption("erp_webhook.settling", true, false);

	PG_RETURN_BOOL(ewh_settling || (settling && strcmp(settling, "on") == 0));
}

/* Is any subscriber of any company active, as committed now? */
static bool
has_listeners(void)
{
	static uint64 kept_for = 0;	/* the generation of the configuration it was read from */
	static bool kept;
	uint64		generation = ewh_configuration_generation();

	while (kept_for != generation)
	{
		kept = ewh_statement_run(EWH_FIND_LISTENER, NULL, NULL, NULL, NULL) > 0;
		kept_for = generation;
		generation = ewh_configuration_generation();	/* another one: something changed while it was read */
	}
	return kept;
}

PG_FUNCTION_INFO_V1(erp_webhook_somebody_listens);
/* somebody_listens() RETURNS boolean */
Datum
erp_webhook_somebody_listens(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!ewh_is_restoring() && has_listeners());
}
