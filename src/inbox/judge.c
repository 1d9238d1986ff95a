/*
 * judge.c: one request: is it well formed, genuine, a handshake, and what does it say? Reads, and writes nothing.
 *
 * Works in the caller's context, which is reset after each request; what outlives it is copied into `keep`.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/memutils.h"

#include "inbox/batch.h"
#include "inbox/kept.h"
#include "reading/normalise.h"
#include "settings.h"

static EwhBytes
bytes_of(const char *text)
{
	EwhBytes	bytes = {text, text ? strlen(text) : 0};

	return bytes;
}

static void
malformed(EwhJudgement *out, int http_status, const char *reason)
{
	out->outcome = "malformed";
	out->reason = reason;
	out->reply = (EwhReply) {.http_status = http_status, .content_type = "text/plain"};
}

/* A body we would have to unpack first is not the body that was signed (RFC 9110 section 8.4). */
static bool
is_encoded(const EwhRequest *req)
{
	const EwhHeader *header = ewh_request_header(req, "content-encoding");

	if (header == NULL || header->value.len == 0)
		return false;
	return header->repeated || header->value.len != 8 || pg_strncasecmp(header->value.data, "identity", 8) != 0;
}

/* Is this HTTP that can be looked at? Fills req; on false `out` says what is wrong. */
static bool
check_form(const EwhArrival *arrival, EwhRequest *req, EwhJudgement *out)
{
	if (arrival->source == NULL || arrival->headers == NULL || arrival->body == NULL)
	{
		malformed(out, 400, "null");
		return false;
	}
	if (!ewh_request_headers(arrival->headers, req))
	{
		malformed(out, 400, "headers");
		return false;
	}
	if (VARSIZE_ANY_EXHDR(arrival->body) > (Size) ewh_setting_max_body * 1024)
	{
		malformed(out, 413, "too large");
		return false;
	}
	if (is_encoded(req))
	{
		malformed(out, 415, "content-encoding");
		return false;
	}
	req->method = bytes_of(arrival->method ? arrival->method : "POST");
	req->url = bytes_of(arrival->url);
	req->body.data = VARDATA_ANY(arrival->body);
	req->body.len = VARSIZE_ANY_EXHDR(arrival->body);
	return true;
}

/* What a handshake is answered, in memory that lasts; other answers are the source's own and last as long as it. */
static EwhReply
copy_reply(const EwhReply *reply, MemoryContext keep)
{
	EwhReply	copy = *reply;
	MemoryContext old = MemoryContextSwitchTo(keep);

	if (reply->content_type)
		copy.content_type = pstrdup(reply->content_type);
	if (reply->body.len > 0)
		copy.body.data = memcpy(palloc(reply->body.len), reply->body.data, reply->body.len);
	MemoryContextSwitchTo(old);
	return copy;
}

static void
reject(EwhSource *source, const char *reason, EwhJudgement *out)
{
	out->outcome = "rejected";
	out->reason = reason;
	out->reply = ewh_answer_refused(source->answer);
}

/* A configuration of ours that is broken is not the sender's fault: he is asked to come again. The log says what is wrong. */
static void
postpone(EwhJudgement *out)
{
	out->outcome = "rejected";
	out->reason = "broken_source";
	out->reply = (EwhReply) {.http_status = 503, .content_type = "text/plain"};
}

/* The bytes to keep, and the answer, which is the same for every outcome that is kept. */
static EwhReply
keep_request(EwhSource *source, const EwhArrival *arrival, const EwhRequest *req, MemoryContext keep, EwhJudgement *out)
{
	out->body = arrival->body;
	out->method = arrival->method ? arrival->method : "POST";
	out->url = arrival->url;
	out->headers = MemoryContextStrdup(keep, ewh_kept_text(source->kept_headers, req));
	return ewh_answer_taken(source->answer);
}

/*
 * What a genuine request says, as rows. Where the scheme signs nothing, nothing is genuine: whatever the source's trust,
 * the provider is asked.
 */
static void
accept(EwhSource *source, const EwhArrival *arrival, const EwhRequest *req, const EwhVerdict *verdict,
	   MemoryContext keep, EwhJudgement *out)
{
	List	   *events = ewh_normalise(source->mapping, req, verdict->content,
									   verdict->ok ? source->trust : "confirm");
	MemoryContext old;

	out->reply = keep_request(source, arrival, req, keep, out);
	out->secret_id = verdict->secret_id;
	out->has_signed_at = verdict->has_signed_at;
	out->signed_at = verdict->signed_at;
	out->nfacts = list_length(events);
	old = MemoryContextSwitchTo(keep);
	out->facts = palloc0(sizeof(EwhFact) * Max(out->nfacts, 1));
	for (int i = 0; i < out->nfacts; i++)
	{
		ewh_fact_fill(&out->facts[i], out, list_nth(events, i));
		out->facts[i].position = i;
	}
	MemoryContextSwitchTo(old);
}

/* Is all that is missing a key that the worker may be able to fetch? */
static bool
is_key_fetchable(const EwhSource *source, const EwhVerdict *verdict)
{
	return source->fetches_keys &&
		(strcmp(verdict->reason, EWH_UNKNOWN_KEY) == 0 || strcmp(verdict->reason, EWH_NO_SECRET) == 0);
}

/*
 * Judge one request as of `now`. The work of an unknown or inactive source is that of a known one.
 */
void
ewh_judge(const EwhArrival *arrival, TimestampTz now, MemoryContext keep, EwhJudgement *out)
{
	EwhRequest	req = {0};
	EwhVerdict	verdict = {0};
	EwhReply	reply = {0};
	EwhSource  *source;

	memset(out, 0, sizeof(*out));
	out->received_at = now;
	if (!check_form(arrival, &req, out))
		return;
	source = out->source = ewh_source_lookup(arrival->source);
	if (source->broken)
	{
		postpone(out);
		return;
	}
	req.settings = source->settings;
	ewh_source_verify(source, &req, now, &verdict);
	if (!source->known)
		reject(source, "unknown_source", out);
	else if (!source->active)
		reject(source, "inactive", out);
	else if (ewh_handshake(source->answer, &req, &verdict, source->secrets, source->nsecrets, &reply))
	{
		out->outcome = "handshake";
		out->reply = copy_reply(&reply, keep);
	}
	else if (!verdict.ok && strcmp(verdict.reason, EWH_UNSIGNED) != 0)
	{
		reject(source, verdict.reason, out);
		out->awaits_key = is_key_fetchable(source, &verdict);
		if (out->awaits_key)
			out->success = keep_request(source, arrival, &req, keep, out);
	}
	else
		accept(source, arrival, &req, &verdict, keep, out);
}
