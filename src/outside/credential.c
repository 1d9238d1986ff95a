/*
 * credential.c: API keys and access tokens put where a provider wants them.
 *
 * A template of the provider's row holds {secret} (the API key as stored), {basic} (base64 of "user:key", RFC 7617, or of
 * "key:" where no user is known) or {token} (an access token got with the key, RFC 6749 section 4.4). Tokens live only in
 * this process's memory.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "outside/credential.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define MAX_TOKEN			4096
#define TOKEN_MARGIN		60	/* seconds before its end from which a token is not used any more */
#define MAX_TOKENS			1024

typedef struct TokenKey
{
	int32		company_id;
	int32		source_id;
} TokenKey;

typedef struct Token
{
	TokenKey	key;
	TimestampTz until;
	char		text[MAX_TOKEN];
} Token;

static HTAB *tokens = NULL;

/* user:secret, or secret: where the key is the user name itself. */
static void
append_basic(StringInfo out, const char *user, EwhBytes secret)
{
	EwhBytes	name = user != NULL ? ewh_bytes(user) : secret;
	EwhBytes	password = user != NULL ? secret : ewh_bytes("");
	size_t		len = name.len + 1 + password.len;
	char	   *plain = palloc(len + 1);

	memcpy(plain, name.data, name.len);
	plain[name.len] = ':';
	memcpy(plain + name.len + 1, password.data, password.len);
	enlargeStringInfo(out, EWH_BASE64_ENCODED_MAX(len) + 1);
	out->len += ewh_base64_encode((EwhBytes) {plain, len}, EWH_BASE64, out->data + out->len);
	out->data[out->len] = '\0';
	ewh_wipe(plain, len);
	pfree(plain);
}

/* A template with its credentials in place, in CurrentMemoryContext. */
char *
ewh_credential_fill(const char *template, const char *user, EwhBytes secret, const char *token)
{
	StringInfoData out;
	const char *c = template;

	initStringInfo(&out);
	while (*c != '\0')
	{
		if (strncmp(c, "{secret}", 8) == 0)
		{
			appendBinaryStringInfo(&out, secret.data, secret.len);
			c += 8;
		}
		else if (strncmp(c, "{basic}", 7) == 0)
		{
			append_basic(&out, user, secret);
			c += 7;
		}
		else if (strncmp(c, "{token}", 7) == 0)
		{
			appendStringInfoString(&out, token != NULL ? token : "");
			c += 7;
		}
		else
			appendStringInfoChar(&out, *c++);
	}
	return out.data;
}

/* The token of a source that is still good for a while, or NULL. */
const char *
ewh_token_cached(int32 company_id, int32 source_id)
{
	TokenKey	key = {company_id, source_id};
	Token	   *token = tokens != NULL ? hash_search(tokens, &key, HASH_FIND, NULL) : NULL;

	return token != NULL && token->until > GetCurrentTimestamp() ? token->text : NULL;
}

/* Keep a token for its time. One too long to keep is simply asked for again. */
void
ewh_token_keep(int32 company_id, int32 source_id, const char *text, int seconds)
{
	TokenKey	key = {company_id, source_id};
	Token	   *token;

	if (strlen(text) >= MAX_TOKEN || seconds <= TOKEN_MARGIN)
		return;
	if (tokens == NULL)
	{
		HASHCTL		ctl = {.keysize = sizeof(TokenKey), .entrysize = sizeof(Token), .hcxt = TopMemoryContext};

		tokens = hash_create("erp_webhook tokens", 16, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	if (hash_get_num_entries(tokens) >= MAX_TOKENS)
		return;
	token = hash_search(tokens, &key, HASH_ENTER, NULL);
	strlcpy(token->text, text, MAX_TOKEN);
	token->until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), (int64) (seconds - TOKEN_MARGIN) * 1000);
}

/* A token was refused: the next call asks for a new one. */
void
ewh_token_forget(int32 company_id, int32 source_id)
{
	TokenKey	key = {company_id, source_id};
	Token	   *token = tokens != NULL ? hash_search(tokens, &key, HASH_FIND, NULL) : NULL;

	if (token == NULL)
		return;
	ewh_wipe(token->text, MAX_TOKEN);
	hash_search(tokens, &key, HASH_REMOVE, NULL);
}
