#!/usr/bin/env bash
# Brings two regions up with Docker Compose, joins them, and verifies replication with PyPI's pulsar-client on the host:
# messages cross while both regions run, after each has been restarted, and after each was killed under load, the source
# among them, each exactly once and in order. Takes everything down again, also when it fails.
#
#   MERIDIAN_BIN     packages this binary instead of compiling in the image
#   MERIDIAN_IMAGE   tests this image as it is
#   RUNTIME_IMAGE, SWIFT_IMAGE   base images (default: the registry's, or docker/airgapped-base-images.sh)
#
# Where Docker cannot be started it says so in one line and succeeds.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() {
  echo "compose test skipped: $1"
  exit 0
}

fail() {
  echo "compose test: $1" >&2
  exit 1
}

say() { echo "compose test: $1"; }

quietly() { # what, command...: shows the output of the command only if it fails
  local what=$1 log
  shift
  log=$(mktemp -p "$work")
  if ! "$@" >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    fail "$what failed."
  fi
}

work=$(mktemp -d)
daemon=""
compose=()
own_image=""

cleanup() {
  local status=$?
  trap - EXIT
  trap '' INT TERM
  if [ ${#compose[@]} -gt 0 ]; then
    if [ $status -ne 0 ]; then
      for region in us eu; do
        echo "---- the last lines of region $region" >&2
        docker logs --tail 40 "meridian-$region" >&2 2>&1 || true
      done
    fi
    # The regions share a network and a volume, which only the last one out can remove.
    docker rm -f -v meridian-us meridian-eu >/dev/null 2>&1 || true
    for region in us eu; do
      REGION=$region "${compose[@]}" -p "$region" -f docker/compose.yaml down -v >/dev/null 2>&1 || true
    done
    docker volume rm us_data eu_data meridian-mesh-certs >/dev/null 2>&1 || true
    docker network rm meridian-mesh >/dev/null 2>&1 || true
  fi
  if [ -n "$own_image" ]; then docker image rm "$own_image" >/dev/null 2>&1 || true; fi
  if [ -n "$daemon" ]; then
    kill "$daemon" 2>/dev/null || true
    wait "$daemon" 2>/dev/null || true
  fi
  rm -rf "$work"
  exit $status
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- Docker

can_install() { [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; }

if ! command -v docker >/dev/null; then
  can_install || skip "Docker is not installed."
  scripts/setup.sh docker.io docker-compose || skip "Docker is not installed and cannot be."
fi
if ! docker compose version >/dev/null 2>&1 && ! command -v docker-compose >/dev/null; then
  can_install || skip "Docker Compose is not installed."
  scripts/setup.sh docker-compose || skip "Docker Compose is not installed and cannot be."
fi

if ! docker info >/dev/null 2>&1; then
  command -v dockerd >/dev/null || skip "no Docker daemon answers."
  [ "$(id -u)" -eq 0 ] || skip "no Docker daemon answers, and only root can start one."
  # A terminal's Ctrl-C is for this script, which then stops the daemon when the containers are gone.
  setsid dockerd >"$work/dockerd.log" 2>&1 &
  daemon=$!
  for _ in $(seq 60); do
    docker info >/dev/null 2>&1 && break
    kill -0 "$daemon" 2>/dev/null || break
    sleep 0.5
  done
  if ! docker info >/dev/null 2>&1; then
    skip "the Docker daemon does not start: $(tail -n 1 "$work/dockerd.log" | cut -c 1-300)"
  fi
fi

for region in us eu; do
  if docker inspect "meridian-$region" >/dev/null 2>&1 || docker volume inspect "${region}_data" >/dev/null 2>&1; then
    fail "there is a region $region already (container meridian-$region, volume ${region}_data); take it down first."
  fi
done

# ---- the image

registry_has() { docker image inspect "$1" >/dev/null 2>&1 || timeout 60 docker pull -q "$1" >/dev/null 2>&1; }

base_images() { # runtime|all: sets RUNTIME_IMAGE and SWIFT_IMAGE
  if [ -n "${RUNTIME_IMAGE:-}" ] && { [ "$1" = runtime ] || [ -n "${SWIFT_IMAGE:-}" ]; }; then return; fi
  RUNTIME_IMAGE=${RUNTIME_IMAGE:-debian:bookworm-slim}
  SWIFT_IMAGE=${SWIFT_IMAGE:-swift:6.3-bookworm}
  if registry_has "$RUNTIME_IMAGE" && { [ "$1" = runtime ] || registry_has "$SWIFT_IMAGE"; }; then return; fi
  say "no registry answers; making the base images"
  if ! command -v debootstrap >/dev/null && can_install; then scripts/setup.sh debootstrap; fi
  docker/airgapped-base-images.sh "$1" >"$work/base.log" 2>&1 ||
    skip "no registry answers, and no base images can be made: $(tail -n 1 "$work/base.log" | cut -c 1-300)"
  RUNTIME_IMAGE=meridian-base/runtime
  SWIFT_IMAGE=meridian-base/build
}

# A binary of this host runs in the image only if both are of one release.
if [ -n "${MERIDIAN_BIN:-}" ] && ! (. /etc/os-release && [ "${VERSION_CODENAME:-}" = bookworm ]); then
  say "this host is no Debian 12; MERIDIAN_BIN does not run in the image, which is compiled instead"
  MERIDIAN_BIN=""
fi

if [ -z "${MERIDIAN_IMAGE:-}" ]; then
  own_image=meridian:test-compose
  export MERIDIAN_IMAGE=$own_image DOCKER_BUILDKIT=${DOCKER_BUILDKIT:-}
  if [ -z "$DOCKER_BUILDKIT" ]; then
    # Newer clients want buildx unless told to do without.
    if docker buildx version >/dev/null 2>&1; then DOCKER_BUILDKIT=1; else DOCKER_BUILDKIT=0; fi
  fi
  if [ -n "${MERIDIAN_BIN:-}" ]; then
    [ -x "$MERIDIAN_BIN" ] || fail "MERIDIAN_BIN=$MERIDIAN_BIN is no program."
    base_images runtime
    say "packaging $MERIDIAN_BIN"
    mkdir -p "$work/context/docker" "$work/context/meridian.libs"
    cp docker/entrypoint.sh "$work/context/docker/"
    strip --strip-debug -o "$work/context/meridian" "$MERIDIAN_BIN" 2>/dev/null ||
      cp "$MERIDIAN_BIN" "$work/context/meridian"
    # The Swift libraries that it is linked to, found beside the binary by its run path; Debian's are installed.
    ldd "$MERIDIAN_BIN" | awk '$3 ~ /\/usr\/lib\/swift\// { print $3 }' |
      xargs -r cp -L -t "$work/context/meridian.libs"
    if command -v swift >/dev/null; then
      backtrace=$(dirname "$(dirname "$(readlink -f "$(command -v swift)")")")/libexec/swift/linux/swift-backtrace-static
      if [ -f "$backtrace" ]; then cp "$backtrace" "$work/context/meridian.libs/"; fi
    fi
    quietly "building the image" docker build --network host -f docker/Dockerfile --target prebuilt -t "$MERIDIAN_IMAGE" \
      --build-arg RUNTIME_IMAGE="$RUNTIME_IMAGE" "$work/context"
  else
    base_images all
    say "compiling the image"
    quietly "building the image" docker build --network host -f docker/Dockerfile -t "$MERIDIAN_IMAGE" \
      --build-arg RUNTIME_IMAGE="$RUNTIME_IMAGE" --build-arg SWIFT_IMAGE="$SWIFT_IMAGE" .
  fi
else
  export MERIDIAN_IMAGE
fi

# ---- pulsar-client

venv=.build/interop-venv
if ! "$venv/bin/python" -c 'import pulsar' 2>/dev/null; then
  if ! python3 -m venv "$venv" 2>/dev/null; then
    scripts/setup.sh python3-venv
    quietly "making $venv" python3 -m venv "$venv"
  fi
  quietly "installing pulsar-client" \
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r Tests/Interop/requirements.txt
fi

# ---- two regions

wait_option=()
if docker compose version >/dev/null 2>&1; then
  compose=(docker compose)
  wait_option=(--wait)
else
  compose=(docker-compose)
fi

healthy() { # region...
  local region deadline=$((SECONDS + 120))
  for region in "$@"; do
    until [ "$(docker inspect -f '{{.State.Health.Status}}' "meridian-$region" 2>/dev/null)" = healthy ]; do
      [ $SECONDS -lt $deadline ] || fail "region $region does not become healthy."
      sleep 0.5
    done
  done
}

up() { # region
  REGION=$1 quietly "bringing region $1 up" "${compose[@]}" -p "$1" -f docker/compose.yaml up -d --no-build \
    ${wait_option[@]+"${wait_option[@]}"}
}

for region in us eu; do
  say "region $region up"
  up $region
done
healthy us eu

port() { [ "$1" = us ] && echo 1 || echo 2; }

# The command line inside a region's container.
meridian() { # region, command...
  local region=$1
  shift
  docker exec "meridian-$region" meridian "$@"
}

join() { # region, remote
  local n
  n=$(port "$2")
  quietly "clusters create $2 in $1" meridian "$1" clusters create "$2" --url "http://meridian-$2:${n}8080" \
    --broker-url "pulsar://meridian-$2:${n}6650" --broker-url-secure "pulsar+ssl://meridian-$2:${n}6651" \
    --proxy-url "pulsar+ssl://meridian-$2:${n}6651" --proxy-protocol SNI --tls-enable \
    --tls-trust-certs-filepath /certs/ca.crt \
    --tls-certs-filepath "/certs/$1.crt" --tls-key-filepath "/certs/$1.key"
}

say "joining us and eu"
join us eu
join eu us
for region in us eu; do
  quietly "tenants create in $region" meridian $region tenants create demo --allowed-clusters us,eu
  quietly "namespaces create in $region" meridian $region namespaces create demo/orders
  quietly "namespaces set-clusters in $region" meridian $region namespaces set-clusters demo/orders --clusters us,eu
  # What a producer sends again, because its region was killed before it answered, is to be stored once.
  quietly "namespaces set-deduplication in $region" meridian $region namespaces set-deduplication demo/orders --enable
done

client() { timeout 180 "$venv/bin/python" scripts/compose_client.py "$@" || fail "${*: -4:1} of messages ${*: -3:1} to ${*: -2:1} failed in ${*: -1}."; }
check() { # action, region, from, through
  client --url "pulsar://localhost:$(port "$2")6650" "$1" "$3" "$4" "$2"
}

say "500 messages from us to eu, 200 from eu to us"
check subscribe eu 0 0
check subscribe us 0 0
check produce us 0 500
check consume eu 0 500
check produce eu 0 200
check consume us 0 200

say "region eu stops; 300 messages meanwhile; it starts again"
begin=$SECONDS
docker stop -t 30 meridian-eu >/dev/null
[ $((SECONDS - begin)) -lt 20 ] || fail "region eu took $((SECONDS - begin)) s to stop at SIGTERM."
state=$(docker inspect -f '{{.State.ExitCode}}' meridian-eu)
[ "$state" = 0 ] || fail "region eu ended with status $state at SIGTERM."
check produce us 500 800
docker start meridian-eu >/dev/null
healthy eu
check consume eu 500 800

say "region us restarts; 200 more messages"
docker restart -t 30 meridian-us >/dev/null
healthy us
check produce us 800 1000
check consume eu 800 1000

say "region eu is killed under load; 1000 more messages"
client --url "pulsar://localhost:16650" produce 1000 2000 us &
producing=$!
sleep 0.3
docker kill -s KILL meridian-eu >/dev/null
wait $producing || fail "producing in us while eu is down failed."
docker start meridian-eu >/dev/null
healthy eu
check consume eu 1000 2000

say "region us, the source, is killed under load and started again; 1000 more messages"
client --url "pulsar://localhost:16650" --rate 500 --half "$work/half" produce 2000 3000 us &
producing=$!
until [ -e "$work/half" ]; do
  kill -0 $producing 2>/dev/null || fail "producing in us ended before half of the messages were acknowledged."
  sleep 0.05
done
docker kill -s KILL meridian-us >/dev/null
kill -0 $producing 2>/dev/null || fail "producing in us had ended when us was killed; there was no load."
docker start meridian-us >/dev/null
healthy us
wait $producing || fail "producing in us did not go on after us was killed."
check consume eu 2000 3000

say "everything in eu again, from the beginning"
check audit eu 0 3000
deadline=$((SECONDS + 30))
until meridian us lag --ascii --no-color --admin-url http://meridian-us:18080 --admin-url http://meridian-eu:28080 \
  >"$work/lag" 2>&1; do
  [ $SECONDS -lt $deadline ] || { cat "$work/lag" >&2; fail "meridian lag does not find the links well."; }
  sleep 0.5
done
cat "$work/lag"
meridian us topics stats persistent://demo/orders/from-us >/dev/null || fail "topics stats failed in us."
say "passed: 3200 messages crossed, each exactly once and in order"
