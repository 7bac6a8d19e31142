"""A site's file, as the doctors' tests write it."""

import yaml

from calyx.cli.site_file import task_template

POLICY = {
    "privacy": "secagg",
    "n_min": 5,
    "h_min": 3,
    "max_colluders": 1,
    "sampling": "adversarial",
    "runs_a_day": 10,
    "sums_a_day": 1000,
    "joins_a_day": 2,
    "failures_a_day": 3,
    "unfinished_a_day": 100,
    "pace_s": 2,
    "leave_one_out": False,
    "statistics": None,
    "min_cell": 10,
    "bounds": {"seed": "any"},
}
HARDWARE = {
    "name": "cpu",
    "device": "cpu",
    "threads": 1,
    "precision": "float32",
    "deterministic": True,
}


def site_values(address):
    """Those of the site north."""
    client = {
        "name": "north",
        "data_dir": "data",
        "hardware": HARDWARE,
        "state_dir": "state",
        "identity": "sites/north.key",
        "roster": "roster.json",
        "policy": POLICY | {"bounds": task_template("csv").bounds},
    }
    return {
        "server": address,
        "authority": "keys/ca.crt",
        "node_key": "sites/north.node.key",
        "manifest": "manifest.json",
        "client": client,
    }


def changed(values, **changes):
    """`values` with others; those of `client` one by one."""
    client = values["client"] | changes.pop("client", {})
    return values | changes | {"client": client}


def write_site(values):
    with open("site.yaml", "w") as file:
        yaml.safe_dump(values, file)
    return "site.yaml"
