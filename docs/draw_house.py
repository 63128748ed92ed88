"""Draw the house: which rooms the package has, on which floors, and which rooms each imports from.

The drawing and the table of docs/architecture.md are made from the import statements; a test fails if they are out of
date. To draw again, from the top of the repository::

    python docs/draw_house.py
"""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "numpy_setlstm"
PAGE = ROOT / "docs" / "architecture.md"
DRAWING = ROOT / "docs" / "images" / "house.svg"

IDEA = ("text", "layers", "sparse", "topology", "optimizers", "network", "evolution", "training")  # in reading order
# A room imports from its own floor and from lower ones.
FLOORS = {
    5: ("cli", "lab"),
    4: (
        "estimator",
        "trainable",
        "preparation",
        "inputs",
        "weighting",
        "recipe",
        "scikit_learn",
        "classifier_file",
        "checkpoint",
        "model_check",
        "export",
        "plotting",
        "grading",
        "language",
    ),
    3: (
        "training",
        "classification",
        "evolution",
        "averaging",
        "initialization",
        "interrupt",
        "minibatches",
        "workers",
    ),
    2: ("network", "own_lstm", "units", "converters", "word_vectors", "fast", "measures"),
    1: ("layers", "topology", "optimizers", "one_file_writes"),
    0: ("checks", "text", "sparse", "cells", "parameters", "files", "blas", "one_file", "gradcheck", "datasets"),
}
TITLES = {5: "commands", 4: "for users", 3: "training", 2: "the network", 1: "its parts", 0: "foundations"}
WINGS = {
    "tools": ("gradcheck", "datasets", "measures", "plotting", "grading"),
    "fast": ("fast", "workers"),
    "lab": ("lab",),
    "language": ("language",),
}
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
WING_OF = dict.fromkeys(FLOOR_OF, "core") | {room: wing for wing, rooms in WINGS.items() for room in rooms}

WIDTH, BOX, ROW, GAP, TOP = 1070, 26, 58, 20, 34  # pixels: the drawing, a box, a row, between floors, the wings' titles
LEFT, RIGHT = 320, 915  # pixels: where the core begins and ends
BANDS = {"tools": (110, LEFT), "core": (LEFT, RIGHT), "fast": (RIGHT, WIDTH)}
BANDS |= dict.fromkeys(("lab", "language"), BANDS["fast"])  # by wing
HEADINGS = {"tools": "tools", "core": "core", "fast": "speed, language, lab"}


def find_imports():
    """Which rooms each room imports from: dict of str to set of str, read from the import statements."""
    imports = {room: set() for room in FLOOR_OF}
    for path in sorted(PACKAGE.rglob("*.py")):
        room = room_of(path)
        if room in ("__init__", "__main__"):
            continue
        if room not in imports:
            raise ValueError(f"{path.relative_to(ROOT)} is on no floor: name its room in FLOORS of {__file__}")
        imports[room] |= {module.split(".")[0] for module in modules_imported_by(path)} & FLOOR_OF.keys() - {room}
    return imports


