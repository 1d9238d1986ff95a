/*
 * An answer as the bytes of an HTTP/1.1 response.
 */
#ifndef EWH_ANSWER_H
#define EWH_ANSWER_H

#include <event2/buffer.h>

#include "request.h"

/* The plain answer of a status. */
EwhAnswer ewh_answer_for(int status);

/* Writes the response; to a HEAD without its body. close: say that the connection ends with it. */
void ewh_answer_write(struct evbuffer *out, const EwhAnswer *answer, bool close, bool to_head);

#endif
