/*
 * path.h: a JSON pointer (RFC 6901), cut into steps once, with two steps of ours for arrays:
 *   [name=text]   the first element whose member `name` reads `text`
 *   *  *[name=text]   every element, or every such element
 */
#ifndef EWH_PATH_H
#define EWH_PATH_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "document.h"

typedef struct EwhPath EwhPath;

extern EwhPath *ewh_path_compile(EwhBytes pointer, bool selectors);
extern EwhNode ewh_path_first(const EwhDocument *doc, EwhNode from, const EwhPath *path, EwhReadStatus *status);
extern List *ewh_path_all(const EwhDocument *doc, EwhNode from, const EwhPath *path, EwhReadStatus *status);

#endif							/* EWH_PATH_H */
