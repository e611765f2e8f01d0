"""Nodes that must not start: each ends with its exit code and a sentence that helps, and nothing is overwritten."""

import base64
import json
import os
import pathlib
import socket
import subprocess
import threading
import time

from client import Client
from stage import Stage, say

USAGE, CANNOT_JOIN, STORE_OF_ANOTHER = 2, 6, 5
NOT_IN_THE_FILE = ("patience", "partitions", "etcd_username", "etcd_password_file")


def keys(stage):
    """All of etcd, but for what running nodes go on saying of themselves: how far they have stored."""
    found = json.loads(stage.etcdctl("get", "", "--prefix", "-w", "json"))
    return {kv["key"]: (kv["create_revision"], kv["mod_revision"], kv.get("value"))
            for kv in found.get("kvs", []) if "/done/" not in _plain(kv["key"])}


def _plain(base64_text):
    return base64.b64decode(base64_text).decode(errors="replace")


def unlike(stage, before):
    """Keys that are not as they were, and new ones. Running nodes append to their part of the log, and cut it."""
    now = keys(stage)
    log = {_plain(key).split("/in/")[0] + "/node/" for key in before if "/in/" in _plain(key)}
    wrong = []
    for key in before.keys() | now.keys():
        if before.get(key) == now.get(key):
            continue
        name = _plain(key)
        of_the_log = ("/in/" in name and name.split("/in/")[0] + "/node/" in log) or name.endswith("/trimmed")
        if not of_the_log or (key in before and key in now and not name.endswith("/trimmed")):
            wrong.append(name)
    return wrong


def refused(stage, what, settings, code, *sentences):
    """Runs courierd with those settings, to its end."""
    file = stage.folder / "bad.toml"
    file.write_text(settings)
    began = time.monotonic()
    done = subprocess.run([stage.bin / "courierd", "--config", file], capture_output=True, text=True, timeout=60)
    said = done.stdout + done.stderr
    line = next((each for each in said.splitlines() if "cannot start" in each), said[-400:])
    say(f"{what}: exit {done.returncode} after {time.monotonic() - began:.1f} s: {line[:300]}")
    assert done.returncode == code, f"{what}: exit code {done.returncode}, not {code}\n{said}"
    for sentence in sentences:
        assert sentence in line, f"{what}: does not say {sentence!r}, but: {line}"


def settings_of(stage, name, cluster="loopback", **changes):
    """Those of a node, with other values where a change is named; a value is TOML."""
    if not (stage.dir / name / "courier.toml").exists():
        stage.write_settings(name)
    out = []
    for line in (stage.dir / name / "courier.toml").read_text().splitlines():
        key = line.split(" = ")[0]
        if key in changes:
            line = f"{key} = {changes[key]}"
        out.append(line)
        if line == "[cluster]":
            out += [f"{each} = {changes[each]}" for each in NOT_IN_THE_FILE if each in changes]
    return "\n".join(out).replace('"loopback"', f'"{cluster}"') + "\n"


def remember(stage, node, what):
    one = Client("keeper")
    one.connect(stage.at(node))
    one.publish("kept", what, 1, retain=True).wait()
    one.disconnect()


def remembers(stage, node, what):
    one = Client("keeper-looks")
    one.connect(stage.at(node))
    one.subscribe("kept")
    one.wait_for(what)
    assert one.payloads() == [what], one.payloads()
    one.disconnect()


def test_bad_start():
    with Stage(etcds=1, nodes=2) as stage:
        remember(stage, "n1", "of loopback")
        before = keys(stage)
        fresh = f'"{stage.folder}/fresh"'
        third = {"data_dir": fresh, "patience": '"6s"'}

        refused(stage, "a node's name twice", settings_of(stage, "n3", node='"n1"', **third), CANNOT_JOIN,
                'another process that is alive is node "n1" of the cluster "loopback"',
                "every node needs an id of its own")
        assert stage.ready("n1"), "the one that has the name is disturbed"
        refused(stage, "another number of partitions", settings_of(stage, "n3", partitions="32", **third), USAGE,
                "was created with 16 partitions", "configured for 32")
        assert not unlike(stage, before), unlike(stage, before)

        bad_etcd(stage, third)
        others_data(stage)
        newer_format(stage, third)
        remembers(stage, "n2", "of loopback")
        litter = [_plain(key) for key in keys(stage) if _plain(key).startswith("/courier/brandnew/")]
    credentials()
    assert not litter, f"a start that was refused has made a cluster: {litter}"


