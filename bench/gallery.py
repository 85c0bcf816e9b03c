"""`make gallery`: docs/gallery.md and its pictures, from the shipped store and the commands shown.

Everything on the page is what the commands print and write; nothing is edited by hand.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path("docs").resolve()
PICTURES = DOCS / "gallery"
STORE = "phantom"
MEASURED = Path("results/measured/epyc-2-cores/ct100-128").resolve()
FIGURES = (
    "accuracy",
    "ranks",
    "critical-difference",
    "distributions",
    "curves",
    "heatmap",
    "predictions",
    "confusion",
)
MACHINE = "epyc-1-thread"


def main() -> None:
    """Write the page and the pictures."""
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        parts = [
            _HEAD,
            *_tables(here),
            *_figures(here),
            *_honesty(here),
            *_row(here),
            *_page(here),
        ]
    (DOCS / "gallery.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


_HEAD = f"""# Gallery

What covbench makes of records. All of it comes from one store that covbench ships: 21 networks on
the phantom, 60 steps each at 64x64 (`smoke` with two settings changed), three folds, two seeds.
`--from {STORE}` names it, `make store` trains it anew, `make gallery` wrote this page. The phantom
is drawn, and 60 steps are few: the page shows what the tools say, not which network is good."""


def covbench(here: Path, command: str, *, code: int = 0) -> str:
    """Run a command in a folder and return what it prints, messages included where it fails."""
    words = [sys.executable, "-c", "from runners.cli import main; main()", *command.split()]
    environment = {**os.environ, "COLUMNS": "100", "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(words, capture_output=True, text=True, cwd=here, env=environment)
    if done.returncode != code:
        raise SystemExit(f"covbench {command}: exit {done.returncode}\n{done.stderr}")
    return (done.stdout if code == 0 else done.stderr).strip()


def shown(*commands: str) -> str:
    """Commands as the page shows them."""
    return "\n".join(["```bash", *(f"covbench {each}" for each in commands), "```"])


def table_of(text: str, number: int = 0) -> str:
    """The grid of one table of a Markdown file."""
    return re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)[number].strip()


def caption_of(text: str, number: int = 0) -> str:
    """The paragraph after a table's grid, as a quotation."""
    after = re.split(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)[number + 1]
    return "> " + after.strip().split("\n\n")[0]


def cut(text: str, lines: int) -> str:
    """The first lines of a text, and how many more there are."""
    every = text.splitlines()
    more = len(every) - lines
    return text if more <= 0 else "\n".join([*every[:lines], f"({more} more lines)"])


def _tables(here: Path) -> list[str]:
    report = (
        f"report --from {STORE} --machine {MACHINE} --spread interval --layout miniseg-table3 "
        "--against miniseg-table3 --html"
    )
    covbench(here, report)
    files = {path.name: path.read_text("utf-8") for path in (here / "report").glob("*.md")}
    board, statistics = files["leaderboard.md"], files["statistics.md"]
    verdicts = files["against-miniseg-table3.md"]
    return [
        "## Tables",
        shown(report),
        "writes every table as Markdown, LaTeX, CSV, HTML and JSON, every figure as PNG and PDF, a "
        "methods section and the page. The leaderboard with 95 % intervals over patients:",
        table_of(board),
        caption_of(board),
        "Where each network stands, and what the data can't tell:",
        table_of(statistics),
        caption_of(statistics),
        "The same runs in the form of MiniSeg's Table III (rows that were not run stay empty):",
        table_of(files["miniseg-table3.md"]),
        "Beside the published numbers. On the phantom nothing can be reproduced, and each row says "
        "why:",
        table_of(verdicts, 1),
        "The methods section:",
        "> " + files["methods.md"].partition("\n\n")[2].strip(),
    ]


