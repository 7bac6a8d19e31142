"""The benchmark of encryption runs, and says what scripts read."""

import json

from benchmarks import secagg

KEYS = {
    "mask_ns_per_u32",
    "ctr_ns_per_u32",
    "client_ms",
    "flower_client_ms",
    "server_ms",
    "wire_ratio",
}


def test_json_is_one_object_alone_on_standard_output(monkeypatch, capfd):
    client = secagg._client
    monkeypatch.setattr(secagg, "_client", lambda n, *sizes: client(min(n, 10), *sizes))
    secagg.main(["--json", "--repeats=1", "--parameters=2000"])
    figures = json.loads(capfd.readouterr().out)
    assert figures.keys() >= KEYS
    assert all(value > 0 for value in figures.values())
