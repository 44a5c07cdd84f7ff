"""The line past one machine: the same `pipeline.step` on Spark Structured Streaming, reading Kafka (an extra)."""
