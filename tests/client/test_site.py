"""A client on a machine of its own: its file, its code, and whose runs it answers."""

import json

import pytest
import yaml
from flwr.app import Message, RecordDict

from calyx.errors import ConfigError, UserError
from calyx.files.plain import write_atomically
from calyx.fleet import site as sites
from calyx.fleet.site import Worker, check_site, read_site_config
from calyx.flower.bundle import bundle_hash, code_hash
from calyx.flower.messages import as_task
from calyx.secagg.roster import make_roster, write_roster
from calyx.trust.key_files import make_key
from calyx.trust.manifest import write_manifest
from calyx.trust.measured import Contents
from calyx.wire import messages as wire


@pytest.fixture
def folder(tmp_path, five):
    """Keys and a roster of five, and the file of the first."""
    names = list(five.nodes)
    public = {name: make_key("identity", name, tmp_path).key for name in names}
    write_atomically(tmp_path / "r.json", write_roster(make_roster(public, 1, bytes(32))).encode())
    section = five.plan.run.client | {
        "name": names[0],
        "identity": str(tmp_path / f"{names[0]}.key"),
        "roster": str(tmp_path / "r.json"),
        "state_dir": str(tmp_path / "state"),
    }
    value = {
        "server": "127.0.0.1:1",
        "authority": "ca.crt",
        "node_key": "x.node.key",
        "manifest": None,
        "client": section,
    }
    (tmp_path / "site.yaml").write_text(yaml.safe_dump(value))
    return tmp_path


def with_changes(folder, **changes):
    values = yaml.safe_load((folder / "site.yaml").read_text())
    values["client"] |= changes.pop("client", {})
    (folder / "site.yaml").write_text(yaml.safe_dump(values | changes))
    return read_site_config(folder / "site.yaml")


def test_a_file_of_before_names_all_keys_that_it_lacks_with_their_values():
    from support.site_files import POLICY, site_values

    from client.config import node_config, read_site

    client = site_values("gate:1")["client"] | {"identity": None, "roster": None}
    new = ("joins_a_day", "unfinished_a_day", "pace_s")
    older = {key: value for key, value in POLICY.items() if key not in new}
    with pytest.raises(ConfigError) as caught:
        read_site(node_config("north", client | {"policy": older}))
    said = str(caught.value)
    assert "lacks joins_a_day, unfinished_a_day and pace_s" in said
    assert "joins_a_day: 2, unfinished_a_day: 100 and pace_s: 2" in said
    with pytest.raises(ConfigError, match="lacks pace_s, which"):
        read_site(node_config("north", client | {"policy": older | dict.fromkeys(new[:2])}))


