/*
 * From the rows of ingest_batch() to answers.
 */
#ifndef EWH_RECEIPT_H
#define EWH_RECEIPT_H

#include <libpq-fe.h>

#include "queue.h"

extern const char ewh_receipt_statement[]; /* its parameters: wire.h; its result: binary */

/* Answers a committed batch, which it frees; false: these are not the rows of this batch, which is left as it was. */
bool ewh_receipt_answer(EwhBatch *batch, const PGresult *rows);

#endif
