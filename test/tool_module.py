"""A program of tools/ as a module: for tests of its parts, and for another program that uses some of them."""

import importlib.machinery
import importlib.util
import pathlib
import sys

TOOLS = pathlib.Path(__file__).resolve().parent.parent / "tools"


def load_tool(program):
    name = "tool_" + program.replace("-", "_")  # not that of a library
    loader = importlib.machinery.SourceFileLoader(name, str(TOOLS / program))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    sys.modules[name] = module  # dataclasses look their module up
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode  # none beside the programs
    loader.exec_module(module)
    sys.dont_write_bytecode = before
    return module
