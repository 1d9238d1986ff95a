/*
 * content.c: bodies of every wire format, and documents wrapped in a member of another.
 */
#include "postgres.h"

#include "content.h"

/* The payload of a compact JWS, whose signature proof has seen to: header.payload.signature (RFC 7515 section 7.1). */
static EwhReadStatus
open_jwt(EwhBytes body, EwhDocument **doc)
{
	const char *end = body.data + body.len;
	const char *first = memchr(body.data, '.', body.len);
	const char *second = first ? memchr(first + 1, '.', end - first - 1) : NULL;
	EwhBytes	payload;
	unsigned char *decoded;
	size_t		len;

	if (second == NULL)
		return EWH_UNREADABLE;
	payload = (EwhBytes) {first + 1, second - first - 1};
	decoded = palloc(EWH_BASE64_DECODED_MAX(payload.len));
	if (!ewh_base64_decode(payload, EWH_BASE64URL, decoded, &len))
		return EWH_UNREADABLE;
	return ewh_document_json((EwhBytes) {(char *) decoded, len}, doc);
}

/* A form, or where the body is empty the URL's query. */
static EwhReadStatus
open_query(const EwhRequest *req, EwhBytes body, EwhDocument **doc)
{
	const char *mark;

	if (body.len > 0 || req->url.len == 0)
		return ewh_document_form(body, doc);
	mark = memchr(req->url.data, '?', req->url.len);
	if (mark == NULL)
		return EWH_UNREADABLE;
	mark++;
	return ewh_document_form((EwhBytes) {mark, req->url.data + req->url.len - mark}, doc);
}

static EwhReadStatus
open_format(EwhFormat format, const EwhRequest *req, EwhBytes bytes, EwhDocument **doc)
{
	*doc = NULL;
	if (bytes.data == NULL)
		bytes.data = "";
	switch (format)
	{
		case EWH_FORM:
			return ewh_document_form(bytes, doc);
		case EWH_QUERY:
			return open_query(req, bytes, doc);
		case EWH_XML:
			return ewh_document_xml(bytes, doc);
		case EWH_JWT:
			return open_jwt(bytes, doc);
		default:
			return ewh_document_json(bytes, doc);
	}
}

/* Base64 as senders of MIME lines write it: line breaks do not count, all else is strict. */
static bool
decode_base64(EwhBytes *text)
{
	char	   *packed = palloc(text->len + 1);
	unsigned char *decoded = palloc(EWH_BASE64_DECODED_MAX(text->len));
	size_t		len = 0;

	for (size_t i = 0; i < text->len; i++)
		if (text->data[i] != '\n' && text->data[i] != '\r')
			packed[len++] = text->data[i];
	if (!ewh_base64_decode((EwhBytes) {packed, len}, EWH_BASE64, decoded, &len))
		return false;
	*text = (EwhBytes) {(char *) decoded, len};
	return true;
}

/* Go from a document to the one wrapped in it. A wrapper without the member stays as it is: there is nothing inside. */
static EwhReadStatus
unwrap(const EwhWrapper *w, const EwhRequest *req, EwhDocument **doc)
{
	EwhReadStatus status = EWH_READ_OK;
	EwhNode		node = ewh_path_first(*doc, 0, w->at, &status);
	EwhBytes	inner;

	if (status != EWH_READ_OK || node < 0)
		return status;
	if (ewh_node_type(*doc, node) != EWH_STRING || !ewh_node_text(*doc, node, &inner))
		return EWH_UNREADABLE;
	if (w->base64 && !decode_base64(&inner))
		return EWH_UNREADABLE;
	return open_format(w->format, req, inner, doc);
}

/* The document of `content`: the body, or what proof decrypted. */
EwhReadStatus
ewh_content_open(const EwhMapping *mapping, const EwhRequest *req, EwhBytes content, EwhDocument **doc)
{
	EwhReadStatus status = open_format(mapping->format, req, content, doc);
	ListCell   *lc;

	foreach(lc, mapping->wrappers)
		if (status == EWH_READ_OK)
			status = unwrap(lfirst(lc), req, doc);
	return status;
}

/* The document of the body as it was received, for pointers of scope body:. */
EwhReadStatus
ewh_content_body(const EwhMapping *mapping, const EwhRequest *req, EwhDocument **doc)
{
	return open_format(mapping->format, req, req->body, doc);
}
