/*
 * Chunked bodies (RFC 9112 section 7.1), as a state machine that eats what is there and says what of it is body.
 *
 * Stricter than the standard in one thing: trailer fields are refused, because nobody downstream could tell them from
 * header fields that were signed.
 */
#include "http.h"

enum
{
	SIZE,		/* hexadecimal digits */
	EXTENSION,	/* ";name=value", ignored but bounded */
	SIZE_LF,	/* LF after the size's CR */
	DATA,
	DATA_CR,	/* CR LF after the data */
	DATA_LF,
	LAST_CR,	/* CR LF after the last chunk: no trailer */
	LAST_LF,
	FINISHED
};

#define MAX_SIZE_DIGITS 8
#define MAX_EXTENSION 256

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* A byte of the line that gives a chunk's size. */
static bool
read_size(EwhChunked *chunked, char c)
{
	int digit = hex_digit(c);

	if (digit >= 0)
	{
		chunked->left = chunked->left * 16 + (uint64_t) digit;
		return ++chunked->count <= MAX_SIZE_DIGITS;
	}
	if (chunked->count == 0)
		return false;
	if (c == '\r')
		chunked->state = SIZE_LF;
	else if (c == ';')
		chunked->state = EXTENSION;
	else
		return false;
	chunked->count = 0;
	return true;
}

static bool
read_extension(EwhChunked *chunked, unsigned char c)
{
	if (c == '\r')
	{
		chunked->state = SIZE_LF;
		return true;
	}
	return (c == '\t' || (c >= ' ' && c != 127)) && ++chunked->count <= MAX_EXTENSION;
}

/* A byte outside the data; false: no chunked body can have it there. */
static bool
read_byte(EwhChunked *chunked, char c)
{
	switch (chunked->state)
	{
		case SIZE:
			return read_size(chunked, c);
		case EXTENSION:
			return read_extension(chunked, (unsigned char) c);
		case SIZE_LF:
			chunked->state = chunked->left > 0 ? DATA : LAST_CR;
			return c == '\n';
		case DATA_CR:
			chunked->state = DATA_LF;
			return c == '\r';
		case DATA_LF:
			chunked->state = SIZE;
			chunked->count = 0;
			return c == '\n';
		case LAST_CR:
			chunked->state = LAST_LF;
			return c == '\r';
		case LAST_LF:
			chunked->state = FINISHED;
			return c == '\n';
		default:
			return false;
	}
}

/* Reads up to the end of one run of data, of the body, or of the input. */
EwhChunkStep
ewh_chunked_read(EwhChunked *chunked, const char *bytes, size_t len)
{
	EwhChunkStep step = {0};

	while (step.used < len && chunked->state != DATA && chunked->state != FINISHED)
	{
		if (!read_byte(chunked, bytes[step.used++]))
		{
			step.bad = true;
			return step;
		}
	}
	if (chunked->state == DATA && step.used < len)
	{
		size_t there = len - step.used;

		step.data.at = bytes + step.used;
		step.data.len = there < chunked->left ? there : (size_t) chunked->left;
		step.used += step.data.len;
		chunked->left -= step.data.len;
		if (chunked->left == 0)
			chunked->state = DATA_CR;
	}
	step.done = chunked->state == FINISHED;
	return step;
}
