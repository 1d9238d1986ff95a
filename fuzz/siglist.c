/*
 * siglist.c: signature headers in every syntax of the catalogue; the first byte chooses. Everything found lies within the
 * header.
 */
#include "proof.h"

#include "proof/reason.h"

static char *wanted[] = {"v1", "v2"};
static char *fields[] = {"kid", "alg", "sig"};

#define TEXT(s) {s, sizeof(s) - 1}

static const EwhListRule RULES[] = {
	{.absent = EWH_INVALID},
	{.strip = "sha256=", .absent = EWH_INVALID},
	{.strip = "sha256=", .strip_optional = true, .absent = EWH_INVALID},
	{.split = TEXT(","), .kv = TEXT("="), .wanted = {wanted, 1}, .holds_ts = true, .absent = EWH_INVALID},
	{.split = TEXT(","), .kv = TEXT("="), .wanted = {wanted, 2}, .trim = true, .absent = EWH_MISSING},
	{.split = TEXT(" "), .kv = TEXT(","), .wanted = {wanted, 1}, .absent = EWH_INVALID},
	{.split = TEXT("&"), .kv = TEXT("|"), .named_only = true, .absent = EWH_INVALID},
	{.split = TEXT(","), .first = "ts", .holds_ts = true, .absent = EWH_INVALID},
	{.split = TEXT(","), .fields = {fields, 3}, .by = TEXT("/"), .alg_must = "SHA256", .absent = EWH_INVALID},
	{.split = TEXT("; "), .kv = TEXT(": "), .wanted = {wanted, 1}, .absent = EWH_INVALID},
};

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	const EwhListRule *rule;
	EwhBytes	text;
	EwhBytes	name = {NULL, 0};
	EwhSigList	list;

	if (size == 0)
		return 0;
	rule = &RULES[data[0] % lengthof(RULES)];
	text = exact(data + 1, size - 1);
	if (rule->named_only)
		name = ewh_bytes("key");
	if (ewh_siglist_read(rule, text, name, &list) == NULL)
		must(list.ncandidates > 0 && list.ncandidates <= EWH_MAX_SIGNATURES);
	for (int i = 0; i < list.ncandidates; i++)
		must(is_within(list.candidates[i].signature, text) && is_within(list.candidates[i].kid, text));
	must(list.nnamed <= EWH_MAX_NAMED);
	for (int i = 0; i < list.nnamed; i++)
		must(is_within(list.named[i].value, text));
	fuzz_forget();
	return 0;
}
