#!/bin/sh
# Makes a virtual environment with the newest tested Python that is there.
#   tools/make_venv.sh .venv
set -eu

for name in "${PYTHON:-python3}" python3 python3.13 python3.12 python3.11; do
	# A name may be a version manager's stand-in for a Python that is not selected.
	if "$name" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null; then
		python=$name
		break
	fi
done
if [ -z "${python:-}" ]; then
	echo "bascule: no Python 3.11 or newer found; install one, or name it: make PYTHON=/path/to/python3" >&2
	exit 1
fi
# Debian keeps venv's pip in a package of its own.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends python3-venv python3-dev
fi
rm -rf "$1"
"$python" -m venv "$1"
