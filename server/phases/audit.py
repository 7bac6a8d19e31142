"""audit: statistics of everybody's rows as secure sums, what is wrong with them, and whether to stop.

The sums are in statistics.json, what they say in audit.json. Nothing of a single site is in either.
"""

from dataclasses import asdict, replace
from pathlib import Path

from calyx.config.section import digest
from calyx.errors import CalyxError, RoundFailed, quote_command
from calyx.files.plain import user_folder, write_json
from calyx.findings.baseline import column_of, compare_figures, drift_findings
from calyx.findings.drift import Drift
from calyx.findings.figures import Figures, read_sums
from calyx.findings.figures_json import as_json
from calyx.findings.finding import SEVERITIES, AuditFinding
from calyx.findings.findings import find
from calyx.preprocessing.federated import unsure_modes
from calyx.questions.statistics import survey_of
from calyx.run.order import Terms
from calyx.run.rows import Severity
from calyx.secagg.refusals import RefusalCode
from calyx.survey.blocks import ALL, TRAIN, Survey
from calyx.words.sentences import join_names
from server.baseline import read_baseline
from server.counted import Counted, holds, read_counted, write_counted
from server.exchange.asking import ask_all
from server.exchange.exchange import Exchange, TooFewReplies, total_counts
from server.run_context import RunContext

KEPT = "audit-kept"  # the event that the sums are an earlier run's, and the check


class AuditFailed(CalyxError):
    """The data has faults for which the config wants a run to stop."""


def run(context: RunContext) -> RunContext:
    """Audit once a run; a resumed one reads what was found. Raises AuditFailed, RoundFailed."""
    terms, path = _terms(context), context.folder.statistics
    is_new = not path.exists()
    counted = _ask_or_keep(context, terms) if is_new else _read(context, path)
    if is_new:
        write_counted(path, counted)
    survey = survey_of(context.task, terms, context.run.privacy)
    figures = read_sums(counted.sums, survey, counted.sites)
    drifts = _drift(context, figures)
    findings = [*find(figures, context.task.schema), *drift_findings(drifts or [])]
    findings += _unsure(context, counted)
    findings += [*_read_kept(context), *_find_left_out(context, counted)]
    findings = sorted(findings, key=lambda f: SEVERITIES.index(f.severity))
    head = {
        "task": context.task.name,
        "clients": sum(map(len, context.clients.asked)),
        "bins": survey.bins,
        "classes": list(context.task.schema.classes),
    }
    judgement = {
        "findings": [asdict(finding) for finding in findings],
        "drift": None if drifts is None else [asdict(drift) for drift in drifts],
    }
    write_json(context.folder.audit, head | as_json(figures) | judgement)
    if is_new:
        for finding in findings:
            _say(context, finding, drifts or [])
    _stop_if_wanted(context, findings)
    return replace(context, counted=counted)


def _terms(context: RunContext) -> Terms:
    """With the folds that federated constants are wanted of: sites give statistics once."""
    k = context.run.cv.k
    if not isinstance(k, int) or not context.preprocessing.is_federated:
        return context.terms
    return replace(context.terms, cv=context.run.cv.of_all())


def _say(context: RunContext, finding: AuditFinding, drifts: list[Drift]) -> None:
    """One event; that the sums are an earlier run's was said when they were taken."""
    severity: Severity = finding.severity
    if finding.check == KEPT:
        return
    details = {"check": finding.check, "column": finding.column, "advice": finding.advice}
    if finding.check == "drift":
        drift = next(drift for drift in drifts if column_of(drift) == finding.column)
        figures = {"psi": drift.psi, "ks": drift.ks}
        context.folder.event("drift", severity, finding.message, **details, **figures)
    else:
        context.folder.event("audit", severity, finding.message, **details)


def _unsure(context: RunContext, counted: Counted) -> list[AuditFinding]:
    """Of which columns the most frequent category, which is wanted for holes, is not known."""
    cfg = context.preprocessing
    if not cfg.is_federated:
        return []
    survey = survey_of(context.task, _terms(context), context.run.privacy)
    fitted = read_sums(counted.sums, survey, counted.sites, TRAIN)
    return list(unsure_modes(fitted, context.task.schema, cfg))


def _read_kept(context: RunContext) -> list[AuditFinding]:
    """What was warned of when the sums of an earlier run were taken; a resumed run knows it too."""
    events = context.folder.read_events()
    warned = [e.message for e in events if e.event == KEPT and e.severity == "warning"]
    advice = "Have the other sites deliver a new version of their rows, or go on with the earlier."
    return [AuditFinding(KEPT, "warning", None, None, m, advice) for m in dict.fromkeys(warned)]