def room_of(path):
    """The room that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def modules_imported_by(path):
    """The modules of the package that a file imports, a set of str such as "fast.engine"."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "numpy_setlstm":
            modules |= {f"numpy_setlstm.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module or "")
    return {name.removeprefix("numpy_setlstm.") for name in modules if name.startswith("numpy_setlstm.")}


def leave_out_implied(imports):
    """The imports without those implied by a way through a third room; `fast` and `lab` do not count as ways.

    So `network` keeps its arrows to the layers, which `fast` imports too. `lab`, which imports nearly every room, gets
    no arrows: the drawing says so in words.
    """
    ways = [room for room in imports if WING_OF[room] not in ("fast", "lab")]
    reachable = {room: set(direct) for room, direct in imports.items()}
    for middle in ways:
        for room in imports:
            if middle in reachable[room]:
                reachable[room] |= reachable[middle]
    shown = {}
    for room, direct in imports.items():
        implied = set().union(*(reachable[other] for other in direct if other in ways))
        shown[room] = set() if WING_OF[room] == "lab" else direct - implied
    return shown


def place_rooms(imports):
    """The rows of the drawing, from top to bottom: a list of lists of rooms, and dict of floor to its row numbers."""
    rows, floors = [], {}
    for floor, rooms in FLOORS.items():
        depth = dict.fromkeys(rooms, 0)
        for _ in rooms:
            for room in rooms:
                above = [r for r in rooms if room in imports[r] and WING_OF[r] == WING_OF[room]]
                depth[room] = max([depth[r] + 1 for r in above], default=0)
        levels = [[room for room in rooms if depth[room] == level] for level in range(max(depth.values()) + 1)]
        floors[floor] = range(len(rows), len(rows) + len(levels))
        rows += levels
    return rows, floors


def lead_arrows(rows, imports):
    """The ways of all arrows: a list of lists of (row number, room).

    An arrow to a room several rows below passes each row between at a place of its own, (row number, target), so that
    it runs through no box; arrows to one target share these places.
    """
    row_of = {room: k for k, rooms in enumerate(rows) for room in rooms}
    ways = []
    for room, targets in sorted(imports.items()):
        for target in sorted(targets):
            between = range(row_of[room] + 1, row_of[target])
            ways.append([(row_of[room], room), *((k, target) for k in between), (row_of[target], target)])
    return ways


def spread(rows, ways):
    """The x of each place, so that arrows are short and nothing overlaps: dict of (row, room) to float."""
    steps = sorted(
        {step for way in ways for step in zip(way, way[1:], strict=False)}
    )  # sorted: the same sums each time
    places = {place for way in ways for place in way} | {(k, room) for k, rooms in enumerate(rows) for room in rooms}
    groups = {}  # the places of a row within a wing
    for place in sorted(places):
        groups.setdefault((place[0], BANDS[WING_OF[place[1]]]), []).append(place)
    x, half = {}, {}
    for (k, (low, high)), group in groups.items():
        for n, (_, name) in enumerate(group):
            x[k, name] = low + (high - low) * (n + 0.5) / len(group)
            half[k, name] = box_width(name) / 2 + 6 if name in rows[k] else 9
    for sweep in range(40):
        for (_, (low, high)), group in sorted(groups.items(), reverse=sweep % 2 == 0):
            for place in group:
                beside = [b for a, b in steps if a == place] + [a for a, b in steps if b == place]
                if beside:
                    x[place] = sum(x[other] for other in beside) / len(beside)
            group.sort(key=lambda place: (x[place], place))
            offsets = [0.0]  # of each place from the first, if they touch
            for left, right in zip(group, group[1:], strict=False):
                offsets.append(offsets[-1] + half[left] + half[right])
            firsts = increasing([x[place] - offset for place, offset in zip(group, offsets, strict=True)])
            first, last = low + half[group[0]], high - half[group[-1]] - offsets[-1]
            if last < first:
                rooms = ", ".join(name for _, name in group)
                raise ValueError(f"{rooms} need {first - last:.0f} pixels more beside each other: widen their band")
            x |= {p: min(max(f, first), last) + o for p, f, o in zip(group, firsts, offsets, strict=True)}
    return x


def increasing(wanted):
    """The numbers nearest to those wanted that never fall: neighbors in the wrong order meet at their mean."""
    blocks = []
    for number in wanted:
        blocks.append([number])
        while len(blocks) > 1 and sum(blocks[-2]) / len(blocks[-2]) > sum(blocks[-1]) / len(blocks[-1]):
            last = blocks.pop()
            blocks[-1] += last
    return [sum(block) / len(block) for block in blocks for _ in block]


def label(room):
    """The name of a room in the drawing: a folder with a slash, a room of the idea with its number."""
    number = f"{IDEA.index(room) + 1} " if room in IDEA else ""
    return number + room + ("/" if (PACKAGE / room).is_dir() else "")


def box_width(room):
    """Width of a room's box, in pixels."""
    return 8 * len(label(room)) + 16


def draw():
    """The drawing, as the text of an SVG file."""
    shown = leave_out_implied(find_imports())
    rows, floors = place_rooms(shown)
    ways = lead_arrows(rows, shown)
    x = spread(rows, ways)
    floor_of_row = {k: floor for floor, numbers in floors.items() for k in numbers}
    y = {k: TOP + ROW * (k + 0.5) + GAP * list(floors).index(floor) for k, floor in floor_of_row.items()}
    height = y[len(rows) - 1] + ROW / 2
    idea = y[floors[3][0]] - ROW / 2 - 6  # its upper border
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-10 -10 {WIDTH + 20} {height + 26:.0f}" role="img" '
        'font-family="sans-serif" font-size="14">',
        "<title>The rooms of numpy_setlstm, floor by floor, with arrows to the rooms that each imports from</title>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8Z" fill="#456"/></marker></defs>',
        f'<rect x="-10" y="-10" width="{WIDTH + 20}" height="{height + 26:.0f}" rx="8" fill="#ffffff"/>',
    ]
    for wing, heading in HEADINGS.items():
        parts.append(draw_text(sum(BANDS[wing]) / 2, TOP - 14, heading, 'text-anchor="middle" font-weight="bold"'))
    for floor, numbers in floors.items():
        top, bottom = y[numbers[0]] - ROW / 2, y[numbers[-1]] + ROW / 2
        parts += [
            f'<rect x="0" y="{top:.0f}" width="{WIDTH}" height="{bottom - top:.0f}" rx="6" fill="#eef3f8"/>',
            draw_text(12, (top + bottom) / 2 - 3, f"floor {floor}", 'font-weight="bold"'),
            draw_text(12, (top + bottom) / 2 + 15, TITLES[floor]),
        ]
    parts += [
        f'<rect x="{LEFT}" y="{idea:.0f}" width="{RIGHT - LEFT}" height="{height + 6 - idea:.0f}" rx="8" '
        'fill="#ffe9b0" fill-opacity="0.45" stroke="#c80" stroke-width="1.5"/>',
        draw_text(x[0, "lab"], y[0] + 25, "imports from all", 'text-anchor="middle" font-size="12"'),
    ]
    for way in ways:
        ends = box_width(way[0][1]), box_width(way[-1][1])
        parts.append(draw_arrow([(x[place], y[place[0]]) for place in way], ends))
    halo = 'font-weight="bold" paint-order="stroke" stroke="#f6eed8" stroke-width="6"'  # where an arrow crosses it
    parts.append(draw_text(LEFT + 10, idea + 20, "the idea: 1 to 8", halo))
    parts += [draw_box(room, x[k, room], y[k]) for k, rooms in enumerate(rows) for room in sorted(rooms)]
    return "\n".join([*parts, "</svg>", ""])


