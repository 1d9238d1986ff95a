/*
 * fuzz.h: what every target uses: memory that goes with the input, and a check that ends the program.
 */
#ifndef EWH_FUZZ_H
#define EWH_FUZZ_H

#include "postgres.h"

#include "bytes.h"

/* Unlike Assert, never compiled out. */
#define must(condition) \
	do { \
		if (!(condition)) \
		{ \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

extern void fuzz_forget(void);	/* frees everything palloc'd since the last call */
extern int	LLVMFuzzerTestOneInput(const uint8 *data, size_t size);

#endif							/* EWH_FUZZ_H */
