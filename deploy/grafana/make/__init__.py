"""Makes the dashboards beside this folder: `python -m deploy.grafana.make` writes them anew."""
