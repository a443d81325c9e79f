"""A pickle read without running it: every instruction is followed, no name is imported, nothing is called.

Here stands what surrounds the machine: arrays whose bytes follow in the file as joblib writes them, pickles inside of
them, and references to storages as PyTorch writes them.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection
from typing import Any

from airlock.domain.model_files.pickle_limits import MAX_NESTED
from airlock.domain.model_files.pickle_machine import Machine
from airlock.domain.model_files.pickle_memo import Memo, vocabulary
from airlock.domain.model_files.pickle_policy import Policy, Reading, Suspicion
from airlock.domain.model_files.pickle_rare import HANDLERS
from airlock.domain.model_files.pickle_values import (
    MAX_KEPT_ITEMS,
    OPAQUE,
    ArrayWrapper,
    DataType,
    Global,
    build_data_type,
    copied,
    stored_array,
)
from airlock.domain.model_files.streams import OverLimit, Stream, Unreadable, of_bytes

__all__ = ["InertUnpickler", "Reading", "Suspicion"]

_BUILD, _PERSID, _BINPERSID = 0x62, 0x50, 0x51
_IMPORTABLE = re.compile(r"(?:[A-Za-z_]\w*\.)+[A-Za-z_]\w*")
#: Bytes of an array that are looked at as if they were instructions.
_SUSPECT_BYTES = 4096


class InertUnpickler(Machine):
    """Follows one pickle.

    Args:
        stream: Where it stands.
        allowed: The names that it may import.
        persistent: Whether it may refer to storages outside of it, as PyTorch's do.
        joblib: Whether the bytes of arrays follow their wrappers, as joblib writes them.
        reading: Where to note what is seen.
        depth: How many pickles stand around this one.
        memo: Its memory, where it begins with one.
    """

    def __init__(
        self,
        stream: Stream,
        allowed: Collection[Global],
        *,
        persistent: bool = False,
        joblib: bool = False,
        reading: Reading | None = None,
        depth: int = 0,
        memo: Memo | None = None,
    ) -> None:
        self.reading = reading or Reading(suspicions=[], names=set())
        super().__init__(stream, Policy(allowed, self.reading), memo or Memo(vocabulary(allowed)))
        self.allowed = allowed
        self.persistent = persistent
        self.joblib = joblib
        self.depth = depth

    def run(self) -> Reading:
        """Read up to the pickle's end.

        Raises:
            Unreadable: The pickle is broken there; what was seen before stays in `reading`.
        """
        self.follow()
        if self.policy.wrapper:
            self.policy.misused(self.policy.wrapper, self.at)
        self.reading.ended = True
        return self.reading

    def rare(self, code: int) -> None:
        """Follow an instruction that the loop does not."""
        handler = HANDLERS.get(code)
        if handler is not None:
            handler(self)
        elif code == _BUILD:
            self._build()
        elif code == _BINPERSID:
            self._persistent(self.stack.pop())
        elif code == _PERSID:
            self.stream.line()
            self._persistent(OPAQUE)
        else:
            raise Unreadable(f"{bytes([code])!r} is no instruction of a pickle", self.at)

    def _build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        self.policy.given_state(target, state, self.at)
        if target.__class__ is DataType:
            build_data_type(target, state)
        elif target.__class__ is ArrayWrapper:
            self.policy.wrapper = None
            self.stack[-1] = OPAQUE
            if self.joblib:
                self._read_array(state)

    def _read_array(self, state: Any) -> None:
        if self.stream.position < self.frame_end:
            # joblib reads the array behind the frame and goes on inside it.
            raise Unreadable("an array of joblib stands inside a frame", self.at)
        array = stored_array(state)
        if array.objects:
            if self.depth >= MAX_NESTED:
                raise OverLimit("pickles stand inside each other too deeply", self.at)
            ended = self.reading.ended
            InertUnpickler(self.stream, self.allowed, reading=self.reading, depth=self.depth + 1).run()
            self.reading.ended = ended
            return
        if array.padded:
            padding = self.stream.byte()
            if padding > array.padded:
                raise Unreadable("the bytes before an array are more than its alignment needs", self.at)
            self.stream.skip(padding)
        else:
            self._read_as_plain()
        self.stream.skip(array.size_bytes)

    def _read_as_plain(self) -> None:
        """The same bytes as `pickle.load` would take them, which knows nothing of arrays that follow."""
        source, at = self.stream.window(_SUSPECT_BYTES)
        plain = InertUnpickler(
            of_bytes(source[at : at + _SUSPECT_BYTES]),
            self.allowed,
            persistent=self.persistent,
            memo=self.memo.shadow(),
        )
        plain.stack = [copied(each) for each in self.stack[-MAX_KEPT_ITEMS:]]
        with contextlib.suppress(Unreadable):
            plain.run()
        if any(_IMPORTABLE.fullmatch(each.name) for each in plain.reading.suspicions):
            self.policy.suspect("hides instructions in the bytes of an array", "", self.at)

    def _persistent(self, reference: Any) -> None:
        if not self.persistent:
            self.stack.append(OPAQUE)
            raise Unreadable("it refers to something outside of it", self.at)
        # PyTorch before 1.6 writes a class with its source; what comes back is the class.
        is_class = reference.__class__ is tuple and len(reference) > 1 and reference[0] == b"module"
        self.stack.append(reference[1] if is_class else OPAQUE)
