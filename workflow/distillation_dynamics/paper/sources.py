"""Sources that a paper cites: the entries of `resources/sources.bib` used by parts of a study.

In: BibTeX whose entries say in `usedby` what they are the source of, such as `objective soft` or `model cait` (for a
model the beginning of its timm name). Out: citations, and the cited entries in file order.
"""

import re

ENTRY = re.compile(r"^@\w+\{(?P<key>[^,\s]+),.*?^\}\n", re.MULTILINE | re.DOTALL)
USED_BY = re.compile(r",?\s*\n\s*usedby\s*=\s*\{(?P<parts>[^}]*)\}", re.DOTALL)
# Kinds matched by their beginning.
BEGINNING = "model "


class Sources:
    """The entries of a BibTeX file, and those that were cited."""

    def __init__(self, bibtex: str):
        self.entries: dict[str, str] = {}
        self.used_by: dict[str, tuple[str, ...]] = {}
        self.cited: set[str] = set()
        for entry in ENTRY.finditer(bibtex):
            parts = USED_BY.search(entry[0])
            self.entries[entry["key"]] = USED_BY.sub("", entry[0])
            self.used_by[entry["key"]] = tuple(part.strip() for part in parts["parts"].split(",")) if parts else ()

    def cite(self, *parts: str) -> str:
        r"""Return `~\cite{...}` of the sources of parts of a study, and remember them; "" without a source."""
        keys = [key for key, known in self.used_by.items() if any(_is(part, one) for part in parts for one in known)]
        self.cited.update(keys)
        return rf"~\cite{{{','.join(keys)}}}" if keys else ""

    def bibliography(self) -> str:
        """Return BibTeX of the cited entries."""
        return "\n".join(text for key, text in self.entries.items() if key in self.cited)


def _is(part: str, known: str) -> bool:
    return part.startswith(known) if known.startswith(BEGINNING) else part == known
