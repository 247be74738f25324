"""Changes to a script's syntax that keep its comments and formatting.

The doctor knows a script by Python's syntax tree, which drops comments; libcst's tree keeps them
all. Positions connect the two: an expression is identified by where it begins and ends, a statement
by where it begins.
"""

import ast
import copy
import itertools
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

Place = tuple[int, int]
Statement = cst.SimpleStatementLine | cst.BaseCompoundStatement
Code = Callable[[], str]  # called after all changes are made
_Change = Callable[[cst.BaseExpression], cst.BaseExpression]

_MARK = "kelbo port: "
# Placeholders of what is gone: a statement, or the definition of a function or a class.
_GONE, _DEFINITION = "_kelbo_gone", "_kelbo_definition"


class Unportable(Exception):
    """Something that the port leaves as it is.

    Args:
        node: the syntax.
        reason: why, in one sentence.
    """

    def __init__(self, node: ast.AST, reason: str):
        super().__init__(reason)
        self.node, self.reason = node, reason


class Edits:
    """The changes to one script, made all at once.

    Args:
        text: the script.
    """

    def __init__(self, text: str):
        self._lines = [line.encode() for line in re.split(r"\r\n|\r|\n", text)]
        self._wrapper = MetadataWrapper(cst.parse_module(text))
        places = self._wrapper.resolve(PositionProvider)
        lines = {
            (place.start.line, place.start.column): node
            for node, place in places.items()
            if isinstance(node, Statement)
        }
        self._first = set(lines)
        self._alone = {
            place
            for place, line in lines.items()
            if not isinstance(line, cst.SimpleStatementLine) or len(line.body) == 1
        }
        self.expressions: dict[tuple[Place, Place], list[_Change]] = {}
        self.removed: dict[Place, str] = {}
        self.moved: dict[Place, str] = {}
        self.placed: dict[Place, list[Code]] = {}
        self.replaced: dict[Place, Callable[[str], str]] = {}
        self.adapted: dict[Place, list[Callable[[Statement], Statement]]] = {}
        self.marked: dict[Place, list[str]] = {}

    def saved(self) -> dict[str, Any]:
        """A copy of the changes so far."""
        plans = {k: v for k, v in vars(self).items() if isinstance(v, dict)}
        return copy.deepcopy(plans)

    def restore(self, plans: dict[str, Any]) -> None:
        """Return to the changes that were saved."""
        vars(self).update(plans)

    def _place(self, line: int, offset: int) -> Place:
        # Python's offsets are bytes of UTF-8, those of libcst are characters.
        return line, len(self._lines[line - 1][:offset].decode(errors="replace"))

    def _start(self, node: ast.AST) -> Place:
        return self._place(node.lineno, node.col_offset)  # type: ignore[attr-defined]

    def _whole(self, node: ast.stmt, alone: bool = True) -> Place:
        """Where a statement begins that has its lines to itself, or is the first on its line."""
        place = self._start(node)
        if place not in (self._alone if alone else self._first):
            raise Unportable(node, "it shares its line with another statement.")
        return place

    def _span(self, node: ast.expr) -> tuple[Place, Place]:
        end = self._place(node.end_lineno or node.lineno, node.end_col_offset or 0)
        return self._start(node), end

    def change(self, node: ast.expr, change: _Change) -> None:
        """Change an expression, after the expressions inside it."""
        self.expressions.setdefault(self._span(node), []).append(change)

    def respell(self, node: ast.expr, code: str) -> None:
        """Replace an expression by other code."""
        self.change(node, lambda _: cst.parse_expression(code))

    def remove(self, node: ast.stmt) -> Code:
        """Remove a statement; returns what gives the comments above and beside it."""
        place = self._whole(node)
        self.removed[place] = ""
        return lambda: self.removed[place]

    def move(self, node: ast.stmt) -> Code:
        """Remove a statement; returns what gives its code, with its comments and changes."""
        place = self._whole(node)
        self.moved[place] = ""
        return lambda: self.moved[place]

    def replace(self, node: ast.stmt, code: Callable[[str], str]) -> None:
        """Replace a statement by other code, made from what it became."""
        self.replaced[self._whole(node)] = code

    def adapt(self, node: ast.stmt, change: Callable[[Statement], Statement]) -> None:
        """Change a statement, after what is inside it."""
        self.adapted.setdefault(self._whole(node), []).append(change)

    def insert(self, node: ast.stmt, code: Code) -> None:
        """Put code before a statement; the code is made after all other changes."""
        self.placed.setdefault(self._whole(node, alone=False), []).append(code)

    def mark(self, node: ast.stmt, remark: str) -> None:
        """Write a comment above a statement."""
        self.marked.setdefault(self._start(node), []).append(remark)

    def apply(self) -> str:
        """The script with all changes made."""
        changed = self._wrapper.visit(_Changing(self))
        return changed.visit(_Inserting(self)).code


