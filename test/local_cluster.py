"""tools/cluster as tests use it: on ports that are free."""

import os
import pathlib
import subprocess

from ports import free_port
from tool_module import load_tool

ROOT = pathlib.Path(__file__).resolve().parent.parent

tool = load_tool("cluster")


class LocalCluster(tool.Cluster):
    def __init__(self, directory, bin_dir, **more):
        super().__init__(directory, 0, bin_dir, **more)
        self._ports = {}

    def port(self, name, which=None):
        which = which or {"e": "client", "n": "plain", "h": "phones"}[name[0]]
        if (name, which) not in self._ports:
            while (port := free_port()) in self._ports.values():
                pass
            self._ports[name, which] = port
        return self._ports[name, which]

    def etcdctl(self, *arguments, endpoint=None):
        """What it prints. Of all members, or of one."""
        endpoints = endpoint or ",".join(self.at(f"e{i}") for i in self.etcd_numbers())
        return subprocess.run(["etcdctl", "--endpoints", endpoints, *arguments], env={**os.environ, "ETCDCTL_API": "3"},
                              capture_output=True, text=True, timeout=30, check=True).stdout
