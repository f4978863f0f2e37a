#!/usr/bin/env bash
# Makes the base images of docker/Dockerfile on a host that reaches no registry: Debian from the mirror that this host's
# apt is configured with, Swift from this host's toolchain.
#
#   docker/airgapped-base-images.sh [runtime|build|all]
#
#   meridian-base/runtime   a minimal Debian of this host's release
#   meridian-base/build     the same with what Swift needs to compile, the toolchain that `swift` on PATH belongs to, and
#                           a copy of every local git mirror that this host's git configuration puts in place of a URL
#                           (url.<local path>.insteadOf), so that SwiftPM finds packages without a network
#
# Then: docker build --build-arg RUNTIME_IMAGE=meridian-base/runtime --build-arg SWIFT_IMAGE=meridian-base/build ...
#
# Needs root, Debian 12 or later, debootstrap, and a Docker daemon. An image that exists is kept: remove it to have it
# made again.
set -euo pipefail

runtime_image=meridian-base/runtime
build_image=meridian-base/build

fail() {
  echo "airgapped-base-images: $1" >&2
  exit 1
}

what=${1:-all}
case $what in runtime | build | all) ;; *) fail "usage: $0 [runtime|build|all]" ;; esac
[ "$(id -u)" -eq 0 ] || fail "debootstrap needs root; run this as root."
for tool in docker debootstrap apt-get git; do
  command -v "$tool" >/dev/null || fail "$tool is not installed (apt-get install docker.io debootstrap git)."
done
docker info >/dev/null 2>&1 || fail "the Docker daemon does not answer."

. /etc/os-release
[ "${ID:-}" = debian ] || fail "this is no Debian, so its mirror and toolchain do not make a Debian image."
codename=${VERSION_CODENAME:?}

work=$(mktemp -d)
container=""
cleanup() {
  if [ -n "$container" ]; then docker rm -f "$container" >/dev/null 2>&1 || true; fi
  rm -rf --one-file-system "$work"
}
trap cleanup EXIT

# Lines "address release component" of every Debian archive that apt is configured with.
archives() {
  apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' | sort -u
}

make_runtime() {
  local mirror sources
  sources=$(archives)
  if [ -z "$sources" ]; then
    apt-get update -qq
    sources=$(archives)
  fi
  mirror=$(awk -v release="$codename" '$2 == release && $3 == "main" { print $1; exit }' <<<"$sources")
  [ -n "$mirror" ] || fail "apt is configured with no Debian mirror for $codename."

  echo "airgapped-base-images: $runtime_image from $mirror"
  local root=$work/runtime
  debootstrap --variant=minbase "$codename" "$root" "$mirror" >"$work/log" 2>&1 || {
    tail -n 20 "$work/log" >&2
    fail "debootstrap failed."
  }
  awk '{ print "deb", $1, $2, $3 }' <<<"$sources" >"$root/etc/apt/sources.list"
  # What this host's apt needs to reach the mirror, the image's needs as well.
  apt-config dump | grep -E '^Acquire::((https?::)?Proxy|Check-(Valid-Until|Date)) ' \
    >"$root/etc/apt/apt.conf.d/80mirror" || true
  # Services that a package brings have nothing to run in.
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 755 "$root/usr/sbin/policy-rc.d"
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,info,locale}/* \
    "$root"/var/log/*
  tar -C "$root" --numeric-owner --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' -c . |
    docker import --change 'CMD ["/bin/bash"]' - "$runtime_image" >/dev/null
  rm -rf --one-file-system "$root"
}

# The directory that holds bin/swift: asked of the compiler, as `swift` on PATH may be a link or a launcher.
toolchain() {
  local resources
  resources=$(swift -print-target-info | sed -n 's/.*"runtimeResourcePath": "\(.*\)\/lib\/swift".*/\1/p')
  [ -x "$resources/bin/swift" ] && echo "$resources"
}

make_build() {
  command -v swift >/dev/null || fail "no Swift toolchain on PATH."
  local root mirrors=() pair path line
  root=$(toolchain) || fail "the toolchain of $(command -v swift) cannot be located."
  [ "$root" != /usr ] || fail "the Swift toolchain is spread over /usr; unpack one into a directory of its own."

  while IFS= read -r line; do
    pair=${line#url.}
    path=${pair%.insteadof *}
    path=${path#file://}
    if [ -d "$path" ]; then mirrors+=("$path ${pair##*.insteadof }"); fi
  done < <(git config --get-regexp '^url\..*\.insteadof$' || true)

  echo "airgapped-base-images: $build_image with the toolchain in $root" \
    "and ${#mirrors[@]} substitution(s) of git URLs"
  local mounts=(-v "$root:/mnt/toolchain:ro") copied=" "
  {
    cat <<'SETUP'
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends ca-certificates git gnupg binutils gcc libc6-dev libcurl4-openssl-dev \
  libedit2 libgcc-12-dev libncurses6 libpython3-dev libsqlite3-0 libstdc++-12-dev libxml2-dev libz3-dev pkg-config \
  tzdata unzip zlib1g-dev >/dev/null
rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
mkdir -p /opt/swift/usr
cp -a /mnt/toolchain/. /opt/swift/usr/
git config --system --add safe.directory '*'
SETUP
    local number=0
    for pair in "${mirrors[@]}"; do
      path=${pair% *}
      if [[ $copied != *" $path "* ]]; then
        copied+="$path "
        number=$((number + 1))
        mounts+=(-v "$path:/mnt/mirror$number:ro")
        printf 'mkdir -p %q && cp -a /mnt/mirror%d/. %q\n' "$path" "$number" "$path"
      fi
      printf 'git config --system --add %q %q\n' "url.$path.insteadOf" "${pair##* }"
    done
  } >"$work/setup"

  container=$(docker create --network host "${mounts[@]}" -v "$work/setup:/mnt/setup:ro" "$runtime_image" \
    sh /mnt/setup)
  docker start -a "$container" >"$work/log" 2>&1 || {
    tail -n 20 "$work/log" >&2
    fail "the build image could not be set up."
  }
  docker commit --change 'ENV PATH=/opt/swift/usr/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    --change 'CMD ["/bin/bash"]' "$container" "$build_image" >/dev/null
  docker rm -f "$container" >/dev/null
  container=""
}

have() { docker image inspect "$1" >/dev/null 2>&1; }

if ! have "$runtime_image"; then make_runtime; fi
if [ "$what" != runtime ] && ! have "$build_image"; then make_build; fi
if [ "$what" = runtime ]; then
  echo "airgapped-base-images: $runtime_image is ready"
else
  echo "airgapped-base-images: $runtime_image and $build_image are ready"
fi
