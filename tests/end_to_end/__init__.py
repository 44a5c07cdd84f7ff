"""The whole line with real servers: readings in at the broker, scores out of InfluxDB."""
