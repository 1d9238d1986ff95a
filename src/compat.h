/*
 * compat.h: every difference between PostgreSQL 15 and 18 that this project meets.
 *
 * Nothing else in the project asks for PG_VERSION_NUM.
 */
#ifndef EWH_COMPAT_H
#define EWH_COMPAT_H

#include "postgres.h"

#endif							/* EWH_COMPAT_H */
