#!/usr/bin/env bash
# A few seconds of fuzzing each parser of outside bytes, the same inputs every time; others: make fuzz SECONDS=60
cd "$(dirname "$0")/../fuzz" || exit 1
if ! command -v clang >/dev/null 2>&1; then
  echo "1..0 # SKIP clang is not installed"
  exit 0
fi
if ! make all bin/samples/made >bin.log 2>&1; then
  sed 's/^/# /' bin.log
  echo "not ok 1 - the targets build"
  echo "1..1"
  exit 1
fi
rm -f bin.log
n=0 failed=0
for target in $(make -s list); do
  n=$((n + 1))
  out=$(make -s check TARGETS="$target" 2>&1)
  if [ $? -eq 0 ]; then echo "ok $n - $out"; else failed=1; echo "not ok $n - $target"; echo "$out" | sed 's/^/# /'; fi
done
echo "1..$n"
exit $failed
