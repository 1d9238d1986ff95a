/*
 * Arrays built by hand, so that no body is escaped, quoted or copied more than once on its way to libpq.
 *
 * One dimension: int32 ndim, hasnull, element oid, length, lower bound; then per element int32 length (-1: NULL) and its
 * bytes (array_send in PostgreSQL's utils/adt/arrayfuncs.c). A jsonb element is a version byte 1 and its text (jsonb_recv).
 */
#include "wire.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_OID 25
#define BYTEA_OID 17
#define JSONB_OID 3802
#define ARRAY_HEAD_BYTES 20

const unsigned ewh_wire_types[EWH_WIRE_PARAMETERS] = {1009 /* text[] */, 3807 /* jsonb[] */, 1001 /* bytea[] */, 1009, 1009};

static const unsigned element_types[EWH_WIRE_PARAMETERS] = {TEXT_OID, JSONB_OID, BYTEA_OID, TEXT_OID, TEXT_OID};

/* What of a request goes into parameter p; at = NULL stands for NULL. */
static EwhSlice
element(const EwhRequest *request, int p)
{
	const char *texts[EWH_WIRE_PARAMETERS] = {request->source, request->headers, NULL, request->method, request->url};

	if (p == 2)
		return (EwhSlice){request->body ? request->body : "", request->len};
	return (EwhSlice){texts[p], texts[p] ? strlen(texts[p]) : 0};
}

static char *
put_int(char *out, int value)
{
	uint32_t big_endian = htonl((uint32_t) value);

	memcpy(out, &big_endian, 4);
	return out + 4;
}

static bool
make_array(const EwhBatch *batch, int p, EwhWire *wire)
{
	bool is_json = element_types[p] == JSONB_OID;
	size_t size = ARRAY_HEAD_BYTES;
	char *out;

	for (int i = 0; i < batch->n; i++)
		size += 4 + is_json + element(batch->requests[i], p).len;
	wire->values[p] = out = malloc(size);
	wire->lengths[p] = (int) size;
	if (out == NULL)
		return false;
	out = put_int(out, 1);
	out = put_int(out, 1);
	out = put_int(out, (int) element_types[p]);
	out = put_int(out, batch->n);
	out = put_int(out, 1);
	for (int i = 0; i < batch->n; i++)
	{
		EwhSlice e = element(batch->requests[i], p);

		out = put_int(out, e.at ? (int) e.len + is_json : -1);
		if (e.at == NULL)
			continue;
		if (is_json)
			*out++ = 1;
		memcpy(out, e.at, e.len);
		out += e.len;
	}
	wire->lengths[p] = (int) (out - wire->values[p]);
	return true;
}

bool
ewh_wire_make(const EwhBatch *batch, EwhWire *wire)
{
	memset(wire, 0, sizeof *wire);
	for (int p = 0; p < EWH_WIRE_PARAMETERS; p++)
		if (!make_array(batch, p, wire))
			return false;
	return true;
}

void
ewh_wire_free(EwhWire *wire)
{
	for (int p = 0; p < EWH_WIRE_PARAMETERS; p++)
		free(wire->values[p]);
}
