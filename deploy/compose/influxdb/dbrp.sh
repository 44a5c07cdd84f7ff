#!/bin/sh
# InfluxQL asks for a database: this maps it to the bucket, once, when InfluxDB is set up.
set -eu
influx v1 dbrp create --db enginewatch --rp autogen --default --bucket-id "$DOCKER_INFLUXDB_INIT_BUCKET_ID" \
    --org "$DOCKER_INFLUXDB_INIT_ORG"
