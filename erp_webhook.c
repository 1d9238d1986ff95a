/*
 * erp_webhook.c: the front door: magic block, settings, start-up. No logic.
 */
#include "postgres.h"

#include "fmgr.h"

PG_MODULE_MAGIC;
