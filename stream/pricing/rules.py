"""Why a price is what it is: one code for the rule that decided, with its name and its sentence."""

from __future__ import annotations

from enum import IntEnum


class Rule(IntEnum):
    """The rule that bound a proposal. Codes are stored and published: new rules get new numbers."""

    OFF = 0
    NO_REFERENCE = 1
    NO_COST = 2
    INFEASIBLE = 3
    EVIDENCE = 4
    NO_BETTER_PRICE = 5
    CONFIDENCE = 6
    HYSTERESIS = 7
    COOLDOWN = 8
    ROUNDING = 9
    MAX_STEP = 10
    FLOOR = 11
    CEILING = 12
    MARGIN = 13
    OPTIMUM = 14
    TRIAL = 15

    @property
    def label(self) -> str:
        """The name in published values and metrics: `max-step`."""
        return self.name.lower().replace("_", "-")

    @property
    def sentence(self) -> str:
        """The reason in words."""
        return _SENTENCES[self]


_SENTENCES = {
    Rule.OFF: "Pricing is off.",
    Rule.NO_REFERENCE: "Held: the catalogue has no list price to vary around.",
    Rule.NO_COST: "Held: without a cost nobody can say which price earns more.",
    Rule.INFEASIBLE: "Held: no price lies between floor, cost with margin, and ceiling; check these facts.",
    Rule.EVIDENCE: "Held: too few views at known prices yet.",
    Rule.NO_BETTER_PRICE: "Held: no other price step is better.",
    Rule.CONFIDENCE: "Held: a trial of another price would cost more than is allowed.",
    Rule.HYSTERESIS: "Held: the expected gain is too small to bother shoppers with a change.",
    Rule.COOLDOWN: "Held: the last change is too recent.",
    Rule.ROUNDING: "Held: the change rounds to nothing.",
    Rule.MAX_STEP: "Moved towards a better price, as far as one step may go.",
    Rule.FLOOR: "Kept at the floor.",
    Rule.CEILING: "Kept at the ceiling.",
    Rule.MARGIN: "Kept at cost and least margin.",
    Rule.OPTIMUM: "Moved to the price that is expected to earn most.",
    Rule.TRIAL: "Moved to a promising price, to learn how demand answers.",
}
