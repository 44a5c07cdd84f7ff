"""The commands behind `enginewatch`, one file each; `monitor.cli` imports them when they are called."""
