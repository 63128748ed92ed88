"""Draw the house: which room of the package stands on which floor, and which rooms it imports from.

The drawing and the table of docs/architecture.md are made from the import statements, so they cannot be out of date: a
test compares. To draw anew, from the top of the repository::

    python docs/draw_house.py
"""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "numpy_setlstm"
PAGE = ROOT / "docs" / "architecture.md"
DRAWING = ROOT / "docs" / "images" / "house.svg"

# A room imports from its own floor and from lower ones. Floor 0 knows nothing of the rest.
FLOORS = {
    6: ("cli",),
    5: ("estimator", "inputs", "lab", "plotting"),
    4: ("training", "checkpoint"),
    3: ("network", "optimizers"),
    2: ("layers", "topology", "measures", "converters"),
    1: ("sparse", "fast"),
    0: ("gradcheck", "text", "datasets"),
}
TITLES = {
    6: "command line",
    5: "for users",
    4: "training",
    3: "the network",
    2: "layers, topology",
    1: "sparse arithmetic",
    0: "independent",
}
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms}

WIDTH, LEFT, BOX, ROW, GAP = 860, 150, 26, 58, 22  # pixels: of the drawing, of the titles, of a box, a row, a floor


def find_imports():
    """Which rooms each room imports from: dict of str to set of str, read from the import statements."""
    imports = {room: set() for room in FLOOR_OF}
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room in ("__init__", "__main__"):
            continue
        if room not in imports:
            raise ValueError(f"{path.relative_to(ROOT)} stands on no floor: name its room in FLOORS of {__file__}")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            imports[room] |= rooms_of(node) & FLOOR_OF.keys() - {room}
    return imports


