"""The live page of a fleet: a mirror of what the line on Spark wrote to InfluxDB, under the page as it is."""
