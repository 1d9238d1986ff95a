/*
 * decimal.h: amounts of money as text, under one strict grammar; no float and no bare numeric ever sees them.
 */
#ifndef EWH_DECIMAL_H
#define EWH_DECIMAL_H

#include "postgres.h"

#include "bytes.h"

#define EWH_MAX_INTEGER_DIGITS 20

/* Reasons of quarantine, as the reports name them. */
#define EWH_NOT_A_DECIMAL "not_a_decimal"
#define EWH_TOO_MANY_DECIMALS "too_many_decimals"
#define EWH_TOO_MANY_DIGITS "too_many_digits"

extern const char *ewh_decimal(EwhBytes text, int shift, int digits, char **out);
extern char *ewh_decimal_negate(const char *decimal);
extern char *ewh_decimal_add(const char *a, const char *b);
extern bool ewh_decimal_is_zero(const char *decimal);
extern int	ewh_currency_digits(const char *currency);

#endif							/* EWH_DECIMAL_H */