def rooms_of(node):
    """The rooms that one statement imports."""
    if isinstance(node, ast.Import):
        modules = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module == "numpy_setlstm":
        modules = [f"numpy_setlstm.{alias.name}" for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        modules = [node.module or ""]
    else:
        return set()
    parts = [module.split(".") for module in modules]
    return {names[1] for names in parts if names[0] == "numpy_setlstm" and len(names) > 1}


def find_reachable(imports):
    """All rooms that a room needs, directly or through others: dict of str to set of str."""
    reachable = {room: set(direct) for room, direct in imports.items()}
    for middle in imports:
        for room in imports:
            if middle in reachable[room]:
                reachable[room] |= reachable[middle]
    return reachable


def leave_out_implied(imports):
    """The imports without those that a way through a third room already implies."""
    reachable = find_reachable(imports)
    in_circle = {room: {other for other in reachable[room] if room in reachable[other]} | {room} for room in imports}
    return {
        room: {
            target
            for target in direct
            if target in in_circle[room]
            or not any(target in reachable[other] for other in direct - in_circle[room] - in_circle[target])
        }
        for room, direct in imports.items()
    }


def place_rooms(imports):
    """The rows of the drawing, from top to bottom: a list of lists of rooms, and dict of floor to its row numbers."""
    reachable = find_reachable(imports)
    rows, floors = [], {}
    for floor, rooms in FLOORS.items():
        depth = {room: 0 for room in rooms}  # rooms that import each other in a circle are equally deep
        for _ in rooms:
            for room in rooms:
                above = [r for r in rooms if room in reachable[r] and r not in reachable[room]]
                depth[room] = max([depth[r] + 1 for r in above], default=0)
        levels = [[room for room in rooms if depth[room] == level] for level in range(max(depth.values()) + 1)]
        floors[floor] = range(len(rows), len(rows) + len(levels))
        rows += levels
    return rows, floors


def lead_arrows(rows, imports):
    """The ways of all arrows: a list of lists of (row number, room).

    An arrow to a room that is several rows lower passes each row between at a place of its own, (row number, target),
    so that it runs through no box; arrows to one target share these places.
    """
    row_of = {room: k for k, rooms in enumerate(rows) for room in rooms}
    ways = []
    for room, targets in sorted(imports.items()):
        for target in sorted(targets):
            between = range(row_of[room] + 1, row_of[target])
            ways.append([(row_of[room], room), *((k, target) for k in between), (row_of[target], target)])
    return ways


def spread(rows, ways):
    """The x of each place, so that arrows are short and straight and nothing overlaps: dict of (row, room) to float."""
    steps = sorted(
        {step for way in ways for step in zip(way, way[1:], strict=False)}
    )  # sorted: the same sums each time
    places = [
        sorted({place for way in ways for place in way if place[0] == k} | {(k, room) for room in rooms})
        for k, rooms in enumerate(rows)
    ]
    x = {place: LEFT + (WIDTH - LEFT) * (n + 0.5) / len(row) for row in places for n, place in enumerate(row)}
    half = {(k, name): box_width(name) / 2 + 6 if name in rows[k] else 9 for row in places for k, name in row}
    for sweep in range(40):
        for row in places if sweep % 2 else places[::-1]:
            for place in row:
                beside = [b for a, b in steps if a == place] + [a for a, b in steps if b == place]
                if beside:
                    x[place] = sum(x[other] for other in beside) / len(beside)
            row.sort(key=lambda place: (x[place], place))
            offsets = [0.0]  # of each place from the first, if they stand shoulder to shoulder
            for left, right in zip(row, row[1:], strict=False):
                offsets.append(offsets[-1] + half[left] + half[right])
            firsts = increasing([x[place] - offset for place, offset in zip(row, offsets, strict=True)])
            low, high = LEFT + half[row[0]], WIDTH - half[row[-1]] - offsets[-1]
            x |= {p: min(max(f, low), high) + o for p, f, o in zip(row, firsts, offsets, strict=True)}
    return x


def increasing(wanted):
    """The numbers nearest to those wanted that never fall: neighbours in the wrong order meet at their mean."""
    blocks = []
    for number in wanted:
        blocks.append([number])
        while len(blocks) > 1 and sum(blocks[-2]) / len(blocks[-2]) > sum(blocks[-1]) / len(blocks[-1]):
            last = blocks.pop()
            blocks[-1] += last
    return [sum(block) / len(block) for block in blocks for _ in block]


def label(room):
    """The name of a room as it stands in the drawing: folders with a stroke."""
    return room + ("/" if (PACKAGE / room).is_dir() else "")


def box_width(room):
    """Width of a room's box, in pixels."""
    return 9 * len(label(room)) + 16


def draw():
    """The drawing, as the text of an SVG file."""
    shown = leave_out_implied(find_imports())
    rows, floors = place_rooms(shown)
    ways = lead_arrows(rows, shown)
    x = spread(rows, ways)
    floor_of_row = {k: floor for floor, numbers in floors.items() for k in numbers}
    y = {k: ROW * (k + 0.5) + GAP * list(floors).index(floor) for k, floor in floor_of_row.items()}
    height = y[len(rows) - 1] + ROW / 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-10 -10 {WIDTH + 20} {height + 20:.0f}" role="img" '
        'font-family="sans-serif" font-size="14">',
        "<title>The rooms of numpy_setlstm, floor by floor, with arrows to the rooms that each imports from</title>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8Z" fill="#456"/></marker></defs>',
        f'<rect x="-10" y="-10" width="{WIDTH + 20}" height="{height + 20:.0f}" rx="8" fill="#ffffff"/>',
    ]
    for floor, numbers in floors.items():
        top, bottom = y[numbers[0]] - ROW / 2, y[numbers[-1]] + ROW / 2
        parts.append(
            f'<rect x="0" y="{top:.0f}" width="{WIDTH}" height="{bottom - top:.0f}" rx="6" fill="#eef3f8"/>'
            f'<text x="12" y="{(top + bottom) / 2 - 3:.0f}" font-weight="bold" fill="#223">'
            f"{f'floor {floor}' if floor else 'no floor'}</text>"
            f'<text x="12" y="{(top + bottom) / 2 + 15:.0f}" fill="#223">{TITLES[floor]}</text>'
        )
    parts += [draw_arrow([(x[place], y[place[0]]) for place in way]) for way in ways]
    parts += [draw_box(room, x[k, room], y[k]) for k, rooms in enumerate(rows) for room in sorted(rooms)]
    return "\n".join([*parts, "</svg>", ""])


def draw_box(room, x, y):
    """A room."""
    width = box_width(room)
    return (
        f'<rect x="{x - width / 2:.1f}" y="{y - BOX / 2:.1f}" width="{width}" height="{BOX}" rx="5" fill="#ffffff" '
        f'stroke="#245"/><text x="{x:.1f}" y="{y + 5:.1f}" text-anchor="middle" fill="#112">{label(room)}</text>'
    )


def draw_arrow(points):
    """One arrow: downwards through the given places, or an arc below the boxes within a row."""
    (x1, y1), *between, (x2, y2) = points
    if y1 == y2:
        side = 20 if x2 > x1 else -20
        path = (
            f"M{x1 + side:.1f} {y1 + BOX / 2:.1f}Q{(x1 + x2) / 2:.1f} {y1 + 30:.1f} {x2 - side:.1f} {y2 + BOX / 2:.1f}"
        )
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
            lines.append(f"| {floor or ''} | `{room}` | {names} |")
    return "\n".join(lines)


def page_with_table(page):
    """The text of a page with the table brought up to date, between its two marks."""
    marks = r"(<!-- imports -->\n).*?(<!-- end of imports -->)"
    return re.sub(marks, lambda m: f"{m[1]}{tabulate()}\n{m[2]}", page, flags=re.DOTALL)


if __name__ == "__main__":
    DRAWING.write_text(draw(), encoding="utf8")
    PAGE.write_text(page_with_table(PAGE.read_text(encoding="utf8")), encoding="utf8")
