"""What people write in this project: code, configs, pages."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOMES = (
    *("benchmarks", "calyx", "client", "conf", "docs", "scripts", "server", "strategies"),
    "tests",
)
ENDS = {".py", ".yaml", ".md", ".toml", ".css", ".js", ".html", ".sh"}


def read_texts(ends=ENDS):
    """The text of each file that ends so, by its path in the project."""
    below = [path for home in HOMES for path in (ROOT / home).rglob("*")]
    paths = [path for path in [*below, *ROOT.glob("*")] if path.suffix in ends and path.is_file()]
    return {str(path.relative_to(ROOT)): path.read_text() for path in paths}
