"""Whether the code on this machine is the one that a release was made with, byte for byte.

A model's file names a task, whose code makes the network and reads rows: other code could say anything.
Calyx's own packages are compared, and the package of somebody else's task. See docs/decisions/0061.
"""

from calyx.errors import UserError, printable
from calyx.releases.card import Card
from calyx.releases.card_parts import PackagePart
from calyx.releases.manifest import Unverified
from calyx.releases.task_package import package_of
from calyx.trust.manifest import places_of, seal
from calyx.trust.measured import Contents, contents, read_packages


def check_code(card: Card) -> None:
    """Compare what is installed here with what a card says.

    In a process of calyx/cli/isolated.py the task's package is imported from the bytes that were compared
    from now on, and tasks of others are refused. Raises Unverified.
    """
    try:
        _check(contents(), card.code, "Calyx's code")
        package, here = card.task.package, package_of(card.task.name)
        modules = package.modules if package else ()
        if modules != (here.modules if here else ()):
            raise Unverified(
                f"On this machine task={printable(card.task.name, 80)} is {_say_whose(here)}, and the "
                f"release was made with {_say_whose(package)}: install that, and take the other out."
            )
        others = read_packages(places_of(modules))
        if package is not None:
            _check(others, package.sha256, f"the package {printable(package.distribution, 80)}")
        seal(modules, others)
    except UserError as error:
        raise Unverified(str(error)) from None
    except OSError as error:
        raise Unverified(f"The installed code cannot be read: {error}.") from None


def _say_whose(package: PackagePart | None) -> str:
    return f"that of {printable(package.distribution, 80)}" if package else "Calyx's own"


def _check(here: Contents, wanted: str, what: str) -> None:
    if here.strangers:
        raise Unverified(
            f"On this machine {what} is not only sources: {printable(here.strangers[0])}; take it out, or "
            "install the package again."
        )
    if here.code != wanted:
        raise Unverified(
            f"On this machine {what} is another ({here.code[:16]}…) than the release was made with "
            f"({wanted[:16]}…): install that version, or release the model again with this one."
        )
