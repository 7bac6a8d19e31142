#!python
"""The program `calyx`, as it is installed: a file, because no cache of a file that is run is read.

The commands that strangers talk to import nothing of ours before they are isolated.
"""

import sys
from importlib.util import find_spec
from pathlib import Path
from runpy import run_path

if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--debug"]
    spec = find_spec("calyx")  # finds it, and runs nothing
    first = Path(spec.origin or "").parent / "cli" / "isolated.py" if spec is not None else None
    if words[:1] in (["client"], ["server"], ["serve"]) and first is not None and first.is_file():
        run_path(str(first), run_name="__main__")
    from calyx.cli.main import main

    main()
