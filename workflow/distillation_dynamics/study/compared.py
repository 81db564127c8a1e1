"""Which pairs of networks a study compares: those it names, or by default all of few. Imports no torch."""

from collections.abc import Iterator
from itertools import combinations_with_replacement, pairwise

from ..errors import nearest
from .keys import Configuration
from .study import Study

# All pairs of up to so many networks are compared, as many as a figure of all pairs shows. Pairs grow with the square.
MOST = 8


def network_pairs(study: Study) -> list[tuple[str, str]]:
    """Return the pairs of networks that are compared, and each network with itself, which is compared with its control.

    The reference comes before others, and these are in the order of the study, in each pair and in the list. By default
    of more than MOST networks each is compared with the reference, with its neighbours in the study's list and with the
    same network of another seed.
    """
    given = study.compare.pairs
    networks = sorted(study.networks, key=lambda name: name != study.reference)
    if isinstance(given, str) or (given is None and len(networks) <= MOST):
        return list(combinations_with_replacement(networks, 2))
    if given is None:
        chosen = [(study.reference, name) for name in networks]
        chosen += [pair for names in (tuple(study.networks), *study.seeds_of_one()) for pair in pairwise(names)]
    else:
        chosen = [(first, second) for first, second in given]
    places = {name: place for place, name in enumerate(networks)}
    found = {tuple(sorted((places[first], places[second]))) for first, second in chosen}
    found |= {(place, place) for place in places.values()}
    return [(networks[first], networks[second]) for first, second in sorted(found)]


def pair_faults(config: Configuration) -> Iterator[str]:
    """Yield a sentence for each pair of networks that cannot be compared."""
    given = config.compare.pairs
    if given is None or isinstance(given, str):
        return
    seen: set[frozenset[str]] = set()
    for number, pair in enumerate(given):
        key = f"compare.pairs.{number}"
        unknown = [name for name in pair if name not in config.networks]
        for name in unknown:
            yield f"{key}: {name!r} is not a network; {nearest(name, list(config.networks))}"
        if unknown:
            continue
        if len(set(pair)) == 1:
            yield f"{key}: {pair[0]} is given twice; give two networks, each is compared with its own control anyway"
        elif frozenset(pair) in seen:
            yield f"{key}: {pair[0]} and {pair[1]} are given before; remove one"
        seen.add(frozenset(pair))