class _Changing(cst.CSTTransformer):
    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, edits: Edits):
        super().__init__()
        self.edits = edits

    def on_leave(self, original_node, updated_node):  # type: ignore[no-untyped-def]
        updated: Any = super().on_leave(original_node, updated_node)
        if isinstance(original_node, cst.BaseExpression):
            where = self.get_metadata(PositionProvider, original_node)
            span = ((where.start.line, where.start.column), (where.end.line, where.end.column))
            for change in self.edits.expressions.get(span, ()):
                updated = _in_the_same_parentheses(updated, change(updated))
        elif isinstance(original_node, Statement):
            where = self.get_metadata(PositionProvider, original_node)
            return self._statement((where.start.line, where.start.column), updated)
        return updated

    def _statement(self, place: Place, updated: Statement):  # type: ignore[no-untyped-def]
        edits = self.edits
        updated = _remarked(updated, edits.marked.get(place, ()))
        for change in edits.adapted.get(place, ()):
            updated = change(updated)
        found: list[Statement] = [updated]
        if place in edits.moved:
            lines = [line for line in updated.leading_lines if line.comment is not None]
            edits.moved[place] = code_of(updated.with_changes(leading_lines=lines)).strip("\n")
            empty = itertools.takewhile(lambda line: line.comment is None, updated.leading_lines)
            found = [_keeping(_gone(updated), list(empty))]
        elif place in edits.removed:
            heading, own = heading_of(updated.leading_lines)
            edits.removed[place] = _comments_of(updated.with_changes(leading_lines=own))
            found = [_keeping(_gone(updated), heading)]
        elif place in edits.replaced:
            code = edits.replaced[place](code_of(updated))
            found = statements(code, updated.leading_lines)
        if place in edits.placed:
            found.insert(0, _keeping(_name_of(place)))
        return cst.FlattenSentinel(found) if len(found) != 1 else found[0]


def _keeping(name: str, leading: Sequence[cst.EmptyLine] = ()) -> Statement:
    """A placeholder statement for lines that are not known yet."""
    return cst.SimpleStatementLine([cst.Expr(cst.Name(name))], leading_lines=leading)


def _gone(statement: Statement) -> str:
    return _DEFINITION if _defines(statement) else _GONE


def _defines(statement: cst.CSTNode) -> bool:
    return isinstance(statement, cst.FunctionDef | cst.ClassDef)


Lines = Sequence[cst.EmptyLine]


def heading_of(lines: Lines) -> tuple[Lines, Lines]:
    """The lines above a statement down to the last empty one, and the comments below that."""
    empty = [place for place, line in enumerate(lines, 1) if line.comment is None]
    return lines[: max(empty, default=0)], lines[max(empty, default=0) :]


def merged(above: Lines, below: Lines) -> Lines:
    """The lines above a statement that is gone and those above the next one, as one gap."""
    double = min(_empty(list(reversed(above))), _empty(below))
    return [*above, *below[double:]]


def _empty(lines: Lines) -> int:
    """The number of empty lines that some lines begin with."""
    return len(list(itertools.takewhile(lambda line: line.comment is None, lines)))


def _comments_of(statement: Statement) -> str:
    """The comments above a statement and beside it, one on each line."""
    found = [line.comment for line in statement.leading_lines]
    if isinstance(statement, cst.SimpleStatementLine):
        found.append(statement.trailing_whitespace.comment)
    return "".join(f"{comment.value}\n" for comment in found if comment is not None)


def _remarked(statement: Statement, remarks: Sequence[str]) -> Statement:
    """A statement with comments above it; those already there are not repeated."""
    lines = list(statement.leading_lines)
    there = {line.comment.value for line in lines if line.comment is not None}
    comments = [f"# {_MARK}{remark}" for remark in remarks]
    lines += [cst.EmptyLine(comment=cst.Comment(c)) for c in comments if c not in there]
    return statement.with_changes(leading_lines=lines) if remarks else statement


class _Inserting(cst.CSTTransformer):
    """Replaces placeholders by their code, with the usual blank lines around it."""

    def __init__(self, edits: Edits):
        super().__init__()
        self.names = {
            _name_of(place): [code for code in codes] for place, codes in edits.placed.items()
        }

    def leave_Module(self, original_node, updated_node):  # type: ignore[no-untyped-def]
        return updated_node.with_changes(body=self._filled(updated_node.body, 2))

    def leave_IndentedBlock(self, original_node, updated_node):  # type: ignore[no-untyped-def]
        return updated_node.with_changes(body=self._filled(updated_node.body, 1))

    def _filled(self, body: Sequence[Statement], blank: int) -> list[Statement]:
        found: list[Statement] = []
        above: Lines = []
        gap = False
        gone = ""
        for statement in body:
            name = code_of(statement.with_changes(leading_lines=[])).strip()
            if name in (_GONE, _DEFINITION):
                above = merged(above, statement.leading_lines)
                gone = max(gone, name, key=len)
                continue
            codes = self.names.get(name)
            for code in codes or ():
                made = statements(code(), above)
                found += [apart(made[0], blank if found else 0), *made[1:]]
                above = []
            if codes is None:
                lines = merged(above, statement.leading_lines)
                if gone:
                    lines = lines[self._double(lines, found, statement, gone) :]
                statement = statement.with_changes(leading_lines=lines)
                found.append(apart(statement, blank) if gap else statement)
            above, gone, gap = [], "", codes is not None
        return found

    def _double(self, lines: Lines, found: list[Statement], below: Statement, gone: str) -> int:
        """The number of empty lines that nothing needs, now that what stood there is gone."""
        empty = _empty(lines)
        if not found:
            return empty
        between = _defines(found[-1]) or _defines(below)
        return max(0, empty - 1) if gone == _DEFINITION and not between else 0