def draw_text(x, y, text, attributes=""):
    """A line of text."""
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="#223" {attributes}>{text}</text>'


def draw_box(room, x, y):
    """A room."""
    width, fill = box_width(room), "#ffd35c" if room in (*IDEA, "one_file", "one_file_writes") else "#ffffff"
    name = draw_text(x, y + 5, label(room), 'text-anchor="middle"')
    return (
        f'<rect x="{x - width / 2:.1f}" y="{y - BOX / 2:.1f}" width="{width}" height="{BOX}" rx="5" fill="{fill}" '
        f'stroke="#245"/>{name}'
    )


def draw_arrow(points, boxes):
    """One arrow: downward through the given places, or straight to the neighbor in a row; `boxes`: widths of both."""
    (x1, y1), *between, (x2, y2) = points
    if y1 == y2:
        path = f"M{x1 + boxes[0] / 2:.1f} {y1:.1f}H{x2 - boxes[1] / 2:.1f}"
    else:
        path = f"M{x1:.1f} {y1 + BOX / 2:.1f}"
        y1 += BOX / 2
        for x, y in [*between, (x2, y2)]:
            middle = (y1 + y - BOX / 2) / 2
            path += f"C{x1:.1f} {middle:.1f} {x:.1f} {middle:.1f} {x:.1f} {y - BOX / 2:.1f}"
            if (x, y) != (x2, y2):
                path += f"V{y + BOX / 2:.1f}"
            x1, y1 = x, y + BOX / 2
    return f'<path d="{path}" fill="none" stroke="#456" stroke-width="1.2" marker-end="url(#head)"/>'


def tabulate():
    """All imports as a Markdown table, from the top floor down."""
    imports = find_imports()
    lines = ["| floor | room | imports from |", "|---|---|---|"]
    for floor, rooms in FLOORS.items():
        for room in rooms:
            below = sorted(imports[room], key=lambda other: (-FLOOR_OF[other], other))
            names = ", ".join(f"`{other}`" for other in below)
            lines.append(f"| {floor} | `{room}` | {names} |")
    return "\n".join(lines)


def page_with_table(page):
    """The text of a page with the table brought up to date, between its two marks."""
    marks = r"(<!-- imports -->\n).*?(<!-- end of imports -->)"
    return re.sub(marks, lambda m: f"{m[1]}{tabulate()}\n{m[2]}", page, flags=re.DOTALL)


if __name__ == "__main__":
    DRAWING.write_text(draw(), encoding="utf8")
    PAGE.write_text(page_with_table(PAGE.read_text(encoding="utf8")), encoding="utf8")
