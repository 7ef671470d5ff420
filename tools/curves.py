"""Curves as an SVG picture, both axes logarithmic: a cost that grows as x^e is a straight
line, and e is its slope. Only tools/bench_scale draws such pictures."""
import math

COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f",
           "#17becf")
# LEFT, RIGHT and TOP bound the curves. PER_TEN is the height of a power of ten.
LEFT, RIGHT, TOP, PER_TEN = 60, 360, 40, 60
FOR_NAMES = 130     # to the right of the curves


def exponent(counts, low):
    """Of {x: count}, from `low` to the largest x: e, if the count grows as x^e."""
    high = max(counts)
    return math.log(counts[high] / counts[low]) / math.log(high / low)


def apart(ends):
    """[(name, y)], where the curves end: the same with room for a name at each y."""
    out = []
    for name, y in sorted(ends, key=lambda end: end[1]):
        out.append((name, max(y, out[-1][1] + 13) if out else y))
    return out


def svg(title, rows, of_x):
    """rows: {name: {x: count}}; of_x: what x is."""
    xs = sorted({x for counts in rows.values() for x in counts})
    all_counts = [n for counts in rows.values() for n in counts.values()]
    lowest = math.floor(math.log10(min(all_counts)))
    highest = math.ceil(math.log10(max(all_counts)))
    bottom = TOP + PER_TEN * (highest - lowest)

    def at(x, n):
        return (LEFT + (RIGHT - LEFT) * math.log(x / xs[0]) / math.log(xs[-1] / xs[0]),
                bottom - PER_TEN * (math.log10(n) - lowest))

    width, height = RIGHT + FOR_NAMES, bottom + 45
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
           'font-family="sans-serif" font-size="12">', f"<title>{title}</title>",
           f'<rect width="{width}" height="{height}" fill="white"/>']
    for power in range(lowest, highest + 1):
        y = bottom - PER_TEN * (power - lowest)
        out.append(f'<path d="M{LEFT},{y}H{RIGHT}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{10 ** power}</text>')
    for x in xs:
        out.append(f'<text x="{at(x, 1)[0]:.0f}" y="{bottom + 18}" '
                   f'text-anchor="middle">{x}</text>')
    out.append(f'<text x="{LEFT}" y="{bottom + 36}">{of_x}</text>'
               '<text x="6" y="24">instructions</text>')
    ends = []
    for colour, (name, counts) in zip(COLOURS, rows.items(), strict=False):
        points = [at(x, n) for x, n in sorted(counts.items())]
        line = " ".join(f"{x:.0f},{y:.1f}" for x, y in points)
        out.append(f'<polyline data-row="{name}" points="{line}" fill="none" '
                   f'stroke="{colour}" stroke-width="2"/>')
        ends.append((name, points[-1][1]))
    for name, y in apart(ends):
        out.append(f'<text x="{RIGHT + 8}" y="{y + 4:.1f}" '
                   f'fill="{COLOURS[list(rows).index(name)]}">{name}</text>')
    return "\n".join([*out, "</svg>\n"])
