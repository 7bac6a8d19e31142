"""What the README names is there. Its commands are run by test_commands.py."""

import re

from support.pages import ROOT, commands

README = (ROOT / "README.md").read_text()


def test_the_readme_has_the_two_commands():
    assert "scripts/simulate" in README
    assert "scripts/test" in README
    assert len(commands("README.md")) >= 8


def test_every_strategy_and_task_of_the_readme_is_installed():
    from importlib.metadata import entry_points

    for kind in ("tasks", "strategies"):
        names = entry_points(group=f"calyx.{kind}").names
        assert all(f"| `{name}` |" in README for name in names)


def test_every_link_of_the_readme_leads_somewhere():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("http")]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
