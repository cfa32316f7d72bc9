"""Counts lines while they pass by: a line ends at a newline byte, and the last may lack it."""

_SPACE = 0x20  # and all that stands below it: newline, tab, carriage return


class LineCounter:
    """Counts the lines of a text that comes in pieces.

    `bytes.find` is four times as fast as `bytes.count` on lines of an event's length, and shows each line's begin.
    """

    def __init__(self) -> None:
        self._ended = 0
        self._blank = 0
        self._open: bytes | None = None  # the first bytes of a line that has no end yet, blank so far or cut

    @property
    def lines(self) -> int:
        """Lines so far, with one that has no newline yet."""
        return self._ended + (self._open is not None)

    @property
    def blank_lines(self) -> int:
        """Those of them that hold white space alone."""
        return self._blank + (self._open is not None and not self._open.strip())

    def add(self, piece: bytes) -> None:
        """Counts a piece; it must not be empty."""
        start = 0
        if self._open is not None:
            end = piece.find(b"\n")
            if end < 0:
                self._keep(self._open + piece)
                return
            self._blank += not (self._open.strip() or piece[:end].strip())
            self._ended += 1
            self._open = None
            start = end + 1
        ended = blank = 0
        while (end := piece.find(b"\n", start)) >= 0:
            ended += 1
            if piece[start] <= _SPACE and not piece[start:end].strip():
                blank += 1
            start = end + 1
        self._ended += ended
        self._blank += blank
        if start < len(piece):
            self._keep(piece[start:])

    def _keep(self, text: bytes) -> None:
        # One byte that is no space says as much as the whole line.
        self._open = text.lstrip()[:1] or b" "
