#!/bin/sh
# The request parser by itself, under sanitizers: a table of heads, targets and chunked bodies, whole and byte by byte.
cd "$(dirname "$0")/.." && exec make -s --no-print-directory -C ingress check CFLAGS= COPT=
