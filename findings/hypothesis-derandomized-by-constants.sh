#!/usr/bin/env bash
# hypothesis 6.170.15: a test with derandomize=True draws other examples when a module of the project that it never uses is loaded.
#
# Seen, 200 integers drawn by one unchanged test:
#   alone                            the same each time
#   beside a module with one number  the same each time, and not those of before: that number is now among them
#
# Hypothesis gathers numbers and texts from the source of the loaded modules of one's own and tries them. So "derandomized" holds for one set
# of modules: what one test run loads, a part of it, or a checkout under another path may not. A property that is green in one and red in
# another has found something, and is not flaky.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check hypothesis==6.170.15
mkdir "$folder/project"
cd "$folder/project"
echo "LIMIT = 123_456_789" >limits.py
cat >draw.py <<'PYTHON'
import hashlib
import sys

from hypothesis import given, settings
from hypothesis import strategies as st

if sys.argv[1] == "beside":
    import limits  # used by nothing here
drawn = []


@settings(max_examples=200, derandomize=True, database=None)
@given(st.integers(0, 1_000_000_000))
def draw(number):
    drawn.append(number)


draw()
print(hashlib.sha256(repr(drawn).encode()).hexdigest()[:12])
PYTHON
python="$folder/venv/bin/python"
alone=$("$python" draw.py alone) again=$("$python" draw.py alone)
beside=$("$python" draw.py beside) beside_again=$("$python" draw.py beside)
echo "alone $alone $again, beside a module with a number $beside $beside_again"
[ "$alone" = "$again" ] && [ "$beside" = "$beside_again" ] && [ "$alone" != "$beside" ]
