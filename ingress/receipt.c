/*
 * The one statement that is run, and what its rows say.
 */
#include "receipt.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

const char ewh_receipt_statement[] = "SELECT outcome, http_status, content_type, response, detail"
							 " FROM erp_webhook.ingest_batch($1, $2, $3, $4, $5)";

enum
{
	OUTCOME,
	HTTP_STATUS,
	CONTENT_TYPE,
	RESPONSE,
	DETAIL,
	NCOLUMNS
};

static const char *
column(const PGresult *rows, int row, int column)
{
	return PQgetisnull(rows, row, column) ? NULL : PQgetvalue(rows, row, column);
}

bool
ewh_receipt_answer(EwhBatch *batch, const PGresult *rows)
{
	EwhReceipt *receipts;

	if (PQntuples(rows) != batch->n || PQnfields(rows) != NCOLUMNS)
		return false;
	receipts = calloc((size_t) batch->n, sizeof *receipts);
	if (receipts == NULL)
		return false;
	for (int i = 0; i < batch->n; i++)
	{
		EwhReceipt *r = &receipts[i];
		const char *status = column(rows, i, HTTP_STATUS);
		uint32_t number = 0;

		if (status)
			memcpy(&number, status, 4);
		r->status = (int) ntohl(number);
		r->outcome = column(rows, i, OUTCOME) ? column(rows, i, OUTCOME) : "other";
		r->content_type = column(rows, i, CONTENT_TYPE);
		r->detail = column(rows, i, DETAIL);
		r->response = column(rows, i, RESPONSE);
		r->response_len = (size_t) PQgetlength(rows, i, RESPONSE);
	}
	ewh_queue_committed(batch, receipts);
	free(receipts);
	return true;
}
