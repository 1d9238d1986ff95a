/*
 * tape.h: what a document is inside; for the readers of the wire formats and document.c only.
 *
 * A node stands behind its parent and its elder siblings, so a tape is written front to back and a subtree is one
 * stretch of it. Offsets are into `bytes`: the received body for JSON, the decoded text for forms and XML.
 */
#ifndef EWH_TAPE_H
#define EWH_TAPE_H

#include "document.h"

typedef struct EwhTapeNode
{
	uint8		type;			/* EwhNodeType */
	bool		escaped;		/* JSON string with a backslash: decode before use */
	bool		key_escaped;
	int32		start;			/* the value, of a string without its quotes */
	int32		len;
	int32		key;			/* the key, likewise; -1 in arrays and at the root */
	int32		key_len;
	int32		next;			/* next sibling, -1 for the last */
	int32		children;		/* how many nodes hang directly below */
} EwhTapeNode;

struct EwhDocument
{
	EwhBytes	bytes;
	bool		xml;			/* same-named siblings are an array, and an index selects one */
	EwhTapeNode *nodes;
	int32		count;
	int32		room;
};

/* An open container while a tape is written. */
typedef struct EwhTapeLevel
{
	EwhNode		container;
	EwhNode		last;			/* its last child so far, or -1 */
} EwhTapeLevel;

/* More nodes than any real event has; a longer tape is refused before it takes much memory. */
#define EWH_MAX_NODES (4 * 1024 * 1024)

extern EwhDocument *ewh_tape_begin(EwhBytes bytes);
extern EwhTapeNode *ewh_tape_add(EwhDocument *doc, EwhTapeLevel *level, EwhNodeType type);

#endif							/* EWH_TAPE_H */
