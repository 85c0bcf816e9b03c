"""docs/zoo.md: every built-in network, with what was built beside what was printed.

`python -m reports.zoo_page FILE` writes it; a test says when it is out of date.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from results.machines import MachineProfile, newest_profile
from results.published import published_names, published_table
from zoo.cards import Card
from zoo.picture import BARS, picture
from zoo.registry import cards

_HEAD = f"""# The zoo

Every built-in network. This page is generated (`make zoo`) from the cards in `zoo/nets/`; tests
compare their numbers with the networks themselves.

**Shape** is the network in one line: a bar for each change of size, in the order in which its
convolutions run, {BARS[0]} for maps of the image's size, {BARS[1]} for a half, {BARS[2]} for a
quarter, and so on; then the channels of its widest map. **Parameters** are exact, with 3 input
channels and 2 classes, auxiliary heads included. **GMACs** are 10⁹ multiply-adds of convolutions,
linear layers and matrix products for one 3x512x512 image. **Printed** is what the paper prints:
MiniSeg's Table III divides parameters in K by 1,000 and in M by 1,024,000 (MobileNetv3 by
1,000,000), and its operations count biases, batch norms, ReLUs and poolings too. By those rules
every row comes out to the last digit, from the network or from the part of it that was counted
(`tests/zoo/test_table3.py`).
"""

MODERN = "modern"
"""The tag of networks that stand in no table of the two papers."""
_BESIDE = ("miniseg", "unet")
_PROFILE = "epyc-1-thread-modern"
"""The newest profile of this name gives the latencies of networks of today."""

_GROUPS = (
    ("MiniSeg, Table III", ("miniseg-table3",)),
    ("MiniSeg, Tables I and II: ablations", ("miniseg-table1", "miniseg-table2")),
    ("CHS-Net, Tables 3 to 5", ("chsnet-table3", "chsnet-table4", "chsnet-table5")),
    ("Networks of today", (MODERN,)),
    ("Beside the tables", ()),
)


def zoo_page() -> str:
    """The page as Markdown; builds every network on the meta device."""
    left = {name: card for name, card in cards().items() if card.source == "built-in"}
    parts = [_HEAD]
    for title, tables in _GROUPS:
        found = [card for card in left.values() if not tables or card.tags & set(tables)]
        for card in found:
            del left[card.name]
        if found:
            parts += [f"## {title}\n", _table(_ordered(found, tables))]
            if tables == (MODERN,) and (profile := newest_profile(_PROFILE)):
                parts.append(_latencies(profile, [card.name for card in found]))
            parts.append(_remarks(found))
    return "\n".join(parts)


def _ordered(found: list[Card], tables: tuple[str, ...]) -> list[Card]:
    """Networks in the order of the tables' rows, then by name."""
    places = [
        f"{name}/{method}"
        for name in tables
        if name in published_names()
        for row in published_table(name).rows
        if (method := row.get("method", row.get("model")))
    ]

    def place(card: Card) -> tuple[int, str]:
        own = [places.index(row) for row in card.rows if row in places]
        return (min(own, default=len(places)), card.name)

    return sorted(found, key=place)


def _latencies(profile: MachineProfile, modern: list[str]) -> str:
    """Networks of today beside MiniSeg and U-Net, fastest first, as a machine measured them."""
    timed = [
        (network, timing)
        for network in profile.networks
        if network.name in (*modern, *_BESIDE) and (timing := network.timing("latency"))
    ]
    lines = [
        ("network", "parameters", "GMACs", "latency (ms)", "× miniseg", "flags"),
        ("---", "---:", "---:", "---:", "---:", "---"),
    ]
    for network, timing in sorted(timed, key=lambda pair: pair[1].latency_ms):
        cost = network.cost
        assert cost is not None, "what was timed was counted first"
        relative = 1.0 if network.name == profile.reference else timing.relative
        lines.append(
            (
                f"`{network.name}`",
                f"{cost.params:,}",
                f"{(cost.headline or 0) / 1e9:.2f}",
                f"{timing.latency_ms:,.1f}",
                f"{relative:.2f}" if relative else "–",
                ", ".join(timing.flags) or "–",
            )
        )
    told = (
        f"Beside MiniSeg and U-Net: median time of one 3x512x512 image on {profile.env.cpu}, one "
        f"thread, fp32, {profile.rounds} round(s), {profile.created[:10]} "
        "(`results/machines/README.md` has the command). Operations as fvcore counts them."
    )
    return "\n".join([told, "", *(f"| {' | '.join(line)} |" for line in lines)]) + "\n"


def _table(found: Iterable[Card]) -> str:
    sizes = ("parameters", "printed", "GMACs", "operations printed")
    head = ("network", "shape", *sizes, "ImageNet weights")
    lines = [head, ("---", "---", "---:", "---:", "---:", "---:", "---")]
    for card in found:
        params, operations = _printed(card)
        lines.append(
            (
                f"`{card.name}`",
                picture(card),
                f"{card.params or 0:,}",
                params,
                f"{(card.macs or 0) / 1e9:.2f}",
                operations,
                card.weights or "–",
            )
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _printed(card: Card) -> tuple[str, str]:
    """Parameters and operations as the first table that has the network prints them."""
    for row in card.rows:
        table, _, method = row.partition("/")
        for line in published_table(table).method_rows(method):
            if "parameters_printed" in line:
                return line["parameters_printed"], line.get("flops_printed", "–")
    return "–", "–"


def _remarks(found: Iterable[Card]) -> str:
    """One item a network: its paper, what its row counted otherwise, what to know."""
    lines = []
    for card in sorted(found, key=lambda card: card.name):
        text = f"- **`{card.name}`** – {card.paper} ({card.reference}, {card.year})."
        if card.rows:
            text += f" Stands for {', '.join(card.rows)}."
        for extra in (card.published, card.notes):
            text += f" {extra.rstrip('.')}." if extra else ""
        lines.append(text)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(zoo_page(), encoding="utf-8")
