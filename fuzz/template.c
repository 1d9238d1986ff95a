/*
 * template.c: signed strings over requests: "template NUL url NUL header=value LF … NUL body". A template that cannot be
 * meant raises; what is rendered of the others holds together.
 */
#include "proof.h"

static EwhHeader headers[16];

static void
read_headers(EwhBytes text, EwhRequest *request)
{
	request->headers = headers;
	while (text.len > 0 && request->nheaders < lengthof(headers))
	{
		EwhBytes	line = take(&text, '\n');

		headers[request->nheaders].repeated = line.len > 0 && line.data[line.len - 1] == '!';
		headers[request->nheaders].name = take(&line, '=');
		headers[request->nheaders++].value = line;
	}
}

static void
render(EwhBytes rest)
{
	EwhRequest	request = {{"POST", 4}};
	EwhView		view = {0};
	EwhSigList	list = {0};
	EwhMessage	message = {NULL, 0, 0};
	EwhBytes	text = take(&rest, '\0');
	EwhTemplate *template;

	if (sigsetjmp(refused, 0) != 0)
		return;
	template = ewh_template_compile(pnstrdup(text.data, text.len), NULL, "row");
	request.url = take(&rest, '\0');
	read_headers(take(&rest, '\0'), &request);
	request.body = exact(rest.data, rest.len);
	list.nnamed = 1;
	list.named[0].name = ewh_bytes("h");
	list.named[0].value = ewh_bytes("a b a");
	setting = "configured";
	view.request = &request;
	view.url = request.url;
	view.list = &list;
	view.ts = ewh_bytes("1780000000");
	view.secret = ewh_bytes("secret");
	ewh_document_json(ewh_bytes("{\"tl_headers\":\"a,b\"}"), &view.jose);
	if (ewh_template_render(template, &view, &message) == NULL)
		must(ewh_message_join(&message).data != NULL);
	ewh_template_needs(template, NIL);
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	render(exact(data, size));
	fuzz_forget();
	return 0;
}
