/*
 * stamp.h: timestamps as senders put them into what they sign.
 */
#ifndef EWH_STAMP_H
#define EWH_STAMP_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "bytes.h"

typedef enum EwhTimeUnit
{
	EWH_SECONDS,
	EWH_MILLISECONDS,
	EWH_SECONDS_OR_MILLISECONDS,	/* told apart by length: twelve digits and more are milliseconds */
	EWH_ISO8601
} EwhTimeUnit;

extern bool ewh_stamp_read(EwhTimeUnit unit, EwhBytes text, TimestampTz *moment);
extern char *ewh_stamp_write(EwhTimeUnit unit, TimestampTz moment);

#endif							/* EWH_STAMP_H */
