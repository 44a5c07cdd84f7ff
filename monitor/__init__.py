"""The daemon: from a reading on MQTT to a score and an alert."""
