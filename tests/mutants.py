"""Small mistakes made on purpose: every mutant of a source text, found mechanically in its syntax tree.

A mutation is a list of edits, each a node of the tree and the text that replaces it; so a mutant is the original source
with a few characters changed. Code that does not compute is left alone: see :func:`left_out`.
"""

import ast
import itertools
from collections import Counter
from dataclasses import dataclass, field

OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Pow: "**"}
OTHER_OPERATORS = {"+": "-", "-": "+", "*": "/", "/": "*", "//": "*", "**": "*"}
# The operator itself, and its replacements.
COMPARISONS = {
    ast.Lt: ("<", "<=", ">="), ast.LtE: ("<=", "<", ">"), ast.Gt: (">", ">=", "<="), ast.GtE: (">=", ">", "<"),
    ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="), ast.Is: ("is", "is not"), ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"), ast.NotIn: ("not in", "in"),
}  # fmt: skip
# Functions that are operators under another name.
OTHER_FUNCTIONS = {
    "add": "subtract", "subtract": "add", "multiply": "divide", "divide": "multiply", "maximum": "minimum",
    "minimum": "maximum", "max": "min", "min": "max", "argmax": "argmin", "argmin": "argmax",
}  # fmt: skip
# Names of things with the same shape: easily confused, and NumPy does not notice.
FAMILIES = (
    ("i", "f", "o", "g"), ("di", "df", "do", "dg"), ("h0", "c0"), ("h_prev", "c_prev"), ("h_t", "c_t"), ("dh", "dc"),
    ("dh_t", "dc_t"), ("dh_next", "dc_next"), ("dh0", "dc0"), ("W_x", "W_h"), ("U_x", "U_h"), ("dW_x", "dW_h"),
    ("rows", "cols"), ("n_rows", "n_cols"), ("starts", "stops"), ("start", "stop"), ("m", "v"), ("m_hat", "v_hat"),
    ("beta1", "beta2"), ("kept", "pruned", "survivors", "grown"), ("pruned_cells", "grown_cells"),
    ("new_rows", "new_cols"), ("occupied", "taken"), ("below", "equal"), ("embedding_dropout", "dropout"),
    ("x_keep", "h_keep"),
)  # fmt: skip
GATE_FAMILIES = FAMILIES[:2]
ELEMENTWISE = {
    "tanh", "exp", "log", "sqrt", "abs", "square", "sigmoid", "softmax", "_log_softmax", "sum", "cumsum", "diff",
    "asarray", "ascontiguousarray", "float",
}  # fmt: skip
METHODS = {"astype", "copy", "reshape", "ravel"}
TYPES = {"float32": "float64", "float64": "float32", "int32": "int64", "int64": "int32"}
# Functions for which the order of the arguments does not matter.
SYMMETRIC = {"max", "min", "maximum", "minimum", "add", "multiply", "result_type", "isinstance"}
CONTEXT = 44  # a changed expression is shown with up to this many characters around it


@dataclass(frozen=True)
class Mutant:
    """One mistake.

    Attributes
    ----------
    file, function : str
        Its place; methods as ``Class.method``, lines of the module itself as ``<module>``.
    kind : str
        One of the kinds of mutation.
    line : str
        The line of the source, without its comment.
    before, after : str
        The expression or statement, and its replacement.
    occurrence : int
        Number among equal changes of equal lines of the function, from 1.
    source : str
        The whole file with the mistake in it.
    """

    file: str
    function: str
    kind: str
    line: str
    before: str
    after: str
    occurrence: int
    source: str = field(repr=False)

    @property
    def name(self):
        """A name that does not depend on the rest of the file."""
        where = "" if self.before == self.line else f"{self.line} | "
        which = "" if self.occurrence == 1 else f" (no. {self.occurrence})"
        return f"{self.file}:{self.function}: {where}{self.before} -> {self.after}{which}"


def mutants_of(source, file="example.py"):
    """All mutants of a source text, each different from the others and from the original.

    Parameters
    ----------
    source : str
    file : str
        Its name, which the names of mutants begin with.

    Returns
    -------
    list of Mutant

    Examples
    --------
    >>> [mutant.name for mutant in mutants_of("def double(a):\\n    return a + a\\n")][:2]
    ['example.py:double: return a + a | a + a -> a - a', 'example.py:double: return a + a | a + a -> a']
    """
    text = SourceText(source)
    mutants, seen, occurrences = [], set(), Counter()
    for top in text.tree.body:
        original = text.of(top)
        seen.add(ast.dump(ast.parse(original)))
        for function, parents, kind, edits in sites(top, text):
            tree = ast.dump(ast.parse(text.edited(edits, top)))
            if tree in seen:
                continue
            seen.add(tree)
            before, after = shown(text, parents, edits)
            key = (function, text.line(edits[0][0]), before, after)
            occurrences[key] += 1
            mutants.append(Mutant(file, function, kind, *key[1:], occurrences[key], text.edited(edits)))
    return mutants


