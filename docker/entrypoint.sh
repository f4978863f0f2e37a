#!/bin/sh
# Runs meridian. The command `standalone` takes its flags from the environment, so that a container is set up without
# naming them; flags that are given win. Every other command is passed on as it is.
#
#   REGION              name of the region (standalone)
#   ADVERTISED_ADDRESS  address that clients are told (localhost)
#   PULSAR_PORT         port of the Pulsar protocol (6650)
#   PULSAR_TLS_PORT     the same over TLS (6651)
#   ADMIN_PORT          port of the admin API (8080)
#   MERIDIAN_DATA       directory of all data (/data)
#   MERIDIAN_CONFIG     configuration file, none by default
#   LOG_LEVEL           trace, debug, info, notice, warning or error (info)
#   TLS_CERT, TLS_KEY, TLS_TRUST   certificate, private key and trusted authorities of the TLS port (PEM)
#   MESH_CERTS          directory that regions share: an authority is made there if there is none, and a certificate for
#                       this region; used where TLS_CERT names none
set -eu

if [ "${1:-standalone}" != standalone ]; then exec meridian "$@"; fi
if [ $# -gt 0 ]; then shift; fi
for argument in "$@"; do
  case $argument in -h | --help | --help-hidden) exec meridian standalone "$@" ;; esac
done

region=${REGION:-standalone}
advertised=${ADVERTISED_ADDRESS:-localhost}

if [ -n "${MESH_CERTS:-}" ] && [ -z "${TLS_CERT:-}" ]; then
  (
    # Regions that start at once would each make an authority.
    flock 9
    umask 077
    if [ ! -f "$MESH_CERTS/ca.crt" ]; then
      rm -f "$MESH_CERTS/ca.key"
      meridian certs create-ca --dir "$MESH_CERTS" >/dev/null
    fi
    if [ ! -f "$MESH_CERTS/$region.crt" ] || [ ! -f "$MESH_CERTS/$region.key" ]; then
      set -- --dns "meridian-$region" --dns localhost --ip 127.0.0.1
      case $advertised in
        localhost) ;;
        *[!0-9.]*) set -- "$@" --dns "$advertised" ;;
        *) set -- "$@" --ip "$advertised" ;;
      esac
      meridian certs issue "$region" --dir "$MESH_CERTS" "$@" >/dev/null
    fi
  ) 9>"$MESH_CERTS/.lock"
  TLS_CERT=$MESH_CERTS/$region.crt
  TLS_KEY=$MESH_CERTS/$region.key
  TLS_TRUST=${TLS_TRUST:-$MESH_CERTS/ca.crt}
fi

exec meridian standalone --cluster "$region" --advertised-address "$advertised" --bind-address 0.0.0.0 \
  --data "${MERIDIAN_DATA:-/data}" --pulsar-port "${PULSAR_PORT:-6650}" --pulsar-tls-port "${PULSAR_TLS_PORT:-6651}" \
  --admin-port "${ADMIN_PORT:-8080}" ${MERIDIAN_CONFIG:+--config "$MERIDIAN_CONFIG"} \
  ${TLS_CERT:+--tls-cert "$TLS_CERT"} ${TLS_KEY:+--tls-key "$TLS_KEY"} ${TLS_TRUST:+--tls-trust "$TLS_TRUST"} \
  ${LOG_LEVEL:+--log-level "$LOG_LEVEL"} "$@"
