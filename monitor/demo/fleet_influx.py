"""InfluxDB for the demo of a fleet: Debian's influxd, and nginx before it.

Debian has InfluxDB 1.6, which has no v2 write address yet; nginx gives it one. Both listen on the loopback
interface alone and keep everything in the demo's folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

HOST = "127.0.0.1"
DATABASE = "enginewatch"
PLACES = ("/usr/local/bin", "/usr/bin", "/usr/local/sbin", "/usr/sbin")  # servers may lie off a user's PATH
VERSION_LIMIT_S = 10.0

# Their places are relative: both run in the demo's folder, whatever its name holds.
INFLUXD = """\
reporting-disabled = true
bind-address = "{host}:{backup_port}"
[meta]
dir = "influxdb/meta"
[data]
dir = "influxdb/data"
wal-dir = "influxdb/wal"
query-log-enabled = false
index-version = "tsi1"
[http]
bind-address = "{host}:{own_port}"
log-enabled = false
[monitor]
store-enabled = false
"""

# One process that never forks, whoever runs it: it writes into the folder, and ends when it is told to.
NGINX = """\
daemon off; master_process off;
pid nginx.pid; error_log stderr;
events {{}}
http {{
  access_log off; client_max_body_size 50m;
  client_body_temp_path nginx; proxy_temp_path nginx; fastcgi_temp_path nginx; uwsgi_temp_path nginx;
  scgi_temp_path nginx;
  server {{
    listen {host}:{port};
    location = /api/v2/write {{
      rewrite ^ /write?db=$arg_bucket&precision=$arg_precision? break;
      proxy_pass http://{host}:{own_port};
    }}
    location / {{ proxy_pass http://{host}:{own_port}; }}
  }}
}}
"""


def program(name: str) -> str | None:
    """The path of a server's program, or None where it is not installed."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *PLACES]))


def trouble() -> str:
    """Why there can be no InfluxDB of our own, and what helps; empty where there can be one."""
    yours = "or name an InfluxDB of yours with --influx"
    influxd = program("influxd")
    lacking = [name for name in ("influxd", "nginx") if program(name) is None]
    if lacking:
        return f"{' and '.join(lacking)} not found: apt install influxdb nginx-light, {yours}"
    assert influxd is not None
    said = subprocess.run(
        [influxd, "version"], capture_output=True, text=True, timeout=VERSION_LIMIT_S, check=False
    ).stdout
    if not said.startswith("InfluxDB v1."):
        return f"{influxd} is not InfluxDB 1 ({said.strip() or 'it says no version'}): install that, {yours}"
    return ""


def write_settings(folder: Path, *, port: int, own_port: int, backup_port: int) -> dict[str, list[str]]:
    """Write the settings of both into the folder; returns how each is started there. nginx listens on `port`."""
    (folder / "nginx").mkdir()
    ports = {"port": port, "own_port": own_port, "backup_port": backup_port}
    (folder / "influxd.conf").write_text(INFLUXD.format(host=HOST, **ports), encoding="utf-8")
    (folder / "nginx.conf").write_text(NGINX.format(host=HOST, **ports), encoding="utf-8")
    influxd, nginx = program("influxd"), program("nginx")
    assert influxd is not None  # the command has looked
    assert nginx is not None
    # nginx takes a relative prefix as it stands; told at once where to log, it opens no log of the system.
    return {
        "influxd": [influxd, "-config", "influxd.conf"],
        "nginx": [nginx, "-p", "./", "-c", "nginx.conf", "-e", "stderr"],
    }
