#!/usr/bin/env bash
# Installs the system packages that Meridian builds and tests with, each only if it is absent.
set -euo pipefail

if ! command -v swift >/dev/null; then
  echo "setup: no Swift toolchain on PATH; install Swift 6.2 or later from https://swift.org/install and run this again." >&2
  exit 1
fi

if ! command -v dpkg-query >/dev/null; then
  echo "setup: not a Debian or Ubuntu system; make sure that libssl, libzstd, liblz4, zlib and librocksdb are installed with their headers." >&2
  exit 0
fi

missing=()
for package in libssl-dev libzstd-dev liblz4-dev zlib1g-dev librocksdb-dev etcd-server "$@"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

echo "setup: installing ${missing[*]}"
sudo=""
if [ "$(id -u)" -ne 0 ]; then sudo="sudo"; fi
$sudo apt-get update -qq
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
