/*
 * mapping.h: a provider's declarative payload rule (docs/adding-a-provider.md), compiled once.
 */
#ifndef EWH_MAPPING_H
#define EWH_MAPPING_H

#include "postgres.h"

#include "utils/jsonb.h"

typedef struct EwhMapping EwhMapping;

extern EwhMapping *ewh_mapping_compile(Jsonb *reading, Jsonb *provider_events);

#endif							/* EWH_MAPPING_H */
