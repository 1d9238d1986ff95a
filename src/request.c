/*
 * request.c: headers and settings of a request, out of their jsonb.
 *
 * Header names compare without case. A header given as an array, or as two keys equal but for case, keeps its first
 * value and the mark `repeated`: only who reads such a header can say that it may not be repeated.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "compat.h"
#include "request.h"

/* The name in lower case; only ASCII has case in header names (RFC 9110 section 5.6.2). Copied only if it must change. */
static EwhBytes
lower_name(const char *data, size_t len)
{
	EwhBytes	name = {data, len};
	char	   *copy = NULL;

	for (size_t i = 0; i < len; i++)
	{
		if (data[i] < 'A' || data[i] > 'Z')
			continue;
		if (copy == NULL)
			name.data = copy = pnstrdup(data, len);
		copy[i] += 'a' - 'A';
	}
	return name;
}

static EwhHeader *
find_header(const EwhRequest *req, const char *name, size_t len)
{
	for (int i = 0; i < req->nheaders; i++)
		if (req->headers[i].name.len == len && memcmp(req->headers[i].name.data, name, len) == 0)
			return &req->headers[i];
	return NULL;
}

static void
add_header(EwhRequest *req, EwhBytes name, EwhBytes value)
{
	EwhHeader  *known = find_header(req, name.data, name.len);

	if (known)
	{
		known->repeated = true;
		return;
	}
	known = &req->headers[req->nheaders++];
	known->name = name;
	known->value = value;
	known->repeated = false;
}

/* The values of a header that came several times; an array says so, however many it holds. */
static bool
add_list(EwhRequest *req, EwhBytes name, JsonbContainer *list)
{
	if (!JsonContainerIsArray(list))
		return false;
	for (int i = 0; i < JsonContainerSize(list); i++)
	{
		JsonbValue *v = getIthJsonbValueFromContainer(list, i);

		if (v->type != jbvString)
			return false;
		add_header(req, name, (EwhBytes) {v->val.string.val, v->val.string.len});
		find_header(req, name.data, name.len)->repeated = true;
	}
	return true;
}

/*
 * Fill req->headers from {"Name": "value" | ["value", …]}, as ranges of that jsonb. False where it is anything else: the
 * sender's HTTP was malformed. NULL stands for no headers.
 *
 * The object is walked as it is stored, all keys and then all values (utils/jsonb.h): an iterator, which would have to
 * be allocated and to copy, costs as much as the rest of reading a request.
 */
bool
ewh_request_headers(Jsonb *headers, EwhRequest *req)
{
	JsonbContainer *object;
	int			count;
	char	   *base;
	uint32		key = 0;
	uint32		value;

	req->headers = NULL;
	req->nheaders = 0;
	if (headers == NULL)
		return true;
	if (!JB_ROOT_IS_OBJECT(headers))
		return false;
	object = &headers->root;
	count = JsonContainerSize(object);
	base = (char *) &object->children[2 * count];
	value = getJsonbOffset(object, count);
	req->headers = palloc(sizeof(EwhHeader) * Max(count, 1));
	for (int i = 0; i < count; i++)
	{
		JEntry		entry = object->children[count + i];
		uint32		key_start = key;
		uint32		start = value;
		EwhBytes	name;

		JBE_ADVANCE_OFFSET(key, object->children[i]);
		JBE_ADVANCE_OFFSET(value, entry);
		name = lower_name(base + key_start, key - key_start);
		if (JBE_ISSTRING(entry))
			add_header(req, name, (EwhBytes) {base + start, value - start});
		else if (!JBE_ISCONTAINER(entry) || !add_list(req, name, (JsonbContainer *) (base + INTALIGN(start))))
			return false;
	}
	return true;
}

/* The header of this lower-case name, or NULL. */
const EwhHeader *
ewh_request_header(const EwhRequest *req, const char *lower_name)
{
	return find_header(req, lower_name, strlen(lower_name));
}

/* The text of settings.key (a string, number or boolean), or NULL. */
char *
ewh_setting(const EwhRequest *req, const char *key)
{
	JsonbValue	buffer;
	JsonbValue *v;

	if (req->settings == NULL || !JB_ROOT_IS_OBJECT(req->settings))
		return NULL;
	v = getKeyJsonValueFromContainer(&req->settings->root, key, strlen(key), &buffer);
	if (v == NULL)
		return NULL;
	switch (v->type)
	{
		case jbvString:
			return pnstrdup(v->val.string.val, v->val.string.len);
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(v->val.numeric)));
		case jbvBool:
			return pstrdup(v->val.boolean ? "true" : "false");
		default:
			return NULL;
	}
}
