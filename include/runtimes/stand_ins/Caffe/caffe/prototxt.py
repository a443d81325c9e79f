"""Network definitions: the text of a prototxt read into fields, and fields written as text again.

Source: Protocol Buffers, "Text Format Language Specification".
"""

import re

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\f\v]+|\#[^\n]*)
      | (?P<line>\n)
      | (?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<word>[-+]?[A-Za-z0-9_.][A-Za-z0-9_.+-]*)
      | (?P<mark>[{}<>:;,\[\]])""",
    re.VERBOSE,
)
_CLOSING = {"{": "}", "<": ">"}
_ESCAPES = {"n": b"\n", "t": b"\t", "r": b"\r"}


class Message(object):
    """Fields in their order; a field is (name, raw text of a value) or (name, Message)."""

    def __init__(self, fields=None):
        self.fields = list(fields or [])

    def all(self, name):
        """Return the values of every field of that name."""
        return [value for field, value in self.fields if field == name]

    def messages(self, name):
        """Return the messages of that name."""
        return [value for value in self.all(name) if isinstance(value, Message)]

    def words(self, name):
        """Return the raw values of that name, texts without their quotes."""
        return [_plain(value) for value in self.all(name) if not isinstance(value, Message)]

    def word(self, name, default=None):
        """Return the last raw value of that name."""
        return (self.words(name) or [default])[-1]

    def numbers(self, name):
        """Return the values of that name as integers."""
        return [int(float(value)) for value in self.words(name)]

    def without(self, *names):
        """Return a message without the fields of these names."""
        return Message([(name, value) for name, value in self.fields if name not in names])

    def write(self, indent=""):
        """Return the message as text."""
        lines = []
        for name, value in self.fields:
            if isinstance(value, Message):
                lines.append("%s%s {\n%s%s}\n" % (indent, name, value.write(indent + "  "), indent))
            else:
                lines.append("%s%s: %s\n" % (indent, name, value))
        return "".join(lines)


def quoted(text):
    """Return a text as a value."""
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')


def read_prototxt(path):
    """Read a network definition.

    Raises:
        ValueError: It is no prototxt; the message says where.
    """
    with open(path, "rb") as stream:
        text = stream.read().decode("utf-8", "replace")
    try:
        return parse(text)
    except ValueError as error:
        raise ValueError("%s is no network definition: %s" % (path, error))


def parse(text):
    """Return the message of a text.

    Raises:
        ValueError: The text is no message; the message says where.
    """
    tokens = _tokens(text)
    message, end = _message(tokens, 0, None)
    if end != len(tokens):
        raise ValueError("line %d: %r closes nothing" % (tokens[end][2], tokens[end][1]))
    return message


def _tokens(text):
    tokens, position, line = [], 0, 1
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError("line %d: %r is not expected" % (line, text[position : position + 20].split("\n")[0]))
        if match.lastgroup == "line":
            line += 1
        elif match.lastgroup != "space":
            tokens.append((match.lastgroup, match.group(), line))
        position = match.end()
    return tokens


def _message(tokens, position, closing):
    fields = []
    while position < len(tokens):
        kind, name, line = tokens[position]
        if kind == "mark":
            if name in ",;":
                position += 1
                continue
            if name == closing or closing is None:
                return Message(fields), position
            raise ValueError("line %d: %r is not expected" % (line, name))
        position += 1
        if _mark(tokens, position, ":"):
            position += 1
        if position >= len(tokens):
            raise ValueError("line %d: %s has no value" % (line, name))
        values, position = _values(tokens, position)
        fields += [(name, value) for value in values]
    if closing is not None:
        raise ValueError("the end comes before a closing %r" % closing)
    return Message(fields), position


def _values(tokens, position):
    kind, value, line = tokens[position]
    if kind == "mark" and value in _CLOSING:
        message, position = _message(tokens, position + 1, _CLOSING[value])
        return [message], position + 1
    if kind == "mark" and value == "[":
        values, position = [], position + 1
        while not _mark(tokens, position, "]"):
            if position >= len(tokens):
                raise ValueError("line %d: a list has no end" % line)
            if _mark(tokens, position, ","):
                position += 1
                continue
            more, position = _values(tokens, position)
            values += more
        return values, position + 1
    if kind == "mark":
        raise ValueError("line %d: a value is expected, not %r" % (line, value))
    position += 1
    if kind == "text":
        # Texts that follow each other are one.
        while position < len(tokens) and tokens[position][0] == "text":
            value = quoted(_plain(value) + _plain(tokens[position][1]))
            position += 1
    return [value], position


def _mark(tokens, position, mark):
    return position < len(tokens) and tokens[position][0] == "mark" and tokens[position][1] == mark


def _plain(value):
    if value[:1] not in ("'", '"'):
        return value
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match.group(1), match.group(1).encode()).decode(), value[1:-1])
