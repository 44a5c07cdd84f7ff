"""The lab of the page: a model tried on rows that somebody brings, beside what it does in service."""
