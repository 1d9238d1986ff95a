/*
 * template.h: what is signed, as rows write it.
 *
 *   {PLACE}            a value of the request (place.h); {PLACE?} empty where it is absent
 *   [ … ]              dropped as a whole where a value inside is absent
 *   {body} {method} {url} {path} {path_slash} {ts} {secret}
 *   {crc32} {sha256hex} {b64body}                   of the body
 *   {form_sorted} {form_sorted+sign_type}           name=value&… by name, without sign (and sign_type)
 *   {form_concat}                                   namevalue… by name
 *   {signed_headers}                                "Name: value\n" for each name in the row's member of the JOSE header
 *   {header_values:NAME}                            values of the headers that sig:NAME lists, joined by dots
 *   {X|sha256hex} {X|b64} {X|hmac}                  of any X but a header; hmac: hex, under the source's own secret
 *
 * A rendered template is a row of byte ranges: a body is never copied to be signed.
 */
#ifndef EWH_TEMPLATE_H
#define EWH_TEMPLATE_H

#include "postgres.h"

#include "proof/place.h"
#include "proof/signature.h"

typedef struct EwhTemplate EwhTemplate;

extern EwhTemplate *ewh_template_compile(const char *text, const char *signed_headers, const char *row_name);
extern const char *ewh_template_render(const EwhTemplate *template, EwhView *view, EwhMessage *message);
extern bool ewh_template_uses_url(const EwhTemplate *template);
extern bool ewh_template_uses_secret(const EwhTemplate *template);
extern List *ewh_template_needs(const EwhTemplate *template, List *places);
extern EwhBytes ewh_template_header_list(const EwhTemplate *template);

#endif							/* EWH_TEMPLATE_H */
