"""tools/kafka as tests use it: on ports that are free, and read by a client that shares no code with courierd."""

import importlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "test"), str(ROOT / "test/cluster")]
from client import wait_until  # noqa: E402
from ports import free_port  # noqa: E402
from tool_module import load_tool  # noqa: E402

tool = load_tool("kafka")
Unavailable = tool.Unavailable

try:
    import google.protobuf.json_format as json_format
    import kafka as python_client
    import kafka.admin as admin
    import zstandard  # noqa: F401: the client reads what is compressed with it
except ImportError as missing:
    json_format = python_client = admin = None
    MISSING = missing.name

PATIENCE = 60


def check():
    """Gets Kafka if it is not there. Error: Unavailable."""
    if python_client is None:
        raise Unavailable(f"{sys.executable} has no module {MISSING}: tools/setup kafka installs it")
    tool.fetch()


def event_of_schema(bin_dir):
    """The class Event as protoc makes it of what `courier events schema` prints."""
    with tempfile.TemporaryDirectory(prefix="courier-schema-") as folder:
        schema = subprocess.run([pathlib.Path(bin_dir) / "courier", "events", "schema"], capture_output=True, check=True).stdout
        (pathlib.Path(folder) / "courier_events.proto").write_bytes(schema)
        subprocess.run(["protoc", f"--proto_path={folder}", f"--python_out={folder}", "courier_events.proto"], check=True)
        sys.path.insert(0, folder)
        try:
            return importlib.import_module("courier_events_pb2").Event
        finally:
            sys.path.remove(folder)


def murmur2(data):
    """As Java's client has it, in 32 bits."""
    low, m = 0xFFFFFFFF, 0x5BD1E995
    h = (0x9747B28C ^ len(data)) & low
    whole = len(data) & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i:i + 4], "little") * m & low
        k = (k ^ k >> 24) * m & low
        h = (h * m & low) ^ k
    if whole < len(data):
        h = (h ^ int.from_bytes(data[whole:], "little")) * m & low
    h = (h ^ h >> 13) * m & low
    return h ^ h >> 15


class Kafka(tool.Kafka):
    """with Kafka() as kafka: it runs, and is gone afterwards."""

    def __init__(self, **more):
        super().__init__(tempfile.mkdtemp(prefix="courier-kafka-"), 0, **more)
        self._ports = {}

    def launcher(self, name):
        """It is large, and does not outlive a test that was killed."""
        return ["setpriv", "--pdeathsig", "KILL"]

    def port(self, which):
        if which not in self._ports:
            self._ports[which] = free_port()
        return self._ports[which]

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        if self.running():
            self.kill("kafka")
        if kind is not None and self.log("kafka").exists():
            print(f"--- Kafka's last words\n{self.log('kafka').read_text(errors='replace')[-3000:]}", file=sys.stderr)
        shutil.rmtree(self.dir, ignore_errors=True)

    def die(self):
        self.kill("kafka")

    def freeze(self):
        self.signal("kafka", signal.SIGSTOP)

    def thaw(self):
        self.signal("kafka", signal.SIGCONT)

    def sink(self, *lines):
        """Of a [[sink]] of courierd's."""
        return "\n".join(['kind = "kafka"', f'brokers = "{self.at()}"', f'security = "{self.security().lower()}"', *lines])

    def admin(self):
        return admin.KafkaAdminClient(bootstrap_servers=self.at("inside"))

    def create(self, *topics, partitions=tool.PARTITIONS, **settings):
        with_dots = {name.replace("_", "."): value for name, value in settings.items()}
        self.admin().create_topics([admin.NewTopic(topic, partitions, 1, topic_configs=with_dots) for topic in topics])

    def allow(self, user, topic):
        """To write."""
        self.ask("org.apache.kafka.tools.AclCommand", "--bootstrap-server", self.at("inside"), "--add", "--allow-principal",
                 f"User:{user}", "--producer", "--topic", topic)


class Reader:
    """What is in topics, from their beginnings: `told` has what `keep` makes of each record."""

    def __init__(self, kafka, topics, keep=lambda record: record):
        self.topics, self.keep, self.told = topics, keep, []
        self.consumer = python_client.KafkaConsumer(bootstrap_servers=kafka.at("inside"), fetch_max_wait_ms=50)
        self.consumer.assign([python_client.TopicPartition(topic, i) for topic in topics for i in self.partitions(topic)])
        self.consumer.seek_to_beginning()

    def partitions(self, topic):
        return wait_until(f"{topic} is there", lambda: self.consumer.partitions_for_topic(topic))

    def read(self):
        """Up to what there is now; returns `told`."""
        until = time.monotonic() + PATIENCE
        ends = self.consumer.end_offsets(list(self.consumer.assignment()))
        while any(self.consumer.position(each) < end for each, end in ends.items()):
            for records in self.consumer.poll(timeout_ms=100).values():
                self.told += map(self.keep, records)
            assert time.monotonic() < until, f"{self.topics} cannot be read to their ends within {PATIENCE} s"
        return self.told


def as_json(event):
    """As Courier's own JSON of it has to be."""
    return json_format.MessageToDict(event, preserving_proto_field_name=True)