class SourceText:
    """A source text, whose parts can be found and replaced by their nodes in the tree."""

    def __init__(self, source):
        self.tree = ast.parse(source)
        self.lines = source.encode().splitlines(keepends=True)  # columns in the tree count bytes
        self.line_starts = [0]
        for line in self.lines:
            self.line_starts.append(self.line_starts[-1] + len(line))
        self.bytes = source.encode()

    def span(self, node):
        """First byte of a node, and the one after its last."""
        start = self.line_starts[node.lineno - 1] + node.col_offset
        return start, self.line_starts[node.end_lineno - 1] + node.end_col_offset

    def of(self, node):
        """Text of a node, without parentheses around it."""
        start, stop = self.span(node)
        return self.bytes[start:stop].decode()

    def operand(self, node):
        """Text of a node, with the parentheses that it may need next to an operator."""
        loose = ast.BinOp | ast.UnaryOp | ast.BoolOp | ast.Compare | ast.IfExp | ast.Lambda
        return f"({self.of(node)})" if isinstance(node, loose) else self.of(node)

    def line(self, node):
        """Line where a node begins, without indentation and comment."""
        return self.lines[node.lineno - 1].decode().split("  #")[0].strip()

    def edited(self, edits, part=None):
        """The whole text, or that of one node, after the edits."""
        first, last = self.span(part) if part else (0, len(self.bytes))
        pieces, position = [], first
        for (start, stop), new in sorted((self.span(node), new) for node, new in edits):
            pieces += [self.bytes[position:start], new.encode()]
            position = stop
        return b"".join([*pieces, self.bytes[position:last]]).decode()


def shown(text, parents, edits):
    """The changed part, before and after: the smallest expression around it, or somewhat more."""
    part = None
    for node in reversed(parents):
        if not isinstance(node, ast.expr | ast.stmt) or holds_slice(node):
            continue
        if part is not None and (isinstance(node, ast.stmt) or len(text.of(node)) > CONTEXT):
            break
        part = node
    return normal(text.of(part)), normal(text.edited(edits, part))


def holds_slice(node):
    """Whether a node is valid only between the brackets of a subscript."""
    return isinstance(node, ast.Slice) or (isinstance(node, ast.Tuple) and any(map(holds_slice, node.elts)))


def normal(code):
    """Code in one line without unnecessary parentheses; of a compound statement, its first line."""
    try:
        return ast.unparse(ast.parse(code)).split("\n")[0]
    except SyntaxError:
        return " ".join(code.split("\n")[0].split())


def sites(top, text):
    """Yield (function, parents, kind, edits) for every mutation within one statement of the module."""
    skipped = left_out(top)

    def descend(node, function, parents):
        if id(node) in skipped:
            return
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            function = node.name if function == "<module>" else f"{function}.{node.name}"
        parents = (*parents, node)
        if hasattr(node, "lineno"):
            for kind, edits in mutations(node, parents, text):
                yield function, parents, kind, edits
        for child in ast.iter_child_nodes(node):
            yield from descend(child, function, parents)

    yield from descend(top, "<module>", ())


# What is left out


def left_out(top):
    """Ids of the nodes that do not compute.

    - imports, docstrings, f-strings, annotations, decorators, `raise`, `__repr__`, `__all__`, the ``strict=True`` of a
      ``zip``;
    - functions named ``check_...`` or ``_check_...``, and statements that only call one;
    - validation: an `if` without `else` in which every statement raises or is validation, and a `for` that ends with
      validation after assignments of what it checks;
    - an assignment to a name that only validation reads.
    """
    skipped = set()
    for node in ast.walk(top):
        skipped |= {id(part) for part in not_code(node)}
        outside = isinstance(node, ast.Raise | ast.Import | ast.ImportFrom | ast.JoinedStr)
        if outside or is_validation(node) or is_strictness(node):
            skipped.add(id(node))
    for node in ast.walk(top):
        if isinstance(node, ast.FunctionDef):
            if is_check(node.name) or node.name == "__repr__":
                skipped.add(id(node))
            skipped |= {id(statement) for statement in read_by_validation_only(node, skipped)}
    return skipped


