/*
 * bytes.h: ranges of bytes and their text forms; depends on nothing of ours.
 *
 * Decoding is strict: what one of several spellings of the same bytes could be slipped past a comparison, or be read
 * differently by the next reader, is refused.
 */
#ifndef EWH_BYTES_H
#define EWH_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct EwhBytes
{
	const char *data;			/* not owned; may hold NULs */
	size_t		len;
} EwhBytes;

/* How base64 is spelled (RFC 4648). */
typedef enum EwhBase64
{
	EWH_BASE64,					/* section 4, padded */
	EWH_BASE64_UNPADDED,		/* section 4, padding forbidden */
	EWH_BASE64URL,				/* section 5, padding forbidden, as JOSE writes it */
	EWH_BASE64_MIXED			/* both alphabets at once, padding forbidden: what some senders really write */
} EwhBase64;

#define EWH_BASE64_DECODED_MAX(len) ((len) / 4 * 3 + 3)
#define EWH_BASE64_ENCODED_MAX(len) (((len) + 2) / 3 * 4)

static inline EwhBytes
ewh_bytes(const char *text)
{
	EwhBytes	bytes = {text, text ? strlen(text) : 0};

	return bytes;
}

/* Compare what is not secret. */
static inline bool
ewh_bytes_equal(EwhBytes a, EwhBytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool
ewh_bytes_is(EwhBytes a, const char *text)
{
	return ewh_bytes_equal(a, ewh_bytes(text));
}

extern bool ewh_bytes_starts(EwhBytes text, EwhBytes prefix);
extern EwhBytes ewh_bytes_from(EwhBytes text, size_t start);
extern EwhBytes ewh_bytes_trim(EwhBytes text);
extern size_t ewh_bytes_find(EwhBytes text, EwhBytes wanted);

extern bool ewh_hex_decode(EwhBytes text, unsigned char *out);
extern void ewh_hex_encode(const unsigned char *data, size_t len, char *out);

extern bool ewh_base64_decode(EwhBytes text, EwhBase64 spelling, unsigned char *out, size_t *out_len);
extern size_t ewh_base64_encode(EwhBytes data, EwhBase64 spelling, char *out);

extern bool ewh_percent_decode(EwhBytes text, bool plus_is_space, char *out, size_t *out_len);

extern uint32_t ewh_crc32(EwhBytes data);

extern void ewh_wipe(void *data, size_t len);

#endif							/* EWH_BYTES_H */
