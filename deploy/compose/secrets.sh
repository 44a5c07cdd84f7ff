#!/bin/sh
# Writes deploy/.env, from which compose.yaml takes passwords and tokens: random ones, once.
set -eu
umask 077
file=${1:-$(dirname "$0")/../.env}
if [ -e "$file" ]; then
    echo "$file is there already, and stays as it is"
    exit 0
fi
for name in MQTT_PASSWORD MACHINES_PASSWORD INFLUX_PASSWORD INFLUX_TOKEN PAGE_TOKEN GRAFANA_PASSWORD; do
    printf '%s=%s\n' "$name" "$(od -An -vtx1 -N24 /dev/urandom | tr -d ' \n')"
done >"$file"
echo "wrote $file: GRAFANA_PASSWORD is that of admin at http://127.0.0.1:3000, PAGE_TOKEN that of the HTTP port"