def _find_left_out(context: RunContext, counted: Counted) -> list[AuditFinding]:
    """That sites are in no figure: a site whose rows nobody has looked at does not count as sound."""
    sites = sum(map(len, context.clients.asked))
    missing = sites - counted.sites
    if missing <= 0:
        return []
    message = (
        f"{missing} of {sites} sites {'is' if missing == 1 else 'are'} in no figure of this audit."
    )
    advice = "The run's events.jsonl says which, and why; its rows have not been looked at."
    return [AuditFinding("left-out", "warning", None, missing, message, advice)]


def _drift(context: RunContext, figures: Figures) -> list[Drift] | None:
    """How the data differs from the baseline's. Raises UserError for one that cannot be compared."""
    audit = context.run.audit
    if audit.baseline is None:
        return None
    earlier = read_baseline(audit.baseline, context.task, audit.bins)
    return compare_figures(earlier, figures, audit.bins)


def _stop_if_wanted(context: RunContext, findings: list[AuditFinding]) -> None:
    fail_on = context.run.audit.fail_on
    if fail_on == "never":
        return
    grave = SEVERITIES[: SEVERITIES.index(fail_on) + 1]
    stops = [finding for finding in findings if finding.severity in grave]
    if stops:
        more = f" (and {len(stops) - 1} more, in {context.folder.audit})" if len(stops) > 1 else ""
        raise AuditFailed(
            f"The audit found: {stops[0].message} {stops[0].advice}{more} To go on all the same: "
            f"`{quote_command('calyx', 'resume', context.folder.path, 'audit.fail_on=never')}`."
        )


def count(context: RunContext, terms: Terms, run: str) -> Counted:
    """Ask all clients for the statistics of these terms, in a run of its own. Raises RoundFailed."""
    federation = context.federation(run, terms, {})
    outcome = ask_all(federation, Exchange("statistics", 0, context.clients.everybody), {})
    sites = sum(a.weight for a in outcome.counted)
    leaves_test = terms.cv is not None and terms.cv.combine is not None
    return Counted(total_counts(outcome.counted), sites, terms.folds, terms.seed, leaves_test)


def _ask_or_keep(context: RunContext, terms: Terms) -> Counted:
    """Fresh sums; or those that an earlier run got of sites that give them once."""
    kept = _kept_file(context, terms) if context.engine.clients_remember else None
    try:
        counted = count(context, terms, f"{context.state.run}-audit")
    except TooFewReplies as error:
        if kept is not None and kept.exists():
            _say_kept(context, kept, error)
            return _read(context, kept)
        raise RoundFailed(_why_none(error)) from None
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_counted(kept, counted)
    return counted


def _say_kept(context: RunContext, kept: Path, error: TooFewReplies) -> None:
    """A warning where sites have rows that the sums of an earlier run do not have."""
    changed = error.answered if _is_refused(error) else []
    if not changed:
        message = f"The audit's sums are those of {kept}: {error}."
        context.folder.event(KEPT, "info", message)
        return
    have = "has" if len(changed) == 1 else "have"
    message = (
        f"{join_names(changed)} {have} a new version of the rows, and the audit's figures are of the "
        f"earlier ones ({kept}): new figures come when all sites have a new version."
    )
    context.folder.event(KEPT, "warning", message, clients=changed)


def _why_none(error: TooFewReplies) -> str:
    if not error.at_fault:
        return str(error)
    who = join_names([f"{name} ({reason})" for name, reason in error.at_fault.items()])
    them = "it" if len(error.at_fault) == 1 else "them"
    sentence = f"{who} gave no statistics, and without {them} too few clients are left for a sum"
    if _is_refused(error):
        sentence += (
            ". Sites give statistics once for each version of their data; without them a run starts "
            "with phases=[preprocess,train,validate,release]"
        )
    return sentence


def _is_refused(error: TooFewReplies) -> bool:
    """Whether a site has given its statistics before."""
    code = RefusalCode.SECOND_VECTOR.value
    return any(reason.startswith(code) for reason in error.at_fault.values())


def _kept_file(context: RunContext, terms: Terms) -> Path:
    base = user_folder("XDG_STATE_HOME", ".local/state")
    federation = context.clients.roster.digest.hex() if context.clients.roster else ""
    name = digest([terms.task, context.run.audit.bins, sorted(context.clients.nodes), federation])
    return base / "calyx" / "statistics" / f"{name}.json"


def _read(context: RunContext, path: Path) -> Counted:
    """The sums in a file, if they are of what this run counts. Raises CalyxError."""
    try:
        counted = read_counted(path)
    except (OSError, ValueError):
        raise CalyxError(
            f"{path} is damaged; remove it, and the statistics are asked for again."
        ) from None
    survey = Survey(context.task.schema, context.run.audit.bins, (ALL, TRAIN))
    if not holds(counted.sums, survey):
        raise CalyxError(
            f"{path} holds the sums of another version of Calyx, or of another schema: go on with what "
            "made it, or begin a run without an audit (phases=[preprocess,train,validate,release])."
        )
    return counted
