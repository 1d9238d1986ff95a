/*
 * answer.h: what a sender is told, and the handshakes it asks for, as a provider's row says.
 *
 *   success    {status 200, type, body}    for what was taken
 *   rejected   {status 401, type, body}    one answer for every refusal, so that nobody learns which
 *   handshake  [{method, where, proof, status 200, type, body | template | json}]   the first that fits
 *
 *     where    [{from PLACE, equals TEXT | must REGEX of all of it | is absent | empty | present}]: all must hold
 *     proof    none (default): answered to anybody; so a template may sign nothing that a sender chooses freely
 *              if_signed: a signature that is there must hold;   required: as for any other request
 *     template TEMPLATE (template.h);   json {name: TEMPLATE}: an object of strings;   body: as it stands
 */
#ifndef EWH_ANSWER_H
#define EWH_ANSWER_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "bytes.h"
#include "request.h"

struct EwhSecret;
struct EwhVerdict;

typedef struct EwhAnswer EwhAnswer;

typedef struct EwhReply
{
	int			http_status;
	const char *content_type;
	EwhBytes	body;
} EwhReply;

extern EwhAnswer *ewh_answer_compile(Jsonb *response);

/* What the sender of anything kept is told, and of anything refused. They live as long as the answer. */
extern EwhReply ewh_answer_taken(const EwhAnswer *answer);
extern EwhReply ewh_answer_refused(const EwhAnswer *answer);

extern bool ewh_handshake(const EwhAnswer *answer, const EwhRequest *request, const struct EwhVerdict *verdict,
						  struct EwhSecret *secrets, int nsecrets, EwhReply *reply);

#endif							/* EWH_ANSWER_H */
