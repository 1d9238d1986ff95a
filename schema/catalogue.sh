#!/bin/sh
# Print the catalogue part of the install script: one load_provider() call for each provider file given.
set -eu
# Nothing to load the files with yet: leave them out.
grep -q "FUNCTION erp_webhook.load_provider" schema/*.sql || exit 0
for file in "$@"; do
  [ -f "$file" ] || continue
  if grep -q '\$provider\$' "$file"; then
    echo "catalogue.sh: $file holds the quoting mark" >&2
    exit 1
  fi
  printf "SELECT erp_webhook.load_provider('%s', \$provider\$" "$(basename "$file" .json)"
  cat "$file"
  printf '$provider$::jsonb);\n'
done
