/*
 * siglist.h: the syntax of signature headers: one signature, or a list of named or positional ones.
 *
 *   no split           all of the value is the signature, after `strip`
 *   split + kv         t=…,v1=…,v1=… : `wanted` names hold signatures, the others values for sig:NAME
 *   split + first      the first item is the value of that name, the others are signatures
 *   split + fields+by  1/SHA256/… : the fields of each item; those named kid, alg and sig are used
 */
#ifndef EWH_SIGLIST_H
#define EWH_SIGLIST_H

#include "postgres.h"

#include "bytes.h"
#include "proof/rule.h"

/* Nobody rotates through more keys than this; without a bound a sender decides how much we compute. */
#define EWH_MAX_SIGNATURES 16
#define EWH_MAX_NAMED 16

typedef struct EwhListRule
{
	char	   *strip;
	bool		strip_optional;
	EwhBytes	split;			/* data NULL: no list */
	bool		trim;
	EwhBytes	kv;
	char	   *first;
	EwhBytes	by;
	EwhTexts	fields;
	EwhTexts	wanted;
	char	   *alg_must;
	bool		named_only;		/* the wanted name is of our configuration: another means another key */
	bool		holds_ts;		/* the timestamp is one of the named values */
	const char *absent;			/* the reason where no signature of a wanted name is there */
} EwhListRule;

typedef struct EwhCandidate
{
	EwhBytes	signature;
	EwhBytes	kid;			/* data NULL: none given */
} EwhCandidate;

typedef struct EwhSigList
{
	EwhCandidate candidates[EWH_MAX_SIGNATURES];
	int			ncandidates;
	struct
	{
		EwhBytes	name;
		EwhBytes	value;
		bool		repeated;
	}			named[EWH_MAX_NAMED];
	int			nnamed;
} EwhSigList;

extern const char *ewh_siglist_read(const EwhListRule *rule, EwhBytes text, EwhBytes wanted, EwhSigList *list);
extern int	ewh_siglist_named(const EwhSigList *list, EwhBytes name, EwhBytes *value);

#endif							/* EWH_SIGLIST_H */
