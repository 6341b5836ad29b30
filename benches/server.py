"""A web server on loopback."""

import os
import socket
import subprocess
import time
from pathlib import Path


def serve(folder: Path, work: Path, log: Path | None = None, workers: int = 1) -> tuple[subprocess.Popen, str]:
    """Starts nginx; returns the process and its URL. `log` gets a line per response: status, bytes, path."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    configuration = work / "nginx.conf"
    configuration.write_text(
        f"daemon off; pid {work}/nginx.pid; error_log {work}/nginx.log; worker_processes {workers};\n"
        f"{'user root;' if os.geteuid() == 0 else ''}\n"
        "events {}\n"
        f"http {{ log_format sent '$status $body_bytes_sent $uri'; access_log {f'{log} sent' if log else 'off'};\n"
        f"  sendfile on; tcp_nopush on; client_body_temp_path {work}/nginx-body;\n"
        f"  server {{ listen 127.0.0.1:{port}; root {folder}; }} }}\n"
    )
    server = subprocess.Popen(["nginx", "-c", configuration, "-e", work / "nginx.log"])
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return server, f"http://127.0.0.1:{port}"
        time.sleep(0.05)
    raise SystemExit("nginx does not answer after 5 seconds")
