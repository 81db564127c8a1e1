"""Tables of studies of many networks or variants, made of those of a small one: each row under as many names."""

import itertools

import pandas as pd

PAIR = ["network", "other"]


def of_networks(tables, one, pair, names):
    """Return tables of the networks in `names`: rows on network `one` for each, those on `pair` for every two.

    Controls come along. What is of other networks is left out.
    """
    return {table: _rows(rows, one, pair, names) for table, rows in tables.items()}


def _rows(rows, one, pair, names):
    if "network" not in rows:
        return rows
    if "other" not in rows:
        return _joined(rows[rows["network"].isin(_both(one))], "network", {name: one for name in names})
    parts, untrained = [], [_both(name)[1] for name in pair]
    for kind, of in ((pair, names), (untrained, [_both(name)[1] for name in names])):
        own = rows[(rows["network"] == kind[0]) & (rows["other"] == kind[1])]
        parts += [own.assign(network=a, other=b) for a, b in itertools.combinations(of, 2)]
    return pd.concat(parts, ignore_index=True)


def of_variants(tables, one, names):
    """Return tables in which what is of variant `one` is there for each of `names`, after all else."""
    return {
        table: pd.concat([rows, *(_renamed(rows, column, one, name) for name in names)], ignore_index=True)
        if (column := next((column for column in ("variant", "network") if column in rows), None))
        else rows
        for table, rows in tables.items()
    }


def _renamed(rows, column, one, name):
    return rows[rows[column] == one].assign(**{column: name})


def _joined(rows, column, names):
    parts = [rows.assign(**{column: rows[column].str.replace(one, name, regex=False)}) for name, one in names.items()]
    return pd.concat(parts, ignore_index=True)


def _both(name):
    return name, f"{name}_untrained"
