"""A row of `calyx doctor site`: whether the code is what was signed, and what nobody has looked at."""

from pathlib import Path

from calyx.cli.checks import Check
from calyx.fleet.site import SiteConfig, check_keys, check_manifest
from client.code import unmeasured


def manifest_row(cfg: SiteConfig, keys: Check) -> Check:
    """Whether the manifest allows what is installed. Raises CalyxError."""
    if cfg.manifest is None:
        found = "none: this site runs any code that the operator has too"
        return Check(
            "manifest", "note", found, "ask the consortium for one, and name it in the file"
        )
    if keys.state == "problem":
        return Check("manifest", "note", "not looked at: its signer is named by the roster")
    manifest = check_manifest(Path(cfg.manifest), check_keys(cfg))
    packages = f", with {', '.join(manifest.packages)}" if manifest.packages else ""
    found = f"version {manifest.version}{packages}; the installed files are what it allows"
    return Check("manifest", "ok", f"{found}; {unmeasured()}")