def apart(statement: Statement, blank: int) -> Statement:
    """A statement with at least this many blank lines above it."""
    lines = list(statement.leading_lines)
    there = next((n for n, line in enumerate(lines) if line.comment is not None), len(lines))
    return statement.with_changes(
        leading_lines=[*[cst.EmptyLine(indent=False)] * max(0, blank - there), *lines]
    )


def _name_of(place: Place) -> str:
    """The name of the placeholder for a place."""
    return f"_kelbo_{place[0]}_{place[1]}"


def code_of(node: cst.CSTNode) -> str:
    """The code of a syntax node, starting at the left margin."""
    return cst.Module([]).code_for_node(node)


def statements(code: str, leading: Sequence[cst.EmptyLine] = ()) -> list[Statement]:
    """Code as statements, with the lines that stood above the old ones above them."""
    module = cst.parse_module(code)
    found = list(module.body)
    if found:
        above = [*leading, *module.header, *found[0].leading_lines]
        found[0] = found[0].with_changes(leading_lines=above)
    return found


def indented(code: str) -> str:
    """Code indented by one level."""
    return textwrap.indent(code, "    ")


def argument_node(call: cst.Call, position: int | None, *names: str) -> cst.Arg:
    """The argument of a call at a position or of a name."""
    for place, given in enumerate(call.args):
        if given.keyword.value in names if given.keyword is not None else place == position:
            return given
    raise LookupError(names)


def renamed(call: cst.Call, names: Mapping[str, str]) -> cst.Call:
    """A call with some of its keyword arguments renamed."""
    return call.with_changes(
        args=[
            given.with_changes(keyword=cst.Name(names[given.keyword.value]))
            if given.keyword is not None and given.keyword.value in names
            else given
            for given in call.args
        ]
    )


def without(call: cst.Call, position: int | None, *names: str) -> cst.Call:
    """A call without the argument at a position or of a name."""
    kept = [
        argument
        for place, argument in enumerate(call.args)
        if not (
            argument.keyword.value in names if argument.keyword is not None else place == position
        )
    ]
    return with_arguments(call, kept)


def with_argument(call: cst.Call, code: str) -> cst.Call:
    """A call with one more argument, such as `seed=generator`."""
    added = cst.ensure_type(cst.parse_expression(f"f({code})"), cst.Call).args
    return with_arguments(call, [*call.args, *added])


def with_arguments(call: cst.Call, arguments: Sequence[cst.Arg]) -> cst.Call:
    """A call with other arguments; each is on a line of its own if the old ones were."""
    if not arguments:
        return call.with_changes(args=[], whitespace_before_args=cst.SimpleWhitespace(""))
    before = call.whitespace_before_args
    ended = call.args[-1] if call.args else None
    *head, last = arguments
    made = []
    for given in head:
        if not isinstance(given.comma, cst.Comma) or given is ended:
            broken = isinstance(before, cst.ParenthesizedWhitespace)
            lines = before.with_changes(empty_lines=[]) if broken else None
            gap: Any = lines or _gap_behind(given) or cst.SimpleWhitespace(" ")
            given = given.with_changes(
                comma=cst.Comma(whitespace_after=_with_comment_of(given, gap)),
                whitespace_after_arg=cst.SimpleWhitespace(""),
            )
        made.append(given)
    if ended is not None:
        comma, after = ended.comma, _with_comment_of(last, ended.whitespace_after_arg)
        if isinstance(comma, cst.Comma):
            gap = _with_comment_of(last, comma.whitespace_after)
            comma = comma.with_changes(whitespace_after=gap)
        last = last.with_changes(comma=comma, whitespace_after_arg=after)
    return call.with_changes(args=[*made, last])


def _gap_behind(given: cst.Arg) -> cst.ParenthesizedWhitespace | None:
    """The end of the line after an argument; None if the line does not end there."""
    gaps = [getattr(given.comma, "whitespace_after", None), given.whitespace_after_arg]
    return next((gap for gap in gaps if isinstance(gap, cst.ParenthesizedWhitespace)), None)


def _with_comment_of(given: cst.Arg, gap: Any) -> Any:
    """The space after an argument, with the argument's own comment."""
    if not isinstance(gap, cst.ParenthesizedWhitespace):
        return gap
    own = _gap_behind(given)
    return gap.with_changes(first_line=own.first_line if own else cst.TrailingWhitespace())


def _in_the_same_parentheses(
    before: cst.BaseExpression, after: cst.BaseExpression
) -> cst.BaseExpression:
    if before is after or not before.lpar or after.lpar:
        return after
    return after.with_changes(lpar=before.lpar, rpar=before.rpar)
