"""What the doctor of a site says of the rows in its folder, read as `task=csv` would read them.

It is the site's own machine: what is found is shown here, and nowhere else.
"""

from pathlib import Path

from calyx.cli.checks import Check
from calyx.data.csv.folder import SCHEMAS, schema_in, tables_in
from calyx.data.csv.split import part_folders
from calyx.errors import CalyxError
from calyx.words.sentences import say_count
from client.config import Site
from client.failures import ClientFailure

UNREAD = "rows not looked at: no schema.yaml there says how"
ADD = "if they are for task=csv, put the schema.yaml that all sites agree on beside them"
MEND = "mend the file, or the schema.yaml that all sites agree on"


def look(site: Site, folder: Path, files: str) -> Check:
    """The check of a folder whose `files` are counted in words; rows are read, checked and split."""
    from calyx.tasks.csv import Csv  # late: other folders need none of it
    from client.rows.data import rows_of

    try:
        if not {path.name.lower() for path in folder.iterdir()} & set(SCHEMAS):
            is_table = bool(tables_in(folder) or part_folders(folder))
            return Check("data", "note" if is_table else "ok", f"{files}; {UNREAD}", ADD * is_table)
        section = {
            "name": Csv.name,
            "schema": str(schema_in(folder)),
            "clients": [site.name],
            "hidden": 0,
            "w_max": None,
        }
        rows = rows_of(Csv.completed(section), 1, site.name, folder)
    except (CalyxError, ClientFailure) as error:
        return Check("data", "problem", str(error), MEND)
    parts = ", ".join(f"{len(part)} to {name}" for name, part in rows.parts.items())
    found = (
        f"{files}; {say_count(len(rows.table), 'row')} of {site.name} as schema.yaml says: {parts}"
    )
    odd = [finding for finding in rows.findings if finding.severity == "warning"]
    if len(rows.table) < site.policy.min_cell:
        few = f"fewer than client.policy.min_cell={site.policy.min_cell}: the audit hears nothing of them"
        return Check("data", "note", found, f"{few}, and a model trained on so few says little")
    if odd:
        more = f" ({say_count(len(odd) - 1, 'more warning')})" if len(odd) > 1 else ""
        return Check("data", "note", found, f"{odd[0].message}{more}")
    return Check("data", "ok", found)
