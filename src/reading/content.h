/*
 * content.h: from received bytes to the document that a mapping's pointers speak of.
 */
#ifndef EWH_CONTENT_H
#define EWH_CONTENT_H

#include "postgres.h"

#include "document.h"
#include "request.h"
#include "rule.h"

extern EwhReadStatus ewh_content_open(const EwhMapping *mapping, const EwhRequest *req, EwhBytes content,
									  EwhDocument **doc);
extern EwhReadStatus ewh_content_body(const EwhMapping *mapping, const EwhRequest *req, EwhDocument **doc);

#endif							/* EWH_CONTENT_H */
