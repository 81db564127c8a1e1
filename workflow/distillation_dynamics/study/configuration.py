"""The configuration of a study as it is written: files and `--config` of the command, read as one mapping.

Usual YAML readers keep the last of several equal keys and read `2e-3` as text, `1:30` as 90 and `no` as false. This one
reads as numbers what a person does, and refuses ambiguous text. Imports no torch.
"""

import argparse
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from ..errors import StudyError

PREFIX = "tag:yaml.org,2002:"
# Meanings of unquoted text: pattern, and its possible first characters.
MEANINGS = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?(0|[1-9][0-9_]*)", "-+0123456789"),
    "float": (
        r"[-+]?[0-9][0-9_]*(\.[0-9_]*([eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)|[-+]?\.[0-9]+([eE][-+]?[0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "merge": (r"<<", "<"),
    "timestamp": (r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?", "0123456789"),
}


class _Loader(yaml.SafeLoader):
    """Reads plain scalars as MEANINGS defines."""

    yaml_implicit_resolvers: dict = {}  # noqa: RUF012 (of yaml; filled below)


for _name, (_pattern, _first) in MEANINGS.items():
    _Loader.add_implicit_resolver(PREFIX + _name, re.compile(f"^(?:{_pattern})$"), list(_first))


def read(path: str | Path) -> dict[str, Any]:
    """Return the content of a configuration file.

    Raises StudyError with file and line if it is unreadable, not YAML in UTF-8, not a mapping, or contains a key twice,
    a key that is not text, or a date.
    """
    path = Path(path)
    name = str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise StudyError(
            f"{name}: {reason}; a configuration is a file, such as studies/smoke.yaml (everything after --configfile "
            "is read as one, so targets go before it, or behind `--`)"
        ) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, byte = content.count(b"\n", 0, error.start) + 1, content[error.start]
        raise StudyError(
            f"{name}, line {line}: not text in UTF-8 (byte 0x{byte:02x}); save the file as UTF-8"
        ) from error
    value = _parsed(text, name)
    if not isinstance(value, dict):
        found = {type(None): "nothing", list: "a list"}.get(type(value), "a single value")
        raise StudyError(
            f"{name}, line 1: the file holds {found}; a configuration holds keys with values (`name: mine`)"
        )
    return value


def merged(files: Iterable[str | Path], overrides: Iterable[str] = ()) -> dict[str, Any]:
    """Return the merged mapping of all `files`, later ones overriding earlier ones, and of `overrides` (`key=value`).

    Raises StudyError as `read` does, and for an override that is not `key=value`.
    """
    from snakemake.utils import update_config

    config: dict[str, Any] = {}
    for path in files:
        update_config(config, read(path))
    for entry in overrides:
        key, equals, text = entry.partition("=")
        if not equals or not key.isidentifier():
            raise StudyError(
                f"--config {entry}: write key=value with a key at the top of a study, as in --config seeds=[0,1] or "
                "--config 'statistics={baseline: soft}'"
            )
        update_config(config, {key: _parsed(text, f"--config {key}")})
    return config


def check_command(arguments: list[str]) -> None:
    """End the process with a sentence if the configuration that a command of `snakemake` names cannot be read.

    The profile calls it, because Snakemake names neither file nor line of a file that it cannot read.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--configfile", "--configfiles", nargs="+", default=[])
    parser.add_argument("--config", "-C", nargs="*", default=[])
    known, _ = parser.parse_known_args(arguments)
    try:
        merged(known.configfile, known.config)
    except StudyError as error:
        raise SystemExit(f"the study cannot run:\n{error}") from error


def _parsed(text: str, name: str) -> Any:
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if faults := list(_faults(node, name, "", set())):
            raise StudyError("\n".join(faults))
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(filter(None, [error.context, error.problem]))
        place = f"{name}, line {mark.line + 1}, column {mark.column + 1}"
        raise StudyError(f"{place}: not valid YAML ({what}); fix it there or just before") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise StudyError(f"{name}, line {line}: the character {error.character:#x} is not valid; remove it") from error
    except (ValueError, RecursionError) as error:
        raise StudyError(f"{name}: not valid YAML ({error}); write plain keys with values") from error


def _faults(node: yaml.Node, name: str, key: str, seen: set[int]) -> Iterator[str]:
    """Yield a sentence for everything ambiguous; `seen`: nodes that an alias may repeat."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _faults(item, name, f"{key}.{number}", seen)
    elif isinstance(node, yaml.MappingNode):
        lines: dict[Any, int] = {}
        for key_node, value in node.value:
            own, line = key_node.value, key_node.start_mark.line + 1
            if key_node.tag not in (f"{PREFIX}str", f"{PREFIX}merge"):
                yield f"{name}, line {line}: the key {_written(key_node)} is not text; write it in quotes"
                continue
            inner = f"{key}.{own}".removeprefix(".")
            if own in lines:
                yield f"{name}, line {line}: {inner} is given twice, first in line {lines[own]}; remove or rename one"
            lines.setdefault(own, line)
            yield from _faults(value, name, inner, seen)
    elif node.tag == f"{PREFIX}timestamp":
        line = node.start_mark.line + 1
        yield f'{name}, line {line}: {key}: {node.value} is a date in YAML; write it in quotes: "{node.value}"'


def _written(node: yaml.Node) -> str:
    return node.value if isinstance(node, yaml.ScalarNode) else "that is a list or a mapping"
