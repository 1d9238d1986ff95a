/*
 * deferred.c: what constraints put off to COMMIT, done now.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "nodes/parsenodes.h"

#include "inbox/deferred.h"

/*
 * Run whatever is deferred, as the role in effect. SET CONSTRAINTS holds until the transaction ends, so what comes next may
 * put off again: an ERP that writes a line before its document must be able to do so for every event, not just the first.
 * A constraint that could be deferred and was not is now, until we come here again or COMMIT.
 */
void
ewh_fire_deferred(void)
{
	ConstraintsSetStmt *set = makeNode(ConstraintsSetStmt);

	AfterTriggerSetState(set);
	set->deferred = true;
	AfterTriggerSetState(set);
}