class Deaf(threading.Thread):
    """Takes connections, says nothing."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", port))
        self.start()

    def run(self):
        kept = []
        try:
            while True:
                kept.append(self.socket.accept())
        except OSError:
            pass


def bad_etcd(stage, third):
    third = {"data_dir": f'"{stage.folder}/untouched"', "patience": '"2s"'}
    http = f'["{stage.at("n1", "admin")}"]'
    refused(stage, "HTTP that is not etcd", settings_of(stage, "n3", etcd=http, **third), USAGE,
            "does not speak etcd's v3 API", str(stage.port("n1", "admin")))
    mqtt = f'["{stage.at("n1", "plain")}"]'
    refused(stage, "MQTT that is not etcd", settings_of(stage, "n3", etcd=mqtt, **third), CANNOT_JOIN,
            str(stage.port("n1", "plain")))
    nobody = f'["{stage.at("e9")}"]'
    refused(stage, "nobody is there", settings_of(stage, "n3", etcd=nobody, **third), CANNOT_JOIN,
            "no etcd with a quorum answers", str(stage.port("e9")))
    deaf = Deaf(stage.port("e8"))
    silent = f'["{stage.at("e8")}"]'
    refused(stage, "somebody who says nothing", settings_of(stage, "n3", etcd=silent, **third), CANNOT_JOIN,
            "no etcd with a quorum answers")
    deaf.socket.close()
    fresh = pathlib.Path(third["data_dir"].strip('"'))
    assert not fresh.exists() or not any(fresh.iterdir()), f"a refused start left {os.listdir(fresh)}"


def others_data(stage):
    """State belongs to one log, and no other takes it for its own."""
    before = keys(stage)
    assert stage.stop("n2") == 0
    data = f'"{stage.dir / "n2" / "data"}"'
    other = settings_of(stage, "n3", cluster="other", node='"n1"', data_dir=f'"{stage.folder}/other"')
    solo = other[:other.index("[cluster]")] + other[other.index("[auth]"):]

    # Another cluster in the same etcd, with a life of its own.
    run(stage, other, lambda: remember(stage, "n3", "of other"))
    refused(stage, "data_dir of another cluster", other.replace(f'"{stage.folder}/other"', data), STORE_OF_ANOTHER,
            "holds the state of the cluster whose log has the id", "Use another data directory")
    refused(stage, "data_dir of a cluster, alone", solo.replace(f'"{stage.folder}/other"', data), STORE_OF_ANOTHER,
            "holds the state of the cluster whose log has the id", "not of a node alone")
    alone = solo.replace(f'"{stage.folder}/other"', f'"{stage.folder}/solo"')
    run(stage, alone, lambda: remember(stage, "n3", "of one alone"))
    refused(stage, "data_dir of a node alone, in a cluster",
            settings_of(stage, "n3", node='"n2"', data_dir=f'"{stage.folder}/solo"'), STORE_OF_ANOTHER,
            "holds the state of a node alone", "Use another data directory")
    # A name that no cluster has: that the directory does not fit must be found before the cluster is made.
    refused(stage, "a new cluster with the data_dir of another",
            other.replace(f'"{stage.folder}/other"', data).replace('"other"', '"brandnew"'), USAGE,
            'there is no cluster "brandnew" in etcd', "empty data_dir")
    assert not [key for key in keys(stage) if key.startswith("/courier/brandnew/")]
    run(stage, alone, lambda: remembers(stage, "n3", "of one alone"))
    run(stage, other, lambda: remembers(stage, "n3", "of other"))
    stage.start_node("n2")
    overwritten = [key for key in unlike(stage, before) if key.startswith("/courier/loopback/") and "/in/" not in key]
    assert overwritten == ["/courier/loopback/node/n2"], overwritten  # which stopped, and is there again


def run(stage, settings, then):
    (stage.dir / "n3" / "courier.toml").write_text(settings)
    stage.start_node("n3")
    then()
    assert stage.stop("n3") == 0
    (stage.dir / "n3" / "courier.toml").unlink()


def newer_format(stage, third):
    stage.etcdctl("put", "/courier/newer/meta", "format=2\nid=0123456789abcdef0123456789abcdef\npartitions=16\n")
    before = keys(stage)
    refused(stage, "a cluster of a newer Courier", settings_of(stage, "n3", cluster="newer", **third), USAGE,
            'the cluster "newer" cannot be joined', "newer")
    assert not unlike(stage, before), unlike(stage, before)


def credentials():
    """An etcd that asks who is there."""
    with Stage(etcds=1, nodes=0) as stage:
        for command in (("user", "add", "root:right"), ("role", "add", "root"), ("user", "grant-role", "root", "root"),
                        ("auth", "enable")):
            stage.etcdctl(*command)
        data = f'"{stage.folder}/fresh"'
        for name, text in (("right", "right\n"), ("wrong", "wrong\n")):
            (stage.folder / name).write_text(text)

        def settings(name=None):
            more = {"etcd_username": '"root"', "etcd_password_file": f'"{stage.folder}/{name}"'} if name else {}
            return settings_of(stage, "n1", data_dir=data, patience='"3s"', **more)

        refused(stage, "no user", settings(), CANNOT_JOIN, "check the user")
        refused(stage, "a wrong password", settings("wrong"), CANNOT_JOIN, "check the user and the password")
        found = stage.etcdctl("--user", "root:right", "get", "", "--prefix", "--keys-only").split()
        assert not found, f"keys were written: {found}"
        (stage.dir / "n1" / "courier.toml").write_text(settings("right"))
        stage.start_node("n1")
        remember(stage, "n1", "with a password")
        remembers(stage, "n1", "with a password")
