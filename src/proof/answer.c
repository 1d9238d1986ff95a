/*
 * answer.c: replies and handshakes, compiled from a provider's row.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/json.h"

#include "proof/answer.h"
#include "proof/verify.h"

static const char ROW[] = "response";
static const char TEXT[] = "text/plain";
static const char JSON[] = "application/json";

typedef enum Condition
{
	IS_PRESENT, IS_ABSENT, IS_EMPTY, EQUALS, MATCHES
} Condition;

typedef struct Clause
{
	EwhPlace   *place;
	Condition	condition;
	char	   *operand;
} Clause;

typedef enum HandshakeProof
{
	PROOF_NONE, PROOF_IF_SIGNED, PROOF_REQUIRED
} HandshakeProof;

typedef struct Handshake
{
	char	   *method;			/* NULL: any */
	Clause	   *clauses;
	int			nclauses;
	HandshakeProof proof;
	EwhReply	reply;			/* its body where there is neither template */
	EwhTemplate *template;
	char	  **names;			/* of the JSON object */
	EwhTemplate **values;
	int			nnames;
} Handshake;

struct EwhAnswer
{
	EwhReply	success;
	EwhReply	rejected;
	Handshake  *handshakes;
	int			nhandshakes;
};

static EwhReply
compile_reply(EwhRule row, int status)
{
	EwhReply	reply;
	char	   *type = ewh_rule_text(row, "type");
	char	   *body = ewh_rule_text(row, "body");

	reply.http_status = ewh_rule_integer(row, "status", status);
	if (reply.http_status < 200 || reply.http_status > 599)
		ewh_rule_refuse(row.name, "status", psprintf("%d", reply.http_status));
	reply.content_type = type ? type : TEXT;
	reply.body = ewh_bytes(body ? body : "");
	return reply;
}

static Clause
compile_clause(EwhRule row)
{
	Clause		clause = {ewh_place_compile(ewh_rule_need(row, "from"), row.name), IS_PRESENT, NULL};
	char	   *equals = ewh_rule_text(row, "equals");
	char	   *must = ewh_rule_text(row, "must");
	char	   *is = ewh_rule_text(row, "is");

	if (equals)
	{
		clause.condition = EQUALS;
		clause.operand = equals;
	}
	else if (must)
	{
		clause.condition = MATCHES;
		clause.operand = psprintf("^(?:%s)$", must);
		(void) ewh_scheme_matches(clause.operand, ewh_bytes(""));
	}
	else if (is && strcmp(is, "absent") == 0)
		clause.condition = IS_ABSENT;
	else if (is && strcmp(is, "empty") == 0)
		clause.condition = IS_EMPTY;
	else if (is && strcmp(is, "present") != 0)
		ewh_rule_refuse(row.name, "is", is);
	return clause;
}

static HandshakeProof
compile_proof(EwhRule row)
{
	char	   *proof = ewh_rule_text(row, "proof");

	if (proof == NULL || strcmp(proof, "none") == 0)
		return PROOF_NONE;
	if (strcmp(proof, "if_signed") == 0)
		return PROOF_IF_SIGNED;
	if (strcmp(proof, "required") != 0)
		ewh_rule_refuse(row.name, "proof", proof);
	return PROOF_REQUIRED;
}

static Handshake
compile_handshake(EwhRule row)
{
	Handshake	handshake = {0};
	EwhRule		json = ewh_rule_object(row, "json");
	EwhRule    *clauses = ewh_rule_objects(row, "where", &handshake.nclauses);
	char	   *template = ewh_rule_text(row, "template");

	handshake.method = ewh_rule_text(row, "method");
	handshake.proof = compile_proof(row);
	handshake.clauses = palloc(sizeof(Clause) * Max(handshake.nclauses, 1));
	for (int i = 0; i < handshake.nclauses; i++)
		handshake.clauses[i] = compile_clause(clauses[i]);
	/* Without a condition it would swallow every delivery. */
	if (handshake.nclauses == 0)
		ewh_rule_refuse(row.name, "where", "at least one condition is needed");
	handshake.reply = compile_reply(row, 200);
	if (template)
		handshake.template = ewh_template_compile(template, NULL, row.name);
	handshake.names = ewh_rule_keys(json, &handshake.nnames);
	handshake.values = palloc(sizeof(EwhTemplate *) * Max(handshake.nnames, 1));
	for (int i = 0; i < handshake.nnames; i++)
		handshake.values[i] = ewh_template_compile(ewh_rule_need(json, handshake.names[i]), NULL, json.name);
	if (handshake.nnames > 0 && ewh_rule_text(row, "type") == NULL)
		handshake.reply.content_type = JSON;
	return handshake;
}

/* Compile a provider's row in the current memory context; NULL stands for an empty one. */
EwhAnswer *
ewh_answer_compile(Jsonb *response)
{
	EwhAnswer  *answer = palloc0(sizeof(EwhAnswer));
	EwhRule		row = ewh_rule(response, ROW);
	EwhRule    *handshakes = ewh_rule_objects(row, "handshake", &answer->nhandshakes);

	answer->success = compile_reply(ewh_rule_object(row, "success"), 200);
	answer->rejected = compile_reply(ewh_rule_object(row, "rejected"), 401);
	answer->handshakes = palloc(sizeof(Handshake) * Max(answer->nhandshakes, 1));
	for (int i = 0; i < answer->nhandshakes; i++)
		answer->handshakes[i] = compile_handshake(handshakes[i]);
	return answer;
}

