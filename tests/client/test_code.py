"""What a site says of code that no manifest measures."""

import site
import sys
from types import ModuleType

from client.code import describe_unmeasured, runs_at_start


def test_what_the_environment_runs_at_each_start_is_named_and_folders_are_not(
    tmp_path, monkeypatch
):
    (tmp_path / "runs.pth").write_text("/somewhere\nimport os; os.getcwd()\n")
    (tmp_path / "tab.pth").write_text("import\tos\n")
    (tmp_path / "folder.pth").write_text("/somewhere/import os\n# import os\n")
    (tmp_path / "sitecustomize.py").write_text("")
    elsewhere = ModuleType("sitecustomize")
    elsewhere.__file__ = "/elsewhere/site\x1bcustomize.py"
    monkeypatch.setitem(sys.modules, "sitecustomize", elsewhere)
    monkeypatch.setattr(site, "getsitepackages", lambda: [str(tmp_path)])
    monkeypatch.setattr("sysconfig.get_paths", dict)
    named = ["/elsewhere/site?customize.py"]
    named += [f"{tmp_path}/{name}" for name in ("sitecustomize.py", "runs.pth", "tab.pth")]
    assert list(runs_at_start()) == named
    assert describe_unmeasured().endswith(f"; run at each start of Python: {', '.join(named)}")


def test_nothing_is_said_of_an_environment_that_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(site, "getsitepackages", lambda: [str(tmp_path), str(tmp_path / "none")])
    monkeypatch.setattr("sysconfig.get_paths", dict)
    monkeypatch.delitem(sys.modules, "sitecustomize", raising=False)
    assert runs_at_start() == ()
    assert describe_unmeasured() == "libraries and Python itself are measured by no manifest"
