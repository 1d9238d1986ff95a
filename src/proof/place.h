/*
 * place.h: where in a request a value stands, as rows name it, and a request seen through such names.
 *
 *   header:NAME|NAME   the first of these headers that is there
 *   form:NAME          a field of a form body, decoded
 *   query:NAME         a parameter of the URL, decoded
 *   json:/POINTER      a member of the JSON body (RFC 6901)
 *   item:/POINTER      the same within the array element at hand (scheme member "each")
 *   sig:NAME           a named value of the signature header (t=…)
 *   config:NAME        settings.NAME of the source
 *   claim:NAME         a claim of the verified JWT
 *   jose:NAME          a member of the JOSE header
 *   body               all of it
 */
#ifndef EWH_PLACE_H
#define EWH_PLACE_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "proof/rule.h"
#include "proof/siglist.h"
#include "reading/document.h"
#include "request.h"

typedef enum EwhPlaceKind
{
	EWH_AT_HEADER, EWH_AT_FORM, EWH_AT_QUERY, EWH_AT_JSON, EWH_AT_ITEM, EWH_AT_SIG, EWH_AT_CONFIG, EWH_AT_CLAIM,
	EWH_AT_JOSE, EWH_AT_BODY
} EwhPlaceKind;

typedef struct EwhPlace
{
	EwhPlaceKind kind;
	EwhTexts	names;			/* more than one for headers only; pointers for documents */
} EwhPlace;

typedef enum EwhFound
{
	EWH_FOUND,
	EWH_NOT_FOUND,
	EWH_AMBIGUOUS				/* there, but twice, or not a plain value: nobody can say what was meant */
} EwhFound;

/* A document made at the first question for it. */
typedef struct EwhLazyDocument
{
	bool		tried;
	EwhDocument *doc;			/* NULL: unreadable */
} EwhLazyDocument;

typedef struct EwhView
{
	const EwhRequest *request;
	EwhBytes	url;			/* the one being tried: of the request, or of the settings */
	EwhLazyDocument json;
	EwhLazyDocument form;
	EwhLazyDocument query;
	bool		no_query;
	EwhNode		item;
	const EwhSigList *list;
	EwhDocument *jose;
	EwhDocument *claims;
	EwhBytes	ts;				/* the timestamp's text as received */
	EwhBytes	secret;
	struct EwhKey *key;			/* of that secret, for answers that prove we have it */
} EwhView;

extern EwhPlace *ewh_place_compile(const char *text, const char *row_name);
extern EwhFound ewh_place_read(const EwhPlace *place, EwhView *view, EwhBytes *value);
extern EwhFound ewh_view_header(const EwhView *view, EwhBytes name, EwhBytes *value);

extern EwhDocument *ewh_view_json(EwhView *view);
extern EwhDocument *ewh_view_form(EwhView *view);
extern EwhBytes ewh_view_path(const EwhView *view);

#endif							/* EWH_PLACE_H */
