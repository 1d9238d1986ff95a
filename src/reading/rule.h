/*
 * rule.h: a compiled mapping; for mapping.c, which makes it, and the rooms that read events by it.
 */
#ifndef EWH_READING_RULE_H
#define EWH_READING_RULE_H

#include "postgres.h"

#include "utils/hsearch.h"

#include "condition.h"
#include "expression.h"
#include "mapping.h"

typedef enum EwhField
{
	EWH_F_EXTERNAL_ID, EWH_F_OBJECT_REF, EWH_F_PAYMENT_REF, EWH_F_ACCOUNT_REF, EWH_F_SUBSCRIPTION_REF,
	EWH_F_CORRELATION, EWH_F_CORRELATION_AMOUNTS, EWH_F_AMOUNT, EWH_F_CURRENCY, EWH_F_FEE, EWH_F_FEE_CURRENCY,
	EWH_F_TO_AMOUNT, EWH_F_TO_CURRENCY, EWH_F_OCCURRED_AT, EWH_F_VALUE_DATE, EWH_F_ATTEMPT, EWH_F_PAYOUT_REF,
	EWH_F_BANK_REF, EWH_F_END_TO_END_ID,
	EWH_FIELDS
} EwhField;

/* Which wire format a body, or what is wrapped in it, has. */
typedef enum EwhFormat
{
	EWH_JSON, EWH_FORM, EWH_QUERY, EWH_XML, EWH_JWT
} EwhFormat;

/* A document inside a member of the one around it. */
typedef struct EwhWrapper
{
	EwhPath    *at;
	bool		base64;
	EwhFormat	format;
} EwhWrapper;

typedef struct EwhRow
{
	int			ordinal;
	List	   *conditions;		/* of EwhCondition * */
	const char *kind;
	const char *fact;			/* rows of one fact compete; "" is the main one */
	EwhPath    *each;			/* the elements that are a fact each, or NULL */
	const char *state;			/* what the state is in any case, or NULL */
	EwhExpression *fields[EWH_FIELDS];
	bool		inherited[EWH_FIELDS];	/* from the mapping: speaks of the item, not of an element */
} EwhRow;

/* The rows that may hold for one type, in their order. */
typedef struct EwhTypeRows
{
	char		type[NAMEDATALEN * 2];	/* hash key */
	List	   *rows;			/* of EwhRow * */
} EwhTypeRows;

typedef struct EwhExponent
{
	char		currency[12];
	int			places;
} EwhExponent;

struct EwhMapping
{
	EwhFormat	format;
	List	   *wrappers;		/* of EwhWrapper *, outermost first */
	List	   *each;			/* of EwhPath *: alternatives; NIL: the content is one event */
	EwhExpression *type;
	EwhExpression *fields[EWH_FIELDS];	/* of events that no row knows, and what rows start from */
	bool		minor;			/* amounts are in minor units */
	bool		numbers;		/* amounts may be JSON numbers */
	bool		strings;		/* amounts may be JSON strings */
	List	   *exponents;		/* of EwhExponent *: places of a minor unit where the provider differs from ISO 4217 */
	List	   *digits;			/* of EwhExponent *: decimals of currencies outside ISO 4217 */
	bool		thin;			/* a missing amount is fetched, not an error */
	int32		zone;			/* of times without one, or EWH_NO_ZONE */
	List	   *rows;			/* of EwhRow * */
	List	   *facts;			/* of char *: the names in the rows, the main one first */
	HTAB	   *by_type;		/* EwhTypeRows */
	List	   *untyped;		/* of EwhRow *: for types no row names */
};

#endif							/* EWH_READING_RULE_H */
