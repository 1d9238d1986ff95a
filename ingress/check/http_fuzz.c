/*
 * libFuzzer over the request parser: whatever comes, nothing is read outside it, what is found lies inside it, and feeding
 * it in two pieces ends like feeding it whole.
 */
#include <stdlib.h>
#include <string.h>

#include "../http.h"

static void
inside(EwhSlice slice, const char *bytes, size_t len)
{
	if (slice.len > 0 && (slice.at < bytes || slice.at + slice.len > bytes + len))
		abort();
}

static void
try_chunked(const char *bytes, size_t len)
{
	EwhChunked chunked = {0};

	while (len > 0)
	{
		EwhChunkStep step = ewh_chunked_read(&chunked, bytes, len);

		inside(step.data, bytes, len);
		if (step.used > len || (step.used == 0 && !step.bad && !step.done))
			abort();
		if (step.bad || step.done)
			break;
		bytes += step.used;
		len -= step.used;
	}
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t len)
{
	static EwhHttpHead head;
	const char *bytes = (const char *) data;
	size_t scanned = 0, halves = 0;
	long end = ewh_http_head_end(bytes, len, &scanned);
	long first = ewh_http_head_end(bytes, len / 2, &halves);
	EwhTarget target;
	char *source;

	if ((first ? first : ewh_http_head_end(bytes, len, &halves)) != end)
		abort();
	if (end <= 0 || ewh_http_parse_head(bytes, (size_t) end, &head) != 0)
		return 0;
	for (int i = 0; i < head.nfields; i++)
	{
		inside(head.fields[i].name, bytes, (size_t) end);
		inside(head.fields[i].value, bytes, (size_t) end);
	}
	if (ewh_target_parse(&head, &target) == 0)
	{
		source = malloc(target.path.len + 1);
		if (ewh_target_source(&target, source) == 0 && !ewh_text_is_clean(source, strlen(source)))
			abort();
		ewh_target_parameter(&target, "company", source, target.path.len + 1);
		free(source);
	}
	try_chunked(bytes + end, len - (size_t) end);
	return 0;
}
