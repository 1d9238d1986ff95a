/* Weak stand-ins until the readers of forms and XML are in: without them the library would not load. */
#include "postgres.h"
#include "reading/document.h"
__attribute__((weak)) EwhReadStatus ewh_document_form(EwhBytes b, EwhDocument **d){ return EWH_UNREADABLE; }
__attribute__((weak)) EwhReadStatus ewh_document_xml(EwhBytes b, EwhDocument **d){ return EWH_UNREADABLE; }