def test_a_sound_file_is_a_site_with_its_place_on_the_roster(folder, five):
    site = check_site(with_changes(folder))
    assert site.member is not None
    assert site.member.roster.name(site.member.u) == site.name == next(iter(five.nodes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"port": 1}, "port does not exist"),
        ({"client": {"policies": {}}}, "client.policies does not exist"),
        ({"client": {"identity": None}}, "identity and roster go together"),
        ({"client": {"identity": None, "roster": None}}, "wants secagg"),
        ({"client": {"state_dir": None}}, "needs client.state_dir"),
        ({"client": {"name": "nobody"}}, "does not name nobody"),
        ({"client": {"roster": "gone.json"}}, "gone.json"),
        ({"server": "gateway:port"}, "is no HOST:PORT"),
        ({"server": "https://gateway:9443"}, "is no HOST:PORT"),
        ({"server": "gate..example:9443"}, "is no HOST:PORT"),
        ({"client": {"state_dir": "/dev/null"}}, "/dev/null is no folder"),
    ],
)
def test_a_file_that_cannot_work_is_one_sentence(folder, changes, words):
    with pytest.raises(UserError, match=words) as caught:
        check_site(with_changes(folder, **changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "no YAML mapping"),
        (b"- a", "no YAML mapping"),
        (b"a: [", "line 1, column 5: this is no YAML"),
        (b"a: 1\nb: \xff", "line 2, column 4: the byte 0xff is no UTF-8"),
        (b"server: a:1\nserver: b:1\n", "line 2: the key server stands here and in line 1"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text, words):
    path = tmp_path / "site.yaml"
    path.write_bytes(text)
    with pytest.raises(UserError, match=words):
        read_site_config(path)


@pytest.mark.parametrize("word", ["010", "no", "2024", "null", "1e3", '"010"'])
def test_a_sites_words_are_as_they_are_written(folder, word):
    text = yaml.safe_dump({**yaml.safe_load((folder / "site.yaml").read_text()), "client": None})
    section = dict(with_changes(folder).client)
    lines = [f"  {key}: {json.dumps(value)}" for key, value in section.items()]
    lines = [f"  name: {word}" if line.startswith("  name:") else line for line in lines]
    (folder / "site.yaml").write_text(text.replace("client: null", "\n".join(["client:", *lines])))
    assert read_site_config(folder / "site.yaml").client == section | {"name": word.strip('"')}


def test_a_manifest_must_be_signed_fit_the_code_and_never_go_back(folder, monkeypatch):
    def sign(version, private=bytes(32)):
        (folder / "m.json").write_text(write_manifest(version, private))

    cfg = with_changes(folder, manifest=str(folder / "m.json"))
    sign(2)
    check_site(cfg)
    sign(1)
    with pytest.raises(UserError, match="no way back"):
        check_site(cfg)
    sign(3, bytes(range(32)))
    with pytest.raises(UserError, match="no manifest"):
        check_site(cfg)
    sign(3)
    monkeypatch.setattr(
        "calyx.trust.manifest.contents", lambda: Contents({"client/a.py": "0" * 64}, {}, ())
    )
    with pytest.raises(UserError, match="not what manifest 3 allows"):
        check_site(cfg)
    assert (folder / "state" / "manifest-version").read_text() == f"2 {code_hash()}"


def test_a_version_stands_for_one_content(folder, monkeypatch):
    cfg = with_changes(folder, manifest=str(folder / "m.json"))

    def install_and_sign(version, digit):
        found = Contents({"client/a.py": digit * 64}, {}, ())
        monkeypatch.setattr("calyx.trust.manifest.contents", lambda: found)
        (folder / "m.json").write_text(write_manifest(version, bytes(32)))

    (folder / "state").mkdir()
    (folder / "state" / "manifest-version").write_text("2")  # as it was before digests were kept
    install_and_sign(2, "0")
    check_site(cfg)
    check_site(cfg)
    install_and_sign(2, "1")  # installed here, and signed, and still a second version 2
    with pytest.raises(UserError, match="another manifest of version 2 than this site has seen"):
        check_site(cfg)
    install_and_sign(3, "1")
    check_site(cfg)


class Link:
    """What a worker needs of a connection."""

    node_id = 7

    def __init__(self, bundle):
        self.bundle = bundle

    def bundle_hash(self, run_id):
        return self.bundle


def question():
    as_task(3)
    return Message(RecordDict(), dst_node_id=7, message_type=wire.NAME_QUERY)


def test_a_run_of_the_installed_code_is_answered(folder, five):
    worker = Worker(Link(bundle_hash()), with_changes(folder))
    assert wire.read_name(worker.answer(question())) == next(iter(five.nodes))


def test_a_run_of_other_code_is_refused_without_running_anything(folder, monkeypatch):
    monkeypatch.setattr("client.app.app", lambda *_: pytest.fail("it ran"))
    worker = Worker(Link("0" * 64), with_changes(folder))
    reply = worker.answer(question())
    assert wire.failure_reason(reply) == "bundle-refused"


def test_a_first_round_begins_with_the_weights_of_its_seed(clients):
    from support.clients import code_of

    from calyx.model.weights import hash_weights

    other = {k: v + v.dtype.type(1) for k, v in clients.federation.template.items()}
    order = clients.order(weights=hash_weights(other))
    assert code_of(clients.ask(clients.names[0], order, weights=other)) == "weights-refused"


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "١", "1 0", "1 2 3"])
def test_a_damaged_version_is_one_sentence(folder, five, text):
    consortium = bytes(32)
    write_atomically(folder / "m.json", write_manifest(1, consortium).encode())
    (folder / "state").mkdir()
    (folder / "state" / "manifest-version").write_text(text)
    with pytest.raises(UserError, match="manifest-version is damaged"):
        check_site(with_changes(folder, manifest=str(folder / "m.json")))


@pytest.mark.parametrize("name", ["lock", "ledger.jsonl", "events.jsonl"])
def test_a_site_follows_no_link_in_its_own_folder(tmp_path, name):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / name).symlink_to(tmp_path / "precious")
    with pytest.raises(UserError, match=f"{name} is a link"), sites.alone(tmp_path / "state"):
        pass
    (tmp_path / "state" / name).unlink()
    (tmp_path / "way-in").symlink_to("state")  # what the site's file names may be one
    with sites.alone(tmp_path / "way-in"):
        assert (tmp_path / "precious").read_text() == "precious"
