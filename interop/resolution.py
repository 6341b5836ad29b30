#!/usr/bin/env python3
"""The figures of `isn audit balance`, computed with statsmodels and scipy: tests/vectors/resolution.csv.

usage: resolution.py check|write tests/vectors/resolution.csv

Wilson half-widths come from statsmodels' proportion_confint, McNemar's n from Connor's formula with scipy's
normal quantiles. To check the formula, the power is computed by summing over every outcome of the test: near
80% (the asymptotic test is exact only to a few percentage points). Needs scipy and statsmodels.
"""

import math
import sys

from scipy.optimize import brentq
from scipy.stats import binom, norm
from statsmodels.stats.proportion import proportion_confint

Z, POWER = norm.ppf(0.975), norm.ppf(0.8)


def needed(difference: float, discordance: float) -> float:
    return (Z * math.sqrt(discordance) + POWER * math.sqrt(discordance - difference**2)) ** 2 / difference**2


def power(n: int, difference: float, discordance: float) -> float:
    """The probability that McNemar's test without correction finds the models different."""
    total, share = 0.0, (discordance + difference) / (2 * discordance)
    for disagree in range(1, n + 1):
        chance = binom.pmf(disagree, n, discordance)
        if chance > 1e-12:
            # |b - c| > z sqrt(b + c), with b + c = disagree
            least = math.floor((disagree + Z * math.sqrt(disagree)) / 2) + 1
            most = math.ceil((disagree - Z * math.sqrt(disagree)) / 2) - 1
            total += chance * (binom.sf(least - 1, disagree, share) + binom.cdf(most, disagree, share))
    return total


def rows() -> list[str]:
    out = ["what,x,y,value"]
    for n in (10, 50, 65, 130, 250, 325, 2600, 50_000):
        for p in (0.5, 0.9, 0.95, 1.0):
            low, high = proportion_confint(p * n, n, alpha=0.05, method="wilson")
            # The interval is clipped to 0..1, its centre is not: so half the unclipped width is compared.
            centre = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
            out.append(f"wilson,{p},{n},{float(max(high - centre, centre - low))!r}")
    for difference, discordance in ((0.01, 0.1), (0.02, 0.1), (0.05, 0.1), (0.05, 0.2), (0.1, 0.3), (0.005, 0.05)):
        n = math.ceil(needed(difference, discordance))
        reached = power(n, difference, discordance)
        assert abs(reached - 0.8) < 0.03, (difference, discordance, n, reached)
        out.append(f"mcnemar-needed,{difference},{discordance},{n}")
    for n, discordance in ((250, 0.1), (500, 0.1), (2600, 0.1), (2600, 0.05), (50_000, 0.2)):
        smallest = brentq(lambda d: needed(d, discordance) - n, 1e-6, discordance, xtol=1e-15)
        out.append(f"mcnemar-smallest,{n},{discordance},{float(smallest)!r}")
    return out


def main() -> int:
    verb, path = sys.argv[1:3]
    text = "\n".join(rows()) + "\n"
    if verb == "write":
        open(path, "w").write(text)
        return 0
    there = [line.split(",") for line in open(path).read().splitlines()[1:]]
    here = [line.split(",") for line in text.splitlines()[1:]]
    same = len(there) == len(here) and all(
        a[:3] == b[:3] and math.isclose(float(a[3]), float(b[3]), abs_tol=1e-12) for a, b in zip(there, here)
    )
    print(f"resolution: {len(here)} figures, {'the same' if same else 'OTHERS'} by statsmodels and scipy")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