def not_code(node):
    """Yield the parts of a node that are for readers and tools only."""
    if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef):
        yield from node.decorator_list
        yield from (statement for statement in node.body if is_text(statement))
    public_names = isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "__all__"
    if public_names or is_text(node):
        yield node
    for name in ("annotation", "returns"):
        if getattr(node, name, None) is not None:
            yield getattr(node, name)


def is_strictness(node):
    """Whether a node is the ``strict=True`` of a ``zip``, which can only raise."""
    return isinstance(node, ast.keyword) and node.arg == "strict"


def is_text(statement):
    """Whether a statement is a string, like a docstring."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def is_check(name):
    """Whether the purpose of a function is to raise."""
    return name is not None and name.lstrip("_").startswith("check_")


def is_validation(node):
    """Whether a statement can only raise."""
    if isinstance(node, ast.Raise):
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return is_check(called(node.value))
    if isinstance(node, ast.If):
        return not node.orelse and is_refusal(node.body)
    return isinstance(node, ast.For) and not node.orelse and is_refusal(node.body)


def is_refusal(body):
    """Whether a block consists of assignments and then validation."""
    *before, last = body
    named = all(is_validation(s) or (isinstance(s, ast.Assign) and isinstance(s.targets[0], ast.Name)) for s in before)
    return named and is_validation(last)


def read_by_validation_only(function, skipped):
    """Yield the assignments to names that only skipped parts read."""
    reads, all_reads = Counter(), Counter()
    for node, inside in walk_skipping(function, skipped):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            all_reads[node.id] += 1
            reads[node.id] += not inside
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if all_reads[name] and not reads[name]:
                yield node


def walk_skipping(node, skipped, inside=False):
    """Yield every node of a tree, and whether it is in a skipped part."""
    inside = inside or id(node) in skipped
    yield node, inside
    for child in ast.iter_child_nodes(node):
        yield from walk_skipping(child, skipped, inside)


# The kinds of mutation


def mutations(node, parents, text):
    """Yield (kind, edits) for every mutation that begins at a node."""
    for rule in RULES:
        yield from rule(node, parents, text)


def operators(node, parents, text):
    """``a + b`` -> ``a - b``, ``a``, ``b``; ``-a`` -> ``a``; ``np.add`` -> ``np.subtract``; a product gets a minus."""
    if isinstance(node, ast.Attribute) and node.attr in OTHER_FUNCTIONS:
        yield "sign", [(node, f"{text.operand(node.value)}.{OTHER_FUNCTIONS[node.attr]}")]
    if isinstance(node, ast.Name) and node.id in ("max", "min"):
        yield "sign", [(node, OTHER_FUNCTIONS[node.id])]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "sign", [(node, text.operand(node.operand))]
    if not isinstance(node, ast.BinOp):
        return
    left, right = text.operand(node.left), text.operand(node.right)
    symbol = OPERATORS.get(type(node.op))
    if symbol:
        yield "sign", [(node, f"({left} {OTHER_OPERATORS[symbol]} {right})")]
        yield "dropped", [(node, left)]
        if symbol != "**":
            yield "dropped", [(node, right)]
    if symbol in ("-", "/", "//") or isinstance(node.op, ast.MatMult):
        yield "exchanged", [(node, f"({right} {symbol or '@'} {left})")]
    product = ast.Mult | ast.Div | ast.MatMult
    inner = isinstance(parents[-2], ast.BinOp) and isinstance(parents[-2].op, product)
    if isinstance(node.op, product) and not inner and not is_new_size(parents):
        yield "sign", [(node, f"(-({left} {symbol or '@'} {right}))")]


def is_new_size(parents):
    """Whether a node is a size for ``reshape``, where every negative number means "the rest"."""
    outer = parents[-2] if len(parents) > 1 else None
    return isinstance(outer, ast.Call) and called(outer) == "reshape"


def choices(node, parents, text):
    """``a and b`` -> ``a``, ``b``, ``a or b``; ``a if test else b`` and ``max(a, b)`` -> ``a``, ``b``."""
    if isinstance(node, ast.BoolOp):
        other = " or " if isinstance(node.op, ast.And) else " and "
        yield "compared", [(node, "(" + other.join(map(text.operand, node.values)) + ")")]
        for value in node.values:
            rest = [text.operand(other_value) for other_value in node.values if other_value is not value]
            yield "dropped", [(node, "(" + (" and " if other == " or " else " or ").join(rest) + ")")]
    if isinstance(node, ast.IfExp):
        yield "dropped", [(node, text.operand(node.body))]
        yield "dropped", [(node, text.operand(node.orelse))]
    if isinstance(node, ast.Call) and called(node) in SYMMETRIC - {"isinstance"} and len(node.args) > 1:
        for argument in node.args:
            rest = [text.of(other_argument) for other_argument in node.args if other_argument is not argument]
            yield "dropped", [(node, f"{text.of(node.func)}({', '.join(rest)})" if len(rest) > 1 else rest[0])]
    if isinstance(node, ast.If | ast.While | ast.IfExp) and isinstance(node.test, ast.Call | ast.Name | ast.Attribute):
        yield "compared", [(node.test, f"(not {text.operand(node.test)})")]


def comparisons(node, parents, text):
    """``<`` -> ``<=``, ``>=``; ``==`` -> ``!=``; ``not a`` -> ``a``."""
    if isinstance(node, ast.Compare):
        sides = [text.operand(side) for side in (node.left, *node.comparators)]
        symbols = [COMPARISONS[type(operator)][0] for operator in node.ops]
        for k, operator in enumerate(node.ops):
            for symbol in COMPARISONS[type(operator)][1:]:
                changed = [*symbols[:k], symbol, *symbols[k + 1 :]]
                pairs = zip(changed, sides[1:], strict=True)
                yield "compared", [(node, f"({sides[0]} " + " ".join(f"{s} {side}" for s, side in pairs) + ")")]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "compared", [(node, text.operand(node.operand))]


def names(node, parents, text):
    """``f`` -> ``i``, ``o``, ``g``; ``rows`` -> ``cols``: another name of the family that the function uses."""
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else None
    if name is None or not isinstance(node.ctx, ast.Load):
        return
    known = known_names(parents)
    for family in FAMILIES:
        if name in family:
            kind = "gates" if family in GATE_FAMILIES else "names"
            for other in family:
                if other != name and isinstance(node, ast.Attribute):
                    yield kind, [(node, f"{text.operand(node.value)}.{other}")]
                elif other != name and other in known:
                    yield kind, [(node, other)]


def known_names(parents):
    """Names in the innermost function around a node."""
    function = next((node for node in reversed(parents) if isinstance(node, ast.FunctionDef)), None)
    nodes = ast.walk(function) if function else ()
    return {n.id if isinstance(n, ast.Name) else n.arg for n in nodes if isinstance(n, ast.Name | ast.arg)}


def exchanges(node, parents, text):
    """``a, b`` -> ``b, a`` in tuples, lists, indices, unpackings and arguments."""
    if isinstance(node, ast.Tuple | ast.List):
        elements = node.elts
    elif isinstance(node, ast.Call) and called(node) not in SYMMETRIC | {"transpose"}:
        elements = node.args
    else:
        return
    gates = {name for family in GATE_FAMILIES for name in family}
    for first, second in zip(elements, elements[1:], strict=False):
        if not isinstance(first, ast.Starred) and not isinstance(second, ast.Starred):
            are_gates = {getattr(first, "id", None), getattr(second, "id", None)} <= gates
            yield "gates" if are_gates else "exchanged", [(first, text.of(second)), (second, text.of(first))]


def indices(node, parents, text):
    """``x[t]`` -> ``x[t - 1]``; bounds of slices and ranges one off; ``reversed`` and ``[::-1]`` dropped."""
    if isinstance(node, ast.Subscript):
        for index in node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]:
            if isinstance(index, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load | ast.Store):
                yield "off by one", [(index, f"{text.of(index)} - 1")]
    if isinstance(node, ast.Slice):
        lower, upper, step = (part and text.operand(part) for part in (node.lower, node.upper, node.step))
        for new in slices_one_off(node, lower, upper, step):
            yield "off by one", [(node, new)]
    if isinstance(node, ast.Call) and called(node) in ("range", "arange"):
        name, arguments = text.of(node.func), [text.operand(argument) for argument in node.args]
        if len(arguments) == 1:
            arguments.insert(0, "0")
        first, last, *step = arguments
        for bounds in ([f"{first} + 1", last], [first, f"{last} - 1"], [first, f"{last} + 1"]):
            yield "off by one", [(node, f"{name}({', '.join([*bounds, *step])})")]
    if isinstance(node, ast.Call) and called(node) == "reversed":
        yield "off by one", [(node, text.of(node.args[0]))]


def slices_one_off(node, lower, upper, step):
    """Yield the texts of the slices that differ from this one by one at one end, or in direction."""
    end = f":{step}" if step else ""
    if step == "(-1)":
        yield ":"
    elif node.lower is None:
        yield f"1:{upper or ''}{end}"
    elif not is_number(node.lower):
        yield f"{lower} - 1:{upper or ''}{end}"
        yield f"{lower} + 1:{upper or ''}{end}"
    if node.upper is None and step != "(-1)":
        yield f"{lower or ''}:-1{end}"
    elif node.upper is not None and not is_number(node.upper):
        yield f"{lower or ''}:{upper} - 1{end}"
        yield f"{lower or ''}:{upper} + 1{end}"


def is_number(node):
    """Whether a node is a number, with or without a minus; :func:`constants` changes those."""
    return isinstance(node.operand if isinstance(node, ast.UnaryOp) else node, ast.Constant)


def updates(node, parents, text):
    """``+=`` -> ``=``, ``-=``."""
    if isinstance(node, ast.AugAssign):
        target, value = text.of(node.target), text.of(node.value)
        yield "updates", [(node, f"{target} = {value}")]
        if type(node.op) in OPERATORS:
            yield "updates", [(node, f"{target} {OTHER_OPERATORS[OPERATORS[type(node.op)]]}= {value}")]


def transposes(node, parents, text):
    """``.T`` dropped; the axes of ``transpose(1, 0, 2)`` in any other order."""
    if isinstance(node, ast.Attribute) and node.attr == "T" and isinstance(node.ctx, ast.Load):
        yield "transposed", [(node, text.operand(node.value))]
    if isinstance(node, ast.Call) and called(node) == "transpose" and node.args:
        axes = [text.of(argument) for argument in node.args]
        for order in itertools.permutations(axes):
            if list(order) != axes:
                yield "transposed", [(node, f"{text.of(node.func)}({', '.join(order)})")]


def constants(node, parents, text):
    """Integers up and down by one, factors and terms by 1 %; True for False; one type of number for another."""
    if isinstance(node, ast.Constant):
        kind = "axes" if isinstance(parents[-2], ast.keyword) and parents[-2].arg == "axis" else "constants"
        if isinstance(node.value, bool):
            yield "constants", [(node, str(not node.value))]
        elif isinstance(node.value, int) and not is_new_size(parents[:-1]):
            yield kind, [(node, str(node.value + 1))]
            yield kind, [(node, f"({node.value - 1})")]
        if isinstance(node.value, float) or (type(node.value) is int and isinstance(parents[-2], ast.BinOp)):
            if node.value:
                yield "constants", [(node, repr(node.value * 1.01))]
    if isinstance(node, ast.Attribute) and node.attr in TYPES and text.of(node.value) == "np":
        yield "types", [(node, f"np.{TYPES[node.attr]}")]


def statements(node, parents, text):
    """A statement dropped: an expression, an update, an assignment to a part of something or to a name in use."""
    if isinstance(node, ast.Assign):
        target = node.targets[0]
        used = isinstance(target, ast.Name) and any(
            isinstance(part, ast.Name) and part.id == target.id for part in ast.walk(node.value)
        )
        if used or isinstance(target, ast.Subscript | ast.Attribute):
            yield "statements", [(node, "pass")]
    if isinstance(node, ast.Expr | ast.AugAssign):
        yield "statements", [(node, "pass")]


def calls(node, parents, text):
    """``np.tanh(a)`` -> ``a``; ``a.astype(...)`` -> ``a``; ``a.real`` -> ``a``; a keyword argument dropped."""
    if isinstance(node, ast.Attribute) and node.attr in ("real", "imag"):
        yield "calls", [(node, text.operand(node.value))]
    if not isinstance(node, ast.Call):
        return
    if called(node) in ELEMENTWISE and node.args and not isinstance(node.args[0], ast.GeneratorExp):
        yield "calls", [(node, text.operand(node.args[0]))]
    if called(node) in METHODS and isinstance(node.func, ast.Attribute):
        yield "calls", [(node, text.operand(node.func.value))]
    for keyword in node.keywords:
        if is_strictness(keyword):
            continue
        rest = [text.of(argument) for argument in [*node.args, *node.keywords] if argument is not keyword]
        yield "calls", [(node, f"{text.of(node.func)}({', '.join(rest)})")]


def called(node):
    """Last part of the name of what is called: "tanh" for ``np.tanh(z)``."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)


RULES = (
    operators, choices, comparisons, names, exchanges, indices, updates, transposes, constants, statements, calls
)  # fmt: skip
KINDS = (
    "sign", "dropped", "gates", "names", "exchanged", "off by one", "axes", "updates", "transposed", "constants",
    "types", "compared", "statements", "calls",
)  # fmt: skip
