"""The report: one HTML page that needs no network, out of results and evidence."""
