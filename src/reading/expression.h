/*
 * expression.h: where a value is found and what is made of it, as a mapping writes it (docs/adding-a-provider.md).
 */
#ifndef EWH_EXPRESSION_H
#define EWH_EXPRESSION_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "document.h"
#include "path.h"
#include "request.h"

/* Where a pointer starts. */
typedef enum EwhScope
{
	EWH_HERE,					/* the item, or the element that a row's own `each` stands on */
	EWH_ITEM,					/* item:/… the item */
	EWH_ROOT,					/* root:/… the whole content */
	EWH_BODY					/* body:/… the bytes as received, before decryption and unwrapping */
} EwhScope;

typedef enum EwhExpressionKind
{
	EWH_POINTER, EWH_HEADER, EWH_SETTING, EWH_LITERAL, EWH_TEMPLATE, EWH_FIRST_OF, EWH_DERIVED
} EwhExpressionKind;

/* A bounded pattern: fixed text, one hole of a class of characters, fixed text. */
typedef struct EwhPattern
{
	EwhBytes	before;
	EwhBytes	behind;
	char		hole;			/* 'a'ny, 'd'igits, 'w'ord characters */
	bool		whole;			/* give what matched (find), not what filled the hole (take) */
} EwhPattern;

typedef struct EwhExpression
{
	EwhExpressionKind kind;
	EwhScope	scope;			/* EWH_POINTER */
	EwhPath    *path;			/* EWH_POINTER */
	char	   *text;			/* EWH_HEADER, EWH_SETTING: the name; EWH_LITERAL */
	bool		optional;		/* a template's part that may be missing */
	List	   *parts;			/* of EwhExpression *: EWH_TEMPLATE, EWH_FIRST_OF; of EWH_DERIVED the operands */

	/* EWH_DERIVED: what is done with the operand */
	bool		sum;
	bool		negate;
	bool		unless_zero;
	bool		lower;
	bool		upper;
	EwhPattern *pattern;
	List	   *map_from;		/* of char * */
	List	   *map_to;
	char		unit;			/* of an amount: 'm'inor, 'M'ajor, 0 as the provider's */
	bool		number_too;		/* of an amount: a JSON number or string is fine whatever the provider's rule */
} EwhExpression;

/* What an expression is evaluated on; `trouble` is set where the content must not be used, and why. */
typedef struct EwhScopes
{
	const EwhDocument *doc;
	EwhNode		here;
	EwhNode		item;
	const EwhDocument *body;	/* NULL where the body is not of the mapping's format */
	const EwhRequest *req;
	const char *trouble;
} EwhScopes;

typedef struct EwhValue
{
	EwhNodeType type;			/* EWH_ABSENT also for null and the empty text */
	EwhBytes	text;			/* not of objects and arrays */
} EwhValue;

extern EwhExpression *ewh_expression_compile(const JsonbValue *value);
extern EwhExpression *ewh_expression_pointer(EwhBytes pointer);
extern bool ewh_expression_is_amount(const EwhExpression *expression);

extern EwhValue ewh_evaluate(EwhScopes *scopes, const EwhExpression *expression);
extern List *ewh_evaluate_all(EwhScopes *scopes, const EwhExpression *expression);	/* of EwhValue * */
extern char *ewh_evaluate_text(EwhScopes *scopes, const EwhExpression *expression);

#endif							/* EWH_EXPRESSION_H */
