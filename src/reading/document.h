/*
 * document.h: a received body as a tree that is read by JSON pointer (RFC 6901), whatever its wire format.
 *
 * A document is a flat tape of nodes over the received bytes, in the order of the text. Nothing is copied or decoded
 * until it is asked for. It is allocated in CurrentMemoryContext and goes with it. No function here raises for content.
 */
#ifndef EWH_DOCUMENT_H
#define EWH_DOCUMENT_H

#include "postgres.h"

#include "bytes.h"

#define EWH_MAX_DEPTH 64

typedef enum EwhNodeType
{
	EWH_ABSENT, EWH_NULL, EWH_BOOL, EWH_NUMBER, EWH_STRING, EWH_OBJECT, EWH_ARRAY
} EwhNodeType;

typedef enum EwhReadStatus
{
	EWH_READ_OK, EWH_UNREADABLE, EWH_TOO_DEEP, EWH_DUPLICATE_KEY
} EwhReadStatus;

typedef struct EwhDocument EwhDocument;

typedef int32 EwhNode;			/* 0 is the root, -1 none */

extern EwhReadStatus ewh_document_json(EwhBytes body, EwhDocument **doc);
extern EwhReadStatus ewh_document_form(EwhBytes body, EwhDocument **doc);
extern EwhReadStatus ewh_document_xml(EwhBytes body, EwhDocument **doc);

extern EwhNode ewh_document_find(const EwhDocument *doc, EwhNode from, const char *pointer, EwhReadStatus *status);

extern EwhNode ewh_node_first(const EwhDocument *doc, EwhNode node);
extern EwhNode ewh_node_next(const EwhDocument *doc, EwhNode node);
extern EwhNodeType ewh_node_type(const EwhDocument *doc, EwhNode node);
extern bool ewh_node_key(const EwhDocument *doc, EwhNode node, EwhBytes *key);
extern bool ewh_node_text(const EwhDocument *doc, EwhNode node, EwhBytes *text);

/* The single steps of a pointer, for who walks by compiled paths. */
extern EwhNode ewh_node_member(const EwhDocument *doc, EwhNode object, EwhBytes name, int32 index, EwhReadStatus *status);
extern EwhNode ewh_node_element(const EwhDocument *doc, EwhNode array, int32 index);
extern bool ewh_document_is_xml(const EwhDocument *doc);

#endif							/* EWH_DOCUMENT_H */
