"""The page as people see it, in a real Chromium: `make browser`, beside `make test`."""
