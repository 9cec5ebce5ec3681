#!/bin/sh
# gateway.sh IMP_UID [json|form]: has impcert-gateway at GATEWAY_URL queue an imp_uid, and shows its answer.
# Exits with 0 only when it is queued.
set -eu
url=${GATEWAY_URL:-http://127.0.0.1:8080}/certifications
imp_uid=${1:?is missing}

# A 503 is tried once more, after its Retry-After: a certification that is queued twice is stored once.
post() {
    curl --silent --show-error --fail-with-body --max-time 10 --retry 1 "$@" "$url"
}

case $imp_uid in
*[!A-Za-z0-9_-]*) echo "gateway.sh: $imp_uid is not an imp_uid" >&2; exit 2 ;;
esac
if [ "${2:-json}" = form ]; then
    post --data-urlencode "imp_uid=$imp_uid"
else
    post --header 'Content-Type: application/json' --data "{\"imp_uid\": \"$imp_uid\"}"
fi
