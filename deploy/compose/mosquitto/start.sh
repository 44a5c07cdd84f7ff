#!/bin/sh
# Writes the passwords that mosquitto reads, hashed, then becomes mosquitto.
set -eu
umask 077
file=${PASSWORDS_FILE:-/mosquitto/data/passwords}
printf '%s:%s\n' enginewatch "$ENGINEWATCH_PASSWORD" machines "$MACHINES_PASSWORD" >"$file"
mosquitto_passwd -U "$file"
exec mosquitto -c "${1:-/mosquitto/config/mosquitto.conf}"