def _figures(here: Path) -> list[str]:
    folder = here / "report" / "figures"
    captions = dict(
        re.findall(
            r"^## (\S+)\n\n(.*?)\n$", (folder / "captions.md").read_text("utf-8"), re.M | re.S
        )
    )
    parts = ["## Figures", "The captions are those that `report/figures/captions.md` holds."]
    for name in FIGURES:
        (path,) = folder.glob(f"{name}-*.png")
        parts += _picture(path, name, captions[path.stem])
    preset = f"report --from {STORE} --figures chsnet-fig8 --to preset"
    covbench(here, preset)
    (path,) = (here / "preset" / "figures").glob("*.png")
    text = (here / "preset" / "figures" / "captions.md").read_text("utf-8")
    parts += ["A figure of a paper, drawn again:", shown(preset)]
    return [*parts, *_picture(path, "chsnet-fig8", text.partition("\n\n")[2].strip())]


def _picture(path: Path, name: str, caption: str) -> list[str]:
    """Copy a picture as a palette PNG, which is some three times smaller, and show it."""
    from PIL import Image

    target = PICTURES / f"{name}.png"
    with Image.open(path) as image:
        # An octree keeps rare colours, such as thin stripes, where a median cut loses them.
        small = image.convert("RGB").quantize(256, method=Image.Quantize.FASTOCTREE)
    small.save(target, optimize=True)
    return [f"![{name}](gallery/{target.name})", f"> {caption}"]


def _honesty(here: Path) -> list[str]:
    compare = f"compare smp:unet/resnet34 miniseg --from {STORE}"
    factors = f"compare --factors --metric hausdorff_px --seeds 0 --from {STORE}"
    trace = "trace report/leaderboard.md miniseg Dice"
    choose = f"choose --max-params 1M --min-fps 8 --machine {MACHINE} --by dice --from {STORE}"
    strict = f"report --from {MEASURED} --strict"
    short = strict.replace(f"{MEASURED}", "results/measured/epyc-2-cores/ct100-128")
    difference = covbench(here, compare)
    return [
        "## What stands behind a number",
        "Two networks, patient by patient:",
        shown(compare),
        table_of(difference + "\n", 1),
        caption_of(difference, 1),
        "What the rules of scoring do to the ranks, without any training:",
        shown(factors),
        table_of(covbench(here, factors) + "\n"),
        "A cell back to its runs, and made once more:",
        shown(trace),
        f"```text\n{covbench(here, trace)}\n```",
        "Networks within limits:",
        shown(choose),
        table_of(covbench(here, choose) + "\n"),
        "A report is refused (exit code 3) where its rows are unequal. Here a known patient of "
        "CT100 stands on both sides of the authors' first fold:",
        shown(short),
        f"```text\n{covbench(here, strict, code=3).replace(str(MEASURED), short.split()[2])}\n```",
    ]


def _row(here: Path) -> list[str]:
    row = f"row ./mynet.py --beside {STORE} --machine {MACHINE} --yes"
    covbench(here, "new mynet")
    printed = covbench(here, row)
    sentences = printed[printed.rindex("\nmynet is number") :].strip()
    return [
        "## One's own network",
        shown("new mynet", row),
        "trains `mynet.py` alone, on the folds and seeds of the store, and says after the tables:",
        "> " + sentences.rpartition("\n\n")[0].replace("\n", "\n> "),
        "and its line for a paper, with the marks that it has among the others:",
        f"```latex\n{sentences.rpartition(chr(10))[2]}\n```",
        *_picture(
            here / "row" / "accuracy.png",
            "row",
            "The ring is the new network; squares: Pareto front.",
        ),
    ]


def _page(here: Path) -> list[str]:
    """A picture of the page; none where there is no browser."""
    from playwright.sync_api import sync_playwright

    browser = shutil.which("chromium")
    if browser is None:
        raise SystemExit("chromium is not installed: apt-get install chromium")
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = opened.new_page(viewport={"width": 1280, "height": 1500})
        page.goto((here / "report" / "report.html").as_uri())
        page.screenshot(path=here / "page.png")
        opened.close()
    return [
        "## The page",
        "`report/report.html` is one file that loads nothing: sort, filter, hover, open a row's "
        "card, compare two rows, light or dark, by mouse or keyboard.",
        *_picture(here / "page.png", "page", "The page in Chromium."),
    ]


if __name__ == "__main__":
    main()
