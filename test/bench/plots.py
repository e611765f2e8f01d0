"""Plots as SVG, by hand: lines over a logarithmic axis, and bars in two panels. Light background, no library."""
import html
import math

INK, GREY, PALE, GRID = "#222222", "#666666", "#a8b0b8", "#e4e4e4"
COLOURS = ("#0b6bb5", "#d1641a", "#2e8b57", "#8a5aa8")
FONT = "font-family='Helvetica, Arial, sans-serif'"


def number(value):
    """With its thousands apart, and no more digits than it needs."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


class Drawing:
    def __init__(self, width, height, title, subtitle):
        self.width, self.height = width, height
        self.parts = [f"<rect width='{width}' height='{height}' fill='white'/>"]
        self.text(24, 32, title, size=18, weight="bold")
        self.text(24, 52, subtitle, size=12, colour=GREY)

    def text(self, x, y, words, size=12, anchor="start", colour=INK, weight="normal", turn=0):
        turned = f" transform='rotate({turn} {x:.1f} {y:.1f})'" if turn else ""
        self.parts.append(f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' fill='{colour}' font-weight='{weight}' "
                          f"text-anchor='{anchor}'{turned} {FONT}>{html.escape(str(words))}</text>")

    def line(self, points, colour=GRID, width=1.0, dashes=""):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dashed = f" stroke-dasharray='{dashes}'" if dashes else ""
        self.parts.append(f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='{width}'{dashed}/>")

    def dot(self, x, y, colour):
        self.parts.append(f"<circle cx='{x:.1f}' cy='{y:.1f}' r='4' fill='{colour}'/>")

    def bar(self, x, y, width, height, colour):
        self.parts.append(f"<rect x='{x:.1f}' y='{y:.1f}' width='{max(width, 0.5):.1f}' height='{height:.1f}' fill='{colour}'/>")

    def svg(self):
        body = "\n".join(self.parts)
        return (f"<svg xmlns='http://www.w3.org/2000/svg' width='{self.width}' height='{self.height}' "
                f"viewBox='0 0 {self.width} {self.height}'>\n{body}\n</svg>\n")


def steps(top):
    """About five round steps from 0 to beyond `top`."""
    rough = top / 5
    size = 10 ** math.floor(math.log10(rough))
    size *= next(factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough)
    return [size * i for i in range(math.ceil(top / size - 1e-9) + 1)]


def lines(title, subtitle, x_label, y_label, xs, series):
    """`series`: {name: values, one for each of xs or None}; names that end alike ("threads = 2") are dashed alike."""
    left, top, right, bottom = 74, 78, 560, 372
    drawing = Drawing(800, 440, title, subtitle)
    ticks = steps(1.05 * max(value for values in series.values() for value in values if value is not None))

    def at(x, y):
        share = (math.log10(x) - math.log10(xs[0])) / (math.log10(xs[-1]) - math.log10(xs[0]))
        return left + 24 + share * (right - left - 48), bottom - y / ticks[-1] * (bottom - top)

    for tick in ticks:
        _, y = at(xs[0], tick)
        drawing.line([(left, y), (right, y)])
        drawing.text(left - 8, y + 4, number(tick), anchor="end")
    for x in xs:
        drawing.text(at(x, 0)[0], bottom + 20, number(x), anchor="middle")
        drawing.line([at(x, 0), (at(x, 0)[0], bottom + 5)], INK)
    drawing.line([(left, top), (left, bottom), (right, bottom)], INK)
    drawing.text((left + right) / 2, bottom + 46, x_label, size=13, anchor="middle")
    drawing.text(22, (top + bottom) / 2, y_label, size=13, anchor="middle", turn=-90)
    for index, (name, values) in enumerate(series.items()):
        colour, dashes = COLOURS[index // 2 % len(COLOURS)], "6 4" if index % 2 else ""
        points = [at(x, value) for x, value in zip(xs, values) if value is not None]
        drawing.line(points, colour, 2.2, dashes)
        for x, y in points:
            drawing.dot(x, y, colour)
        y = top + 14 + 26 * index
        drawing.line([(right + 22, y - 4), (right + 52, y - 4)], colour, 2.2, dashes)
        drawing.text(right + 60, y, name)
    return drawing.svg()


def bars(title, subtitle, panels, rows):
    """`panels`: (what, the axis's end); `rows`: (name, one (value, limit) or None for each panel)."""
    left, top, height, width, gap = 430, 96, 26, 280, 96
    drawing = Drawing(left + len(panels) * (width + gap) + 20, top + height * len(rows) + 60, title, subtitle)
    bottom = top + height * len(rows)
    for number_of, (what, end) in enumerate(panels):
        x0 = left + number_of * (width + gap)
        drawing.text(x0, top - 14, what, size=13, weight="bold")
        for tick in steps(end):
            x = x0 + min(tick / steps(end)[-1], 1) * width
            drawing.line([(x, top), (x, bottom)])
            drawing.text(x, bottom + 18, number(tick), anchor="middle")
        drawing.line([(x0, top), (x0, bottom)], INK)
        for index, (_, cells) in enumerate(rows):
            if cells[number_of] is None:
                continue
            value, limit = cells[number_of]
            y, scale = top + index * height, width / steps(end)[-1]
            colour = PALE if limit is None else COLOURS[2] if value <= limit else COLOURS[1]
            drawing.bar(x0, y + 5, min(value * scale, width), height - 10, colour)
            drawing.text(x0 + width + 48, y + 17, f"{value:.2f}", size=12, anchor="end")
            if limit is not None:
                drawing.line([(x0 + limit * scale, y + 2), (x0 + limit * scale, y + height - 2)], INK, 2.5)
    for index, (name, _) in enumerate(rows):
        drawing.text(left - 10, top + index * height + 17, name, anchor="end")
    for x, colour, words in ((left, COLOURS[2], "target met"), (left + 110, COLOURS[1], "target missed"),
                             (left + 240, PALE, "no target"), (left + 350, None, "target")):
        if colour:
            drawing.bar(x, bottom + 34, 14, 12, colour)
        else:
            drawing.line([(x + 7, bottom + 32), (x + 7, bottom + 48)], INK, 2.5)
        drawing.text(x + 20, bottom + 44, words)
    return drawing.svg()
