"""Certificates of an operator: what they say, and renewing them."""

import shutil
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.x509 import verification
from support.certificates import drop_identifiers, replace_authority, replace_server

from calyx.cli import keys
from calyx.errors import UserError
from calyx.trust.certificates import check_pair, check_signed, describe


def strictly(folder, authority, flags=ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN):
    """What a client says of the server's certificate: by default one with Python 3.13's flags."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.crt", folder / "server.key")
    trusting = ssl.create_default_context(cafile=authority)
    trusting.verify_flags |= flags
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    there = server.wrap_bio(up, down, server_side=True)
    here = trusting.wrap_bio(down, up, server_hostname="gate.example")
    for side in (here, there, here):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
    return "trusted"


@pytest.fixture
def folder(tmp_path):
    assert keys.main(["init", "--folder", str(tmp_path), "--host", "gate.example"]) == 0
    return tmp_path


def test_a_servers_certificate_names_its_host_and_ends_after_thirteen_months(folder):
    made = describe(folder / "server.crt")
    assert set(made.names) == {"gate.example", "127.0.0.1", "localhost"}
    assert timedelta(days=390) < made.ends - datetime.now(UTC) < timedelta(days=400)
    for path in folder.glob("*.key"):
        assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.parametrize("host", ["", "a b", "host/path", "-", "a..b", "x" * 64])
def test_a_host_that_is_none_is_refused(tmp_path, host):
    with pytest.raises(UserError, match="neither a host"):
        keys.main(["init", "--folder", str(tmp_path), f"--host={host}"])
    assert list(tmp_path.iterdir()) == []


def test_a_renewed_certificate_is_of_the_same_authority_and_names(folder, capsys):
    replace_server(folder, -400, -1)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    assert keys.main(["renew", "--folder", str(folder)]) == 0
    assert "sites need nothing new" in capsys.readouterr().out
    made = describe(folder / "server.crt")
    assert set(made.names) == {"gate.example", "127.0.0.1", "localhost"}
    check_signed(folder / "server.crt", folder / "ca.crt")
    check_pair(folder / "server.crt", folder / "server.key")
    for name in ("ca.crt", "ca.key"):
        assert (folder / name).read_bytes() == before[name]
    for name in ("server.crt", "server.key"):
        assert (folder / f"{name}.old").read_bytes() == before[name]
        assert (folder / name).read_bytes() != before[name]
    for name in ("server.key", "server.key.old"):
        assert (folder / name).stat().st_mode & 0o077 == 0


def test_a_renewal_adds_names_and_keeps_those_that_were_there(folder, capsys):
    for host in ("10.0.0.5", "two.example", "three.example"):
        assert keys.main(["renew", "--folder", str(folder), "--host", host]) == 0
        said = capsys.readouterr().out
        assert f"new among them {host}" in " ".join(said.split())
        assert "sites need nothing new" in said
    assert set(describe(folder / "server.crt").names) == {
        *("gate.example", "10.0.0.5", "two.example", "three.example"),
        *("127.0.0.1", "localhost"),
    }


def test_a_renewal_says_which_names_end_with_the_old_certificate(folder, capsys):
    keys.main(["renew", "--folder", str(folder), "--host", "new.exmaple"])  # a typing error
    capsys.readouterr()
    place = ["renew", "--folder", str(folder)]
    assert keys.main([*place, "--host", "new.example", "--without", "new.exmaple"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "sites need nothing new" not in said
    assert "Sites that reach the server as new.exmaple will be refused" in said
    for name, words in (
        ("nowhere.example", "the certificate is for gate.example, new.example"),
        ("localhost", "it stays"),
        ("new.example", "--host=new.example and --without=new.example are the same name"),
    ):
        added = ["--host", name] if "same" in words else []
        with pytest.raises(UserError, match=words):
            keys.main([*place, *added, "--without", name])
    with pytest.raises(UserError, match="No site could reach the server"):
        keys.main([*place, "--without", "new.example", "--without", "gate.example"])


def test_a_second_renewal_keeps_the_first_pair_too(folder):
    first = (folder / "server.key").read_bytes()
    for _ in range(3):
        assert keys.main(["renew", "--folder", str(folder)]) == 0
    assert (folder / "server.key.old").read_bytes() == first
    kept = [folder / f"server.key.{end}" for end in ("old", "old-2", "old-3")]
    assert len({path.read_bytes() for path in kept}) == 3
    assert all(path.stat().st_mode & 0o077 == 0 for path in kept)


def test_a_strict_verifier_takes_what_is_made_and_what_an_older_folder_is_renewed_to(
    folder, capsys
):
    assert strictly(folder, folder / "ca.crt") == "trusted"
    drop_identifiers(folder, "ca.crt", "server.crt")
    (folder / "pinned.crt").write_bytes((folder / "ca.crt").read_bytes())  # at a site, since then
    assert "Missing" in strictly(folder, folder / "ca.crt")
    assert keys.main(["renew", "--folder", str(folder)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "sites need nothing new" not in said
    assert "ca.crt is new too, of the same key" in said
    assert strictly(folder, folder / "ca.crt") == "trusted"
    assert strictly(folder, folder / "pinned.crt", flags=ssl.VERIFY_DEFAULT) == "trusted"
    assert abs(describe(folder / "ca.crt").ends - describe(folder / "ca.crt.old").ends) < timedelta(
        minutes=1
    )
    capsys.readouterr()
    assert keys.main(["renew", "--folder", str(folder)]) == 0
    assert "sites need nothing new" in capsys.readouterr().out


def test_another_implementation_verifies_the_servers_certificate_for_each_of_its_names(folder):
    """`cryptography`'s own verifier follows RFC 5280 and the rules of browsers' authorities."""
    root, leaf = (
        x509.load_pem_x509_certificate((folder / name).read_bytes())
        for name in ("ca.crt", "server.crt")
    )
    store = verification.Store([root])
    for name in (x509.DNSName("gate.example"), x509.IPAddress(ip_address("127.0.0.1"))):
        verifier = verification.PolicyBuilder().store(store).build_server_verifier(name)
        assert verifier.verify(leaf, []) == [leaf, root]


def test_a_certificate_is_renewed_where_the_earlier_key_or_both_are_lost(folder):
    (folder / "server.key").unlink()
    assert keys.main(["renew", "--folder", str(folder)]) == 0
    check_pair(folder / "server.crt", folder / "server.key")
    assert "gate.example" in describe(folder / "server.crt").names
    (folder / "server.crt").unlink()
    assert keys.main(["renew", "--folder", str(folder), "--host", "new.example"]) == 0
    check_pair(folder / "server.crt", folder / "server.key")


def test_a_certificate_does_not_outlive_its_authority(folder):
    replace_authority(folder, -1, 50)
    assert keys.main(["renew", "--folder", str(folder)]) == 0
    ends = [describe(folder / name).ends for name in ("server.crt", "ca.crt")]
    assert abs(ends[0] - ends[1]) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: replace_authority(f, -20, -10), "ca.crt has ended"),
        (lambda f: (f / "ca.key").unlink(), "cannot be read"),
        (lambda f: (f / "ca.crt").unlink(), "cannot be read"),
        (lambda f: (f / "server.crt").unlink(), "cannot be read"),
        (lambda f: (f / "ca.key").write_bytes(b"x"), "no private key"),
        (lambda f: shutil.copy(f / "server.key", f / "ca.key"), "is not the key of"),
        (lambda f: (f / "server.crt").write_bytes(b""), "is no certificate"),
    ],
)
def test_what_cannot_be_renewed_is_one_sentence_and_stays_as_it_was(folder, damage, words):
    damage(folder)
    before = {p: p.read_bytes() for p in folder.iterdir()}
    with pytest.raises(UserError, match=words) as caught:
        keys.main(["renew", "--folder", str(folder)])
    assert "\n" not in str(caught.value)
    assert {p: p.read_bytes() for p in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("begins", "ends", "words"),
    [
        (-1, 100, "(100 days left)"),
        (-1, 10, "It ends in"),
        (-20, -10, "It has ended"),
        (5, 10, "not valid yet"),
    ],
)
def test_show_says_when_a_certificate_ends(folder, capsys, begins, ends, words):
    replace_server(folder, begins, ends)
    assert keys.main(["show", str(folder / "server.crt"), str(folder / "ca.crt")]) == 0
    said = capsys.readouterr().out
    assert words in said
    assert "gate.example" in said
    assert "signing the server's" in said


def test_show_says_what_to_do_when_an_authority_ends(folder, capsys):
    for begins, ends, words in ((-20, 10, "It ends in 10 days"), (-20, -10, "It has ended")):
        replace_authority(folder, begins, ends)
        capsys.readouterr()
        assert keys.main(["show", str(folder / "ca.crt")]) == 0
        assert f"{words}: make another with `calyx keys init" in capsys.readouterr().out


def test_a_site_that_has_one_of_its_keys_gets_the_other_and_keeps_that_one(folder, capsys):
    place = ["--folder", str(folder)]
    assert keys.main(["identity", "north", *place]) == 0
    made = {path: path.read_bytes() for path in folder.glob("north.*")}
    assert keys.main(["site", "north", *place]) == 0
    assert "The identity key of north stays" in capsys.readouterr().out
    assert all(path.read_bytes() == data for path, data in made.items())
    node = folder / "north.node.pub"
    before = node.read_bytes()
    for path in (node, folder / "north.node.key"):  # as docs/deploy.md replaces a node key
        path.unlink()
    assert keys.main(["site", "north", *place]) == 0
    assert node.read_bytes() != before
    for whole in ("north.key", "north.node.pub"):
        (folder / whole).unlink()
        with pytest.raises(UserError, match="keys are not replaced"):
            keys.main(["site", "north", *place])
    assert sorted(path.name for path in folder.glob("north.*")) == ["north.node.key", "north.pub"]


def test_show_knows_a_sites_node_key(folder, capsys):
    assert keys.main(["site", "north", "--folder", str(folder)]) == 0
    assert keys.main(["show", str(folder / "north.node.pub")]) == 0
    assert "a site's node key" in capsys.readouterr().out
    (folder / "bad.pub").write_bytes(b"-----BEGIN PUBLIC KEY-----")
    with pytest.raises(UserError, match="no public node key"):
        keys.main(["show", str(folder / "bad.pub")])


def test_a_host_beyond_ascii_is_one_sentence(folder):
    with pytest.raises(UserError, match="is neither a host's name nor an address"):
        keys.main(["renew", "--folder", str(folder), "--host", "m\u00fcnchen.de"])
