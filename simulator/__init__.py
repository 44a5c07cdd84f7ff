"""What stands in for machines: recorded files (and, later, simulated engines) published over MQTT."""
