/*
 * A batch as the parameters of ingest_batch(), in PostgreSQL's binary format.
 */
#ifndef EWH_WIRE_H
#define EWH_WIRE_H

#include "queue.h"

#define EWH_WIRE_PARAMETERS 5

extern const unsigned ewh_wire_types[EWH_WIRE_PARAMETERS]; /* oids: sources, headers, bodies, methods, urls */

typedef struct EwhWire
{
	char *values[EWH_WIRE_PARAMETERS];
	int lengths[EWH_WIRE_PARAMETERS];
} EwhWire;

bool ewh_wire_make(const EwhBatch *batch, EwhWire *wire);
void ewh_wire_free(EwhWire *wire);

#endif
