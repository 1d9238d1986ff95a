/*
 * as_owner.c: what a user bound (bind, on_event) runs as its own owner, whoever's event calls it: a function, and a view
 * with the functions in it. So do the triggers they defer, which otherwise would run as whoever comes to COMMIT.
 *
 * SECURITY DEFINER would say the same, but it is an attribute of the text: CREATE OR REPLACE FUNCTION, which
 * is how people correct their function, silently drops it. A privilege stays, so the owner's consent is the
 * explicit EXECUTE that bind() and on_event() grant to the role we run as; one that merely everybody has
 * (PUBLIC) is none.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "inbox/deferred.h"

typedef struct Bound
{
	Oid owner;
	Oid result_type;
	bool consented;
	bool fits;
} Bound;

static bool
grants(Datum privileges, Oid role, AclMode privilege)
{
	Acl *acl = DatumGetAclP(privileges);
	AclItem *item = ACL_DAT(acl);

	for (int i = 0; i < ACL_NUM(acl); i++)
		if (item[i].ai_grantee == role && (ACLITEM_GET_PRIVS(item[i]) & privilege) != 0)
			return true;
	return false;
}

static Oid
owner_of(Oid function)
{
	HeapTuple row = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid owner = HeapTupleIsValid(row) ? ((Form_pg_proc)GETSTRUCT(row))->proowner : InvalidOid;

	if (HeapTupleIsValid(row))
		ReleaseSysCache(row);
	return owner;
}

/* Does it take just what our caller passes? Datums are handed on unseen: a number taken for a text is a pointer. */
static bool
takes_arguments(const FormData_pg_proc *proc, FmgrInfo *caller, int nargs)
{
	if (proc->prokind != PROKIND_FUNCTION || proc->proretset || proc->pronargs != nargs || get_fn_expr_variadic(caller))
		return false;
	for (int i = 0; i < nargs; i++)
		if (get_fn_expr_argtype(caller, i + 1) != proc->proargtypes.values[i])
			return false;
	return true;
}

/* Only the role that owns this extension acts on a consent: another that holds EXECUTE may call, but not as
 * the owner. */
static Bound
look_up(Oid function, Oid our_role, FmgrInfo *caller, int nargs)
{
	HeapTuple row = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc proc;
	Bound bound;
	Datum proacl;
	bool isnull;

	if (!HeapTupleIsValid(row))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION), errmsg("there is no function with OID %u", function)));
	proc = (Form_pg_proc)GETSTRUCT(row);
	bound.owner = proc->proowner;
	bound.result_type = proc->prorettype;
	proacl = SysCacheGetAttr(PROCOID, row, Anum_pg_proc_proacl, &isnull);
	bound.consented = has_privs_of_role(GetUserId(), proc->proowner) ||
					  (GetUserId() == our_role && !isnull && grants(proacl, our_role, ACL_EXECUTE));
	bound.fits = takes_arguments(proc, caller, nargs);
	ReleaseSysCache(row);
	return bound;
}

/* An error needs no PG_TRY: aborting the (sub)transaction puts the user back, as it does for SECURITY DEFINER. */
static Datum
call_as(Oid owner, FunctionCallInfo call)
{
	Oid user;
	int context;
	Datum result;

	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(owner, context | SECURITY_LOCAL_USERID_CHANGE);
	result = FunctionCallInvoke(call);
	ewh_fire_deferred();
	SetUserIdAndSecContext(user, context);
	return result;
}

PG_FUNCTION_INFO_V1(erp_webhook_call_as_owner);

Datum
erp_webhook_call_as_owner(PG_FUNCTION_ARGS)
{
	LOCAL_FCINFO(call, FUNC_MAX_ARGS);
	Oid function = PG_GETARG_OID(0);
	int nargs = PG_NARGS() - 1;
	Bound bound = look_up(function, owner_of(fcinfo->flinfo->fn_oid), fcinfo->flinfo, nargs);
	FmgrInfo flinfo;
	Datum result;

	if (!bound.consented)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("the owner of %s has not let us call it", format_procedure(function)),
						errhint("Call bind() or on_event() again.")));
	if (!bound.fits)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("%s does not take these arguments", format_procedure(function))));
	fmgr_info(function, &flinfo);
	InitFunctionCallInfoData(*call, &flinfo, nargs, PG_GET_COLLATION(), NULL, NULL);
	for (int i = 0; i < nargs; i++)
	{
		call->args[i] = fcinfo->args[i + 1];
		if (call->args[i].isnull && flinfo.fn_strict)
			PG_RETURN_NULL();
	}

	result = call_as(bound.owner, call);
	if (call->isnull)
		PG_RETURN_NULL();
	if (bound.result_type == TEXTOID)
		PG_RETURN_DATUM(result);
	PG_RETURN_TEXT_P(cstring_to_text(""));
}

/* The role that owns a view and lets ours read it. */
static Oid
view_owner(Oid view, Oid our_role)
{
	HeapTuple row = SearchSysCache1(RELOID, ObjectIdGetDatum(view));
	Datum relacl;
	bool isnull;
	Oid owner;

	if (!HeapTupleIsValid(row))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("there is no view with OID %u", view)));
	owner = ((Form_pg_class)GETSTRUCT(row))->relowner;
	relacl = SysCacheGetAttr(RELOID, row, Anum_pg_class_relacl, &isnull);
	if (isnull || !grants(relacl, our_role, ACL_SELECT))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("the owner of %s has not let us read it", get_rel_name(view)),
						errhint("Call bind() again.")));
	ReleaseSysCache(row);
	return owner;
}

PG_FUNCTION_INFO_V1(erp_webhook_read_as_owner);
/*
 * read_as_owner(reader regprocedure, view regclass, numbers text[], account_nos text[]) → text: what our function `reader`
 * (view, numbers, account_nos) → text returns, run as the owner of the view. For settlement, which runs as our own role.
 */
Datum
erp_webhook_read_as_owner(PG_FUNCTION_ARGS)
{
	LOCAL_FCINFO(call, 3);
	Oid our_role = owner_of(fcinfo->flinfo->fn_oid);
	FmgrInfo flinfo;
	Datum result;

	if (GetUserId() != our_role)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("only settlement reads as the owner of a view")));
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	fmgr_info(PG_GETARG_OID(0), &flinfo);
	InitFunctionCallInfoData(*call, &flinfo, 3, DEFAULT_COLLATION_OID, NULL, NULL);
	for (int i = 0; i < 3; i++)
		call->args[i] = fcinfo->args[i + 1];
	result = call_as(view_owner(PG_GETARG_OID(1), our_role), call);
	if (call->isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}
