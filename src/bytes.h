/*
 * bytes.h: a range of bytes; depends on nothing of ours.
 */
#ifndef EWH_BYTES_H
#define EWH_BYTES_H

#include <stddef.h>

typedef struct EwhBytes
{
	const char *data;			/* not owned; may hold NULs */
	size_t		len;
} EwhBytes;

#endif							/* EWH_BYTES_H */