EwhReply
ewh_answer_taken(const EwhAnswer *answer)
{
	return answer->success;
}

EwhReply
ewh_answer_refused(const EwhAnswer *answer)
{
	return answer->rejected;
}

/* An array, object or string with nothing in it. */
static bool
is_empty(const EwhPlace *place, EwhView *view)
{
	EwhReadStatus status = EWH_READ_OK;
	EwhBytes	value;
	EwhDocument *doc;
	EwhNode		node;

	if (place->kind != EWH_AT_JSON)
		return ewh_place_read(place, view, &value) == EWH_FOUND && value.len == 0;
	doc = ewh_view_json(view);
	node = doc ? ewh_document_find(doc, 0, place->names.items[0], &status) : -1;
	if (node < 0 || status != EWH_READ_OK)
		return false;
	switch (ewh_node_type(doc, node))
	{
		case EWH_ARRAY:
		case EWH_OBJECT:
			return ewh_node_first(doc, node) < 0;
		case EWH_STRING:
			return ewh_node_text(doc, node, &value) && value.len == 0;
		default:
			return false;
	}
}

static bool
clause_holds(const Clause *clause, EwhView *view)
{
	EwhBytes	value = {NULL, 0};
	EwhFound	found;

	if (clause->condition == IS_EMPTY)
		return is_empty(clause->place, view);
	found = ewh_place_read(clause->place, view, &value);
	switch (clause->condition)
	{
		case IS_ABSENT:
			return found == EWH_NOT_FOUND;
		case EQUALS:
			return found == EWH_FOUND && ewh_bytes_is(value, clause->operand);
		case MATCHES:
			return found == EWH_FOUND && ewh_scheme_matches(clause->operand, value);
		default:
			return found == EWH_FOUND;
	}
}

/* Has the request shown what the handshake asks for? */
static bool
is_proven(const Handshake *handshake, const EwhVerdict *verdict)
{
	switch (handshake->proof)
	{
		case PROOF_NONE:
			return true;
		case PROOF_IF_SIGNED:
			return verdict->ok || strcmp(verdict->reason, EWH_MISSING) == 0;
		case PROOF_REQUIRED:
			return verdict->ok;
	}
	return false;
}

static bool
fits(const Handshake *handshake, EwhView *view, const EwhVerdict *verdict)
{
	if (handshake->method && !ewh_bytes_is(view->request->method, handshake->method))
		return false;
	if (!is_proven(handshake, verdict))
		return false;
	for (int i = 0; i < handshake->nclauses; i++)
		if (!clause_holds(&handshake->clauses[i], view))
			return false;
	return true;
}

static bool
render_text(const EwhTemplate *template, EwhView *view, EwhBytes *text)
{
	EwhMessage	message = {NULL, 0, 0};

	if (ewh_template_render(template, view, &message) != NULL)
		return false;
	*text = ewh_message_join(&message);
	return true;
}

static bool
render_json(const Handshake *handshake, EwhView *view, EwhBytes *body)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	for (int i = 0; i < handshake->nnames; i++)
	{
		EwhBytes	value;

		if (!render_text(handshake->values[i], view, &value))
			return false;
		if (i > 0)
			appendStringInfoChar(&json, ',');
		escape_json(&json, handshake->names[i]);
		appendStringInfoChar(&json, ':');
		escape_json(&json, value.data);
	}
	appendStringInfoChar(&json, '}');
	body->data = json.data;
	body->len = json.len;
	return true;
}

/* The key that proves to the sender that we hold its secret: the first that counts. */
static void
choose_key(EwhView *view, const EwhVerdict *verdict, EwhSecret *secrets, int nsecrets)
{
	for (int i = 0; i < nsecrets && view->key == NULL; i++)
	{
		if (!ewh_secret_counts(&secrets[i], "verify", verdict->at))
			continue;
		view->secret = secrets[i].value;
		view->key = ewh_secret_key(verdict->scheme, &secrets[i]);
	}
}

/* The first handshake that fits. */
static bool
find_handshake(const EwhAnswer *answer, const EwhRequest *request, const EwhVerdict *verdict, EwhSecret *secrets,
			   int nsecrets, EwhReply *reply)
{
	EwhView		view = {0};

	view.request = request;
	view.url = request->url;
	for (int i = 0; i < answer->nhandshakes; i++)
	{
		const Handshake *handshake = &answer->handshakes[i];

		if (!fits(handshake, &view, verdict))
			continue;
		*reply = handshake->reply;
		choose_key(&view, verdict, secrets, nsecrets);
		if (handshake->template)
			return render_text(handshake->template, &view, &reply->body);
		return handshake->nnames == 0 || render_json(handshake, &view, &reply->body);
	}
	return false;
}

/* Is this request a handshake? Then the reply is what the provider asks for. Most providers have none. */
bool
ewh_handshake(const EwhAnswer *answer, const EwhRequest *request, const EwhVerdict *verdict, EwhSecret *secrets,
			  int nsecrets, EwhReply *reply)
{
	return answer->nhandshakes > 0 && find_handshake(answer, request, verdict, secrets, nsecrets, reply);
}
