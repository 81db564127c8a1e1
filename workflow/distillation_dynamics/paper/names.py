"""Names of LaTeX macros, which may hold letters alone: one for every sequence of texts, and no two alike.

`_` begins a capital, a digit is its English word, parts are separated by X. Everything that could be taken for one of
these is marked with Q: a capital letter, another character (by its code), and a word that begins like a digit or X. So
what a name was made of can be read back from it, and names cannot collide.
"""

from collections.abc import Iterable

PREFIX, BETWEEN, MARK = "DD", "X", "Q"
DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
LIKE_OTHERS = (*DIGITS, BETWEEN)
# Hexadecimal digits as letters.
HEX = str.maketrans("0123456789abcdef", "abcdefghijklmnop")


def macro(parts: Iterable[str]) -> str:
    r"""Return the name of a macro, with its backslash: ('variants', 'last2', 'low') gives \DDVariantsXLastTwoXLow."""
    return "\\" + PREFIX + BETWEEN.join(_encoded(part) for part in parts)


def _encoded(part: str) -> str:
    """Return a part as letters. A first word begins with a capital without `_`."""
    text, place = "", 0
    while place < len(part):
        begins = place == 0 or part[place] == "_"
        word = part[place + (place > 0) :]
        letter = part[place]
        place += 1
        if begins and "a" <= word[:1] <= "z" and word[0] != "q":
            word = word[0].upper() + word[1:]
            text += MARK * word.startswith(LIKE_OTHERS) + word[0]
            place += letter == "_"
        elif "a" <= letter <= "z":
            text += letter
        elif "0" <= letter <= "9":
            text += DIGITS[int(letter)]
        elif "A" <= letter <= "Z":
            text += MARK + MARK + letter
        else:
            text += MARK + f"{ord(letter):x}".translate(HEX) + MARK
    return text
