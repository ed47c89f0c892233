"""How fewbit stands against the best of its peers: above 1, fewbit is faster."""

from typing import Any

MOST_ERROR = 0.05  # a case whose result is further from the truth is shown, but is nobody's best
WIDTHS = {"ternary": 2, "int2": 2, "int3": 3, "int4": 4, "int6": 6, "int8": 8}


def best(cases: list[dict[str, Any]], bits: int = 0, by_hand: bool = True) -> dict[str, Any] | None:
    """The fastest trustworthy case, of one width or of all."""
    found = [
        case
        for case in cases
        if case["relerr"] <= MOST_ERROR and bits in (0, case["bits"]) and (by_hand or not case["by_hand"])
    ]
    return min(found, key=lambda case: case["median_us"], default=None)


def ratios(own: dict[str, Any], format: str, cases: list[dict[str, Any]]) -> dict[str, Any]:
    """Ratios of medians with the peer that each is against, and whether their spreads stay apart."""
    peers = {
        "same_width": best(cases, WIDTHS[format]),
        "any_width": best(cases),
        "int8": best(cases, 8),
        "ready_made": best(cases, by_hand=False),
    }
    found: dict[str, Any] = {}
    for name, peer in peers.items():
        if peer:
            found[f"times_best_{name}"] = round(peer["median_us"] / own["median_us"], 3)
            found[f"best_{name}"] = peer["name"]
            apart = own["p90_us"] < peer["p10_us"] or peer["p90_us"] < own["p10_us"]
            found[f"apart_{name}"] = apart
    return found
