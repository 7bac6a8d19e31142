"""Ask a gateway for everything, as a machine would that holds the CA's certificate only."""

import json
import ssl
import sys

import httpx

from calyx.flower.messages import FLEET_PATHS

CLOSED = (
    "/v1/control/list-runs",
    "/v1/control/start-run",
    "/v1/control/stop-run",
    "/v1/control/list-nodes",
    "/v1/control/register-node",
    "/v1/control/unregister-node",
    "/v1/control/stream-logs",
    "/v1/runtime/acquire-task",
    "/v1/runtime/get-nodes",
    "/v1/runtime/push-messages",
    "/v1/runtime/pull-messages",
    "/v1/fleet/register-node",
    "/v1/fleet/unregister-node",
    "/v1/fleet/../control/list-runs",
    "/v1/fleet/%2e%2e/control/list-runs",
    "/v1/fleet/pull-messages/../../control/list-runs",
    "/v1/fleet//pull-messages",
    "/docs",
    "/openapi.json",
    "/health",
    "/",
)


def main(address, authority, control_port):
    """Print what each path answered, and whether the control port can be reached at all."""
    trusted = ssl.create_default_context(cafile=authority)
    found = {}
    head = {"content-type": "application/protobuf"}
    with httpx.Client(base_url=f"https://{address}", verify=trusted, timeout=20) as client:
        for path in CLOSED:
            found[path] = client.post(path, content=b"", headers=head).status_code
        for name in sorted(FLEET_PATHS):
            path = f"/v1/fleet/{name}"
            found[path] = client.post(path, content=b"", headers=head).status_code
    control = f"https://{address.split(':')[0]}:{control_port}/v1/control/list-runs"
    try:
        httpx.post(control, content=b"", verify=trusted, timeout=5)
        found["control"] = "open"
    except httpx.TransportError:
        found["control"] = "closed"
    try:
        httpx.get(f"https://{address}/", timeout=20)
        found["stranger"] = "trusted"
    except httpx.ConnectError:  # TLS by nobody whom the machine knows
        found["stranger"] = "not trusted"
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
