"""Whether a site reaches its server: name, port, TLS, certificate, clock. Nothing of it is sent."""

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx

from calyx.cli.checks import Check
from calyx.errors import CalyxError, UserError
from calyx.fleet.site import SiteConfig
from calyx.machine.proxies import Proxy, proxy_for
from calyx.trust.bounded_http import blame, bounded_client, root_of, seconds_ahead
from calyx.trust.certificates import SOON_DAYS, describe

ANSWER_S = 5.0
_STRICT = "Python 3.13 and newer refuse those"
NOTE_CLOCK_S, BAD_CLOCK_S = 30, 240  # node keys are believed for 300 s
# OpenSSL's numbers of what is wrong with a certificate (x509_vfy.h).
_NOT_YET, _ENDED, _OTHER_HOST, _UNSIGNED = 9, 10, (62, 64), (7, 18, 19, 20, 21)
_NO_IDENTIFIER = (85, 86)  # of the signer, of its own


def reach(cfg: SiteConfig) -> Iterator[Check]:
    """Ask the server for `/`, which no gateway has, as `calyx client` would reach it."""
    host = cfg.server.rpartition(":")[0]
    proxy: Proxy | None = None
    try:
        proxy = proxy_for(cfg.server)
        if proxy is not None:
            what = f"{proxy} stands between this site and {cfg.server}"
            yield Check("proxy", "note", what, f"add {host} to no_proxy if it should not")
    except UserError as error:
        yield Check("proxy", "problem", str(error), "see this machine's network settings")
        return
    try:
        left = describe(Path(cfg.authority)).days_left(datetime.now(UTC))
        with bounded_client(Path(cfg.authority), proxy) as client:
            client.timeout = httpx.Timeout(ANSWER_S)
            with client.stream("GET", f"https://{cfg.server}/") as answer:
                yield from _judge_answer(cfg, answer, left)
    except UserError as error:
        yield Check("server", "problem", str(error), "get ca.crt from the operator")
    except CalyxError as error:
        yield Check("server", "problem", str(error), "ask the operator what listens there")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        of_proxy = blame(error, cfg.server, proxy) if isinstance(error, httpx.HTTPError) else None
        if of_proxy is not None:
            mend = f"ask whoever runs it to let {cfg.server} through, or add {host} to no_proxy"
            yield Check("server", "problem", of_proxy, mend)
            return
        what, mend = _why(error, cfg, left)
        yield Check("server", "problem", f"{cfg.server} {what}", mend)


def _judge_answer(
    cfg: SiteConfig, answer: httpx.Response, authority_left: float
) -> Iterator[Check]:
    if answer.status_code not in (404, 429):  # a gateway has nothing at `/`, or counts too many
        what = (
            f"{cfg.server} answers {answer.status_code} to GET /, which is not what a gateway does"
        )
        yield Check("server", "note", what, "is the address right?")
    else:
        yield Check("server", "ok", f"{cfg.server} answers, with a certificate of {cfg.authority}")
    yield _certificate(answer, authority_left)
    yield _clock(answer)


def _why(error: Exception, cfg: SiteConfig, authority_left: float) -> tuple[str, str]:
    """What is wrong with a connection, in words, and the cure."""
    host = cfg.server.rpartition(":")[0]
    cause = root_of(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _distrust(cause, cfg, authority_left)
    if isinstance(cause, ssl.SSLError):
        return (
            f"does not speak TLS as a gateway does ({cause.reason or cause})",
            "is the address right?",
        )
    if isinstance(cause, socket.gaierror):
        return "cannot be found", f"the name {host} is not known here: see DNS"
    if isinstance(cause, ConnectionRefusedError):
        return "refuses connections", "is it running, and is this its port?"
    if isinstance(error, httpx.TimeoutException):
        mend = "is it running, and does every firewall between let this port through?"
        return f"does not answer within {ANSWER_S:.0f} s", mend
    reason = getattr(cause, "strerror", None) or str(error).rstrip(".") or type(error).__name__
    return f"cannot be reached ({reason})", "is the network up, and is `calyx server` running?"


def _distrust(
    cause: ssl.SSLCertVerificationError, cfg: SiteConfig, authority_left: float
) -> tuple[str, str]:
    code, host, authority = cause.verify_code, cfg.server.rpartition(":")[0], cfg.authority
    if code == _ENDED and authority_left < 0:
        return f"is not trusted: {authority} has ended", "get a new ca.crt from the operator"
    if code == _ENDED:
        mend = "tell the operator: `calyx keys renew`, if this machine's clock is right"
        return "has a certificate that has ended", mend
    if code == _NOT_YET:
        return "has a certificate that is not valid yet", "set this machine's clock by NTP"
    if code in _OTHER_HOST:
        mend = f"ask the operator for `calyx keys renew --host {host}`, or mend `server`"
        return f"has a certificate that is not for {host}", mend
    if code in _NO_IDENTIFIER:
        what = f"has certificates without key identifiers ({cause.verify_message})"
        mend = f"ask the operator for `calyx keys renew`, and for the new ca.crt; {_STRICT}"
        return what, mend
    mend = "compare ca.crt with the operator's; a firewall that opens TLS would do this too"
    if code in _UNSIGNED:
        return f"has a certificate that was not signed by {authority}", mend
    return f"has a certificate that cannot be trusted ({cause.verify_message})", mend


def _certificate(answer: httpx.Response, authority_left: float) -> Check:
    stream = answer.extensions["network_stream"]
    ends = ssl.cert_time_to_seconds(stream.get_extra_info("ssl_object").getpeercert()["notAfter"])
    left = (ends - datetime.now(UTC).timestamp()) / 86400
    ends_words = f"the server's ends in {left:.0f} days, its authority's in {authority_left:.0f}"
    if left < SOON_DAYS:
        return Check("certificate", "note", ends_words, "tell the operator: `calyx keys renew`")
    if authority_left < SOON_DAYS:
        return Check("certificate", "note", ends_words, "ask the operator for a new ca.crt")
    return Check("certificate", "ok", ends_words)


def _clock(answer: httpx.Response) -> Check:
    if "date" not in answer.headers:
        return Check("clock", "note", "the server does not say what time it is", "see NTP here")
    ahead = seconds_ahead(answer)
    words = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the server's"
    if abs(ahead) > NOTE_CLOCK_S:
        is_bad = abs(ahead) > BAD_CLOCK_S
        return Check("clock", "problem" if is_bad else "note", words, "set it by NTP")
    return Check("clock", "ok", words)
