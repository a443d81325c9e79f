"""How far a pickle is followed: what one file may cost in time and memory, whatever it says of itself.

Measured (docs/performance.md): an instruction takes 0.15 to 0.3 µs, so the most that a file can cost is a minute or
two; what is kept of the largest one stays below 100 MB.
"""

from __future__ import annotations

#: Instructions of one file.
MAX_INSTRUCTIONS = 400_000_000
#: Values that stand on the stack at once.
MAX_OPEN = 2_000_000
#: Marks that are open at once; pickles nest no deeper than their writer's own stack.
MAX_MARKS = 10_000
#: Values on the stack beyond which texts, tuples and dictionaries that lie deep below are no longer told apart.
MAX_OPEN_IN_DETAIL = 100_000
#: Of each open level, the newest values that are always told apart.
KEPT_AT_THE_TOP = 16
#: Bytes of a text that is kept; the longest name of the lists has 70.
MAX_KEPT_TEXT = 256
#: Texts, tuples and dictionaries that are remembered in full; texts of the lists are remembered beyond that.
MAX_REMEMBERED = 20_000
#: Values that are remembered one by one: imports, data types, texts of the lists.
MAX_REMEMBERED_ALWAYS = 300_000
#: Values that are remembered under numbers without order.
MAX_SCATTERED = 300_000
#: Different names that are imported.
MAX_NAMES = 20_000
#: Data types of NumPy that are made; writers make each one once.
MAX_DATA_TYPES = 300_000
MAX_SUSPICIONS = 20
#: Pickles inside arrays inside pickles.
MAX_NESTED = 3
#: Bytes of a line of text; of a number, a position in the memory.
MAX_LINE_BYTES = 1 << 26
MAX_NAME_BYTES = 1 << 16
MAX_NUMBER_BYTES = 40
