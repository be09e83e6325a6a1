"""What a demo shows while it happens: a panel on a terminal, lines elsewhere."""

from __future__ import annotations

from typing import Any, NamedTuple

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text


class Glance(NamedTuple):
    """One look at the running system."""

    day: str
    events: int
    events_per_s: float
    lag: int
    recommendations: int
    prices: int
    freshness_p99_ms: float | None
    shopper: str
    looked_at: str
    before: list[str]
    after: list[str]
    neighbours: list[str]
    price_news: list[str]
    hit_rates: dict[str, float]


def sentence(glance: Glance) -> str:
    """One line of a log."""
    said = (
        f"{glance.events:>9,} events  {glance.events_per_s:>7,.0f}/s  lag {glance.lag:>5,}  "
        f"lists {glance.recommendations:>9,}  price messages {glance.prices:>6,}"
    )
    if glance.after:
        said += f"  |  {glance.shopper} saw {glance.looked_at}: now {', '.join(glance.after[:3])}"
    if glance.price_news:
        said += f"  |  {glance.price_news[-1]}"
    return said


def panel(glance: Glance) -> Panel:
    """The whole picture."""
    facts = Table.grid(padding=(0, 2))
    facts.add_row(
        f"[b]{glance.events:,}[/b] events",
        f"[b]{glance.events_per_s:,.0f}[/b] a second",
        f"lag [b]{glance.lag:,}[/b]",
        f"[b]{glance.recommendations:,}[/b] lists",
        f"fresh within [b]{glance.freshness_p99_ms or 0:,.0f}[/b] ms (p99)",
    )
    kept = set(glance.before)
    now = Text("  ").join(Text(item, style="" if item in kept else "bold green") for item in glance.after[:8])
    lists = Table.grid(padding=(0, 2))
    lists.add_row(Text(glance.shopper, style="bold"), Text(f"just saw {glance.looked_at}"))
    lists.add_row("before", Text("  ".join(glance.before[:8])))
    lists.add_row("now", now)
    lists.add_row(Text(glance.looked_at, style="bold"), Text("goes with " + "  ".join(glance.neighbours[:8])))
    rates = "   ".join(f"{name} {rate:.3f}" for name, rate in glance.hit_rates.items())
    prices = "\n".join(glance.price_news[-4:]) or "no price has moved yet"
    body = Group(facts, "", lists, "", f"next item among the 20 shown: {rates}", "", Text(prices))
    return Panel(body, title=f"stream · {glance.day}", subtitle="Ctrl-C ends it")


class View:
    """A `Live` panel on a terminal; on anything else a line every second look."""

    def __init__(self, quiet: bool) -> None:
        self.console = Console(stderr=True)
        self.live = Live(console=self.console, refresh_per_second=4) if self.console.is_terminal else None
        self._quiet = quiet
        self._looks = 0

    def say(self, text: str) -> None:
        """One step of the way there."""
        if not self._quiet:
            self.console.print(text, highlight=False, markup=False)

    def show(self, glance: Glance) -> None:
        """Show the latest look."""
        self._looks += 1
        if self._quiet:
            return
        if self.live is not None:
            self.live.update(panel(glance))
        elif self._looks % 4 == 0:
            self.console.print(sentence(glance), highlight=False, markup=False, soft_wrap=True)


def print_summary(summary: dict[str, Any]) -> None:
    """The summary as a table on standard output."""
    table = Table.grid(padding=(0, 2))
    for name, value in summary.items():
        if isinstance(value, dict):
            value = "   ".join(f"{key} {each:.3f}" for key, each in value.items())
        elif isinstance(value, int):
            value = f"{value:,}"
        table.add_row(name.replace("_", " "), str(value))
    Console().print(table)
