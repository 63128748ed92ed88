"""What is written for students and for the teacher: pages in Markdown and HTML, tables, and results for Gradescope."""

import csv
import io
from collections import Counter, defaultdict
from html import escape
from itertools import combinations

STYLE = (
    "body{font:16px sans-serif;max-width:60em;margin:2em auto}td,th{padding:.2em .8em;text-align:left}"
    "pre{white-space:pre-wrap}"
)
NOTHING = "nothing handed in"
MOST_PAIRS = 50  # on the page of the class; all are in pairs.csv


def as_markdown(parts):
    """A page as Markdown; its parts are ("title", "text" or "code", text) and ("table", rows with the head first)."""
    lines = []
    for kind, content in parts:
        if kind == "table":
            rows = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in content]
            rows.insert(1, ["---"] * len(rows[0]))
            lines.append("\n".join(f"| {' | '.join(row)} |" for row in rows))
        else:
            lines.append({"title": f"## {content}", "code": f"```text\n{content}\n```"}.get(kind, content))
    return "\n\n".join(lines) + "\n"


def as_html(parts, title):
    """The same page as HTML, which needs nothing beside it."""
    body = []
    for kind, content in parts:
        if kind == "table":
            rows = ["".join(f"<td>{escape(str(cell))}</td>" for cell in row) for row in content]
            rows[0] = rows[0].replace("td>", "th>")
            body.append("<table>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>")
        else:
            tag = {"title": "h2", "code": "pre"}.get(kind, "p")
            body.append(f"<{tag}>{escape(content)}</{tag}>")
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    return head + "\n".join(body) + "</html>\n"


def student_page(title, student, record):
    """The parts of a student's page: points, and what is wrong first in each task; nothing of the hidden tests."""
    tasks = record["tasks"]
    total = f"{points_of(tasks):g} of {sum(task['maximum'] for task in tasks):g} points"
    rows = [[t["task"], f"{t['points']:g}", f"{t['maximum']:g}", t["cause"] or "right"] for t in tasks]
    parts = [
        ("title", f"{title}: {student}"),
        ("text", ". ".join(filter(None, (total, record.get("note"))))),
        ("table", [["task", "points", "of", "likely cause"], *rows]),
    ]
    for task in tasks:
        if task["cause"]:
            parts += [("title", task["task"]), ("code", task["report"])]
    return parts


def gradescope(record):
    """The results in the form that Gradescope reads."""
    tests = [
        {
            "name": task["task"],
            "score": task["points"],
            "max_score": task["maximum"],
            "status": "failed" if task["cause"] else "passed",
            "output": task["report"] or "right",
            "visibility": "visible",
        }
        for task in record["tasks"]
    ]
    return {"score": points_of(record["tasks"]), "output": "", "stdout_visibility": "hidden", "tests": tests}


def points_of(tasks):
    """The points of a record's tasks together."""
    return sum(task["points"] for task in tasks)


def grades_table(records):
    """All points, as rows; `records` is a dict by student."""
    rows = [["student", "task", "points", "maximum", "cause"]]
    for student, record in sorted(records.items()):
        for t in record["tasks"]:
            rows.append([student, t["task"], f"{t['points']:g}", f"{t['maximum']:g}", t["cause"]])
    return rows


def pairs_table(records):
    """Pairs of students with the same wrong numbers in the same entries, and the tasks."""
    who = defaultdict(list)
    for student, record in sorted(records.items()):
        for task in record["tasks"]:
            if task["signature"]:
                who[task["task"], tuple(task["signature"])].append(student)
    tasks = defaultdict(list)
    for (task, _), students in who.items():
        for pair in combinations(students, 2):
            tasks[pair].append(task)
    rows = sorted((-len(names), *pair, ", ".join(names)) for pair, names in tasks.items())
    return [["first", "second", "tasks"], *(list(row[1:]) for row in rows)]


def class_page(title, records, seed):
    """The parts of the teacher's page: points, mistakes, pairs, and what a person should look at."""
    tasks = [task["task"] for task in next(iter(records.values()))["tasks"]]
    points = [
        [student, *(f"{t['points']:g}" for t in r["tasks"]), f"{points_of(r['tasks']):g}"]
        for student, r in sorted(records.items())
    ]
    counts = Counter((t["task"], t["cause"]) for r in records.values() for t in r["tasks"] if t["cause"])
    mistakes = [[number, task, cause] for (task, cause), number in sorted(counts.items(), key=lambda c: (-c[1], c[0]))]
    pairs = pairs_table(records)
    remarks = [[student, remark] for student, r in sorted(records.items()) for remark in r["remarks"]]
    some = f" (the first {MOST_PAIRS} of {len(pairs) - 1})" if len(pairs) - 1 > MOST_PAIRS else ""
    return [
        ("title", title),
        ("text", f"{len(records)} submissions. All inputs were drawn with --seed {seed}."),
        ("table", [["student", *tasks, "all"], *points]),
        ("title", "Mistakes"),
        ("table", [["how often", "task", "cause"], *mistakes]),
        ("title", f"Pairs with the same wrong numbers in the same entries{some}"),
        ("table", pairs[: MOST_PAIRS + 1]),
        ("title", "For a person to look at"),
        ("text", "These remarks took no points. They are hints: what a submission says of itself can be forged."),
        ("table", [["student", "remark"], *remarks]),
    ]


def as_csv(rows):
    """Rows as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
