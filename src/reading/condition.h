/*
 * condition.h: what an event must say for a row to hold.
 */
#ifndef EWH_CONDITION_H
#define EWH_CONDITION_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "expression.h"

typedef enum EwhTest
{
	EWH_IS_ONE_OF, EWH_IS_NONE_OF, EWH_HAS_PREFIX, EWH_HAS_SUFFIX, EWH_CONTAINS, EWH_EXISTS, EWH_IS_ABSENT,
	EWH_IS_ZERO, EWH_IS_NOT_ZERO, EWH_IS_NEGATIVE, EWH_IS_NOT_NEGATIVE, EWH_IS_SAME_AS
} EwhTest;

typedef struct EwhCondition
{
	EwhExpression *of;			/* NULL: the event's type */
	EwhTest		test;
	List	   *texts;			/* of char * */
	EwhExpression *other;		/* EWH_IS_SAME_AS */
} EwhCondition;

extern List *ewh_conditions_compile(JsonbContainer *match);	/* of EwhCondition * */
extern bool ewh_conditions_hold(EwhScopes *scopes, const List *conditions, const char *type);

#endif							/* EWH_CONDITION_H */
