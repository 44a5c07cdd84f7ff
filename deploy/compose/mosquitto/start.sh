#!/bin/sh
# Writes the passwords that mosquitto reads, hashed, and what the health check signs in with, then becomes mosquitto.
set -eu
umask 077
file=${PASSWORDS_FILE:-/mosquitto/data/passwords}
printf '%s:%s\n' enginewatch "$ENGINEWATCH_PASSWORD" machines "$MACHINES_PASSWORD" >"$file"
mosquitto_passwd -U "$file"
# In a file that mosquitto_sub looks for, since everybody on the machine may read what a process is called with.
printf '%s\n' '-u enginewatch' "-P $ENGINEWATCH_PASSWORD" >"${HEALTH_FOLDER:-/tmp}/mosquitto_sub"
exec mosquitto -c "${1:-/mosquitto/config/mosquitto.conf}"
