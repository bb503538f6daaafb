#!/bin/sh
# Installs the system packages that some tests need, where we may. Without them
# these tests are skipped, and say what is missing.
set -eu

missing=
command -v clang-19 >/dev/null || missing="$missing clang-19"
ls /usr/lib/llvm-19/lib/clang/*/lib/linux/libclang_rt.tsan* >/dev/null 2>&1 || missing="$missing libclang-rt-19-dev"
[ -e /usr/include/cmocka.h ] || missing="$missing libcmocka-dev"
PATH="$PATH:/usr/sbin" command -v mariadbd >/dev/null || missing="$missing mariadb-server-core"
command -v mariadb >/dev/null || missing="$missing mariadb-client-core"
command -v javac >/dev/null || missing="$missing default-jdk-headless"
command -v mvn >/dev/null || missing="$missing maven"
command -v chromium >/dev/null || missing="$missing chromium fonts-dejavu-core"
[ -z "$missing" ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	apt-get update -qq
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
	echo "bascule: tests that need$missing will be skipped (not root)" >&2
fi
