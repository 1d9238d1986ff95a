# erp_webhook: the extension (PGXS), the ingress, and the two commands of the README.
#
#   make demo        everything at once, on a private PostgreSQL: see it work
#   make test        everything that gates a commit
#   make             the extension and the ingress
#   make install     into the PostgreSQL that pg_config (or PG_CONFIG=…) names
#   make installcheck  regress and isolation tests against your own running server

EXTENSION = erp_webhook
MODULE_big = erp_webhook
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" erp_webhook.control)
SOURCES := erp_webhook.c $(wildcard src/*.c) $(wildcard src/*/*.c)
OBJS = $(SOURCES:.c=.o)

# The install script: the parts of schema/ in name order, then the catalogue made of providers/.
SCRIPT = erp_webhook--$(EXTVERSION).sql
DATA_built = $(SCRIPT)
EXTRA_CLEAN = $(SCRIPT) $(SOURCES:.c=.bc) results output_iso regression.diffs regression.out build

REGRESS = $(sort $(patsubst sql/%.sql,%,$(wildcard sql/*.sql)))
REGRESS_OPTS = --inputdir=. --encoding=UTF8
ISOLATION = $(sort $(patsubst specs/%.spec,%,$(wildcard specs/*.spec)))
ISOLATION_OPTS = --inputdir=. --load-extension=erp_webhook

PG_CPPFLAGS = -Isrc $(shell xml2-config --cflags 2>/dev/null)
# -fno-plt and -Bsymbolic-functions: calls into the server, OpenSSL and between our own files without a detour (a tenth of
# verify(), see bench/verify.sh), and nobody else's function of the same name in place of ours.
# Not of -Wextra, for PostgreSQL's own idioms and headers: callbacks that need not every argument (unused-parameter), tables
# and structs filled from the front (missing-field-initializers), int counts beside Size and lengthof() (sign-compare).
PG_CFLAGS = -fno-plt -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -Wno-sign-compare
SHLIB_LINK = -Wl,-Bsymbolic-functions -lcrypto -lssl -lcurl -lxml2

PG_CONFIG ?= pg_config
GOALS_WITHOUT_SERVER = demo test fuzz dependencies interop order order10k hammer abuse crash bench memory
ifneq ($(filter-out $(GOALS_WITHOUT_SERVER),$(or $(MAKECMDGOALS),all)),)
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# PGXS knows no header dependencies.
$(OBJS): $(wildcard src/*.h src/*/*.h)

$(SCRIPT): $(sort $(wildcard schema/*.sql)) $(sort $(wildcard providers/*.json)) schema/catalogue.sh erp_webhook.control Makefile
	{ printf '%s\n' '\echo Use "CREATE EXTENSION erp_webhook" to load this file. \quit'; \
	  cat $(sort $(wildcard schema/*.sql)); sh schema/catalogue.sh providers/*.json; } > $@.tmp && mv $@.tmp $@

ifneq ($(wildcard ingress/Makefile),)
all: ingress
clean: clean-ingress
.PHONY: ingress clean-ingress
ingress:
	$(MAKE) -C ingress
clean-ingress:
	$(MAKE) -C ingress clean
endif
endif

.PHONY: dependencies demo test
dependencies:
	@test/dependencies.sh
demo:
	@test/demo.sh
test:
	@test/run

# More of what `make test` samples: HISTORIES=n; the main job with EVENTS (10000) from 32 connections; LASTS (600) seconds of 32 sessions on five invoices.
# make fuzz SECONDS=600: every parser of outside bytes, so long each, from a random seed (printed; SEED=n repeats it).
.PHONY: fuzz
fuzz:
	$(MAKE) -C fuzz run SECONDS=$(or $(SECONDS),60) $(if $(SEED),SEED=$(SEED))
	$(MAKE) -C ingress fuzz SECONDS=$(or $(SECONDS),60)
.PHONY: order order10k hammer
order:
	@HISTORIES="$(or $(HISTORIES),1000)" SEED="$(SEED)" test/run order
order10k:
	@EVENTS="$(or $(EVENTS),10000)" SEED="$(SEED)" test/run main_job
hammer:
	@LASTS="$(or $(LASTS),600)" SEED="$(SEED)" test/run hammer

# Abuse with BAD (1000000) forged requests; ROUNDS (50) of faults under load, one SEED; speed as ratios, into bench/RESULTS.md.
.PHONY: abuse crash bench memory
abuse:
	@BAD="$(or $(BAD),1000000)" test/run abuse
crash:
	@ROUNDS="$(or $(ROUNDS),50)" SEED="$(SEED)" FAULT="$(FAULT)" test/run crash
bench:
	@bench/run
memory:
	@bench/memory

# The providers' official npm packages against the running ingress: they sign, we accept and settle; we sign, they verify.
.PHONY: interop
interop:
	@test/interop/run
