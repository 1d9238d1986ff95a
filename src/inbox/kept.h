/*
 * kept.h: which headers are kept with a body.
 */
#ifndef EWH_KEPT_H
#define EWH_KEPT_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "request.h"

extern List *ewh_kept_headers(Jsonb *scheme, Jsonb *response, Jsonb *reading, Jsonb *events);
extern char *ewh_kept_text(List *names, const EwhRequest *req);

#endif							/* EWH_KEPT_H */
