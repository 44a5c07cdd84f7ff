"""The models: training, artifacts, and scoring them at run time."""
