/*
 * rule.h: members of a configuration row (jsonb), read with errors that say which member is wrong.
 *
 * Rows are configuration: what is wrong in one raises, once, when it is compiled. Requests never come here.
 */
#ifndef EWH_PROOF_RULE_H
#define EWH_PROOF_RULE_H

#include "postgres.h"

#include "utils/jsonb.h"

typedef struct EwhRule
{
	JsonbContainer *object;		/* NULL: the member is absent */
	const char *name;			/* for messages */
} EwhRule;

typedef struct EwhTexts
{
	char	  **items;
	int			count;
} EwhTexts;

extern EwhRule ewh_rule(Jsonb *row, const char *name);
extern EwhRule ewh_rule_object(EwhRule row, const char *key);
extern char *ewh_rule_text(EwhRule row, const char *key);
extern char *ewh_rule_need(EwhRule row, const char *key);
extern bool ewh_rule_flag(EwhRule row, const char *key);
extern bool ewh_rule_seconds(EwhRule row, const char *key, int64 *micros);
extern int	ewh_rule_integer(EwhRule row, const char *key, int otherwise);
extern EwhTexts ewh_rule_texts(EwhRule row, const char *key);
extern EwhRule *ewh_rule_objects(EwhRule row, const char *key, int *count);
extern char **ewh_rule_keys(EwhRule row, int *count);

extern void ewh_rule_refuse(const char *name, const char *key, const char *value) __attribute__((noreturn));

#endif							/* EWH_PROOF_RULE_H */
