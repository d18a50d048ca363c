"""The demo site's drawings, as SVG or PNG bytes: the same bytes for the same arguments."""

import math
import random
import struct
import zlib

# name, latitude, longitude, colour
REGIONS = (
    ("Frankfurt", 50.11, 8.68, "#3f7058"),
    ("Virginia", 39.04, -77.49, "#b8431f"),
    ("Tokyo", 35.68, 139.69, "#7a5ea8"),
)
OFFICE = (46.2, 6.1)
SANS = 'font-family="Inter,system-ui,sans-serif"'


def great_circle(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Angle between two places given in degrees of latitude and longitude, in radians."""
    (lat_a, lon_a), (lat_b, lon_b) = (tuple(map(math.radians, place)) for place in (a, b))
    cosine = (math.sin(lat_a) * math.sin(lat_b) + math.cos(lat_a) * math.cos(lat_b) * math.cos(lon_a - lon_b))
    return math.acos(max(-1.0, min(1.0, cosine)))


def world(land: str) -> bytes:
    """A map of dots; `land` has a row each 3 degrees from 78 N down, a character each 3 degrees from 180 W."""
    scale, top = 10.0 / 3, 78

    def place(latitude: float, longitude: float) -> tuple[float, float]:
        return (longitude + 180) * scale, (top - latitude) * scale + 10

    paths: dict[str, list[str]] = {colour: [] for *_, colour in REGIONS}
    for row, line in enumerate(land.splitlines()):
        for column, mark in enumerate(line):
            if mark != "#":
                continue
            here = (top - 3 * row - 1.5, 3 * column - 178.5)
            colour = min(REGIONS, key=lambda region: great_circle(here, region[1:3]))[3]
            x, y = place(*here)
            paths[colour].append(f"M{x:.1f} {y:.1f}h0")
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1200 470" {SANS}>'
             '<rect width="1200" height="470" rx="18" fill="#f4f0e4"/>']
    for colour, dots in paths.items():
        parts.append(f'<path d="{"".join(dots)}" stroke="{colour}" stroke-opacity=".55" stroke-width="6" '
                     'stroke-linecap="round"/>')
    office_x, office_y = place(*OFFICE)
    for name, latitude, longitude, colour in REGIONS:
        x, y = place(latitude, longitude)
        lift = 30 + abs(x - office_x) * 0.28
        bend = f"{(x + office_x) / 2:.0f} {min(y, office_y) - lift:.0f}"
        parts.append(f'<path d="M{office_x:.0f} {office_y:.0f}Q{bend} {x:.0f} {y:.0f}" fill="none" stroke="#1b2522" '
                     'stroke-width="2" stroke-dasharray="1 6" stroke-linecap="round"/>')
        parts.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="15" fill="{colour}" fill-opacity=".25"/>'
                     f'<circle cx="{x:.0f}" cy="{y:.0f}" r="7.5" fill="{colour}" stroke="#fff" stroke-width="2.5"/>')
        width = 22 + 10.2 * len(name)
        below = y + 22
        parts.append(f'<rect x="{x - width / 2:.0f}" y="{below:.0f}" width="{width:.0f}" height="28" rx="14" '
                     f'fill="#1d3a32"/><text x="{x:.0f}" y="{below + 19.5:.0f}" font-size="16" font-weight="600" '
                     f'fill="#f4f0e4" text-anchor="middle">{name}</text>')
    parts.append("</svg>\n")
    return "".join(parts).encode()


def journey() -> bytes:
    """Browser, name server, edge and origin with the ways between them."""
    boxes = ((40, 220, 220, "Your browser", "asks for a page"),
             (450, 40, 220, "GeoDNS", "who is nearest and well?"),
             (450, 220, 220, "The nearest edge", "memory, then disk"),
             (860, 220, 220, "The origin", "keeps the drawings"))
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1120 400" {SANS}>'
             '<defs><marker id="a" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" '
             'orient="auto-start-reverse"><path d="M1 1 9 5 1 9" fill="none" stroke="#1b2522" stroke-width="1.8"/>'
             '</marker></defs>'
             '<rect width="1120" height="400" rx="18" fill="#f4f0e4"/>']
    for x, y, width, title, text in boxes:
        fill, ink, soft = ("#1d3a32", "#f4f0e4", "#b9cdbf") if "edge" in title else ("#fff", "#1b2522", "#55635d")
        middle = f'x="{x + width / 2:.0f}" text-anchor="middle"'
        parts.append(f'<rect x="{x}" y="{y}" width="{width}" height="104" rx="16" fill="{fill}" stroke="#dfd9cb"/>'
                     f'<text {middle} y="{y + 48}" font-size="21" font-weight="650" fill="{ink}">{title}</text>'
                     f'<text {middle} y="{y + 76}" font-size="16" fill="{soft}">{text}</text>')
    arrow = 'fill="none" stroke="#1b2522" stroke-width="2" marker-end="url(#a)"'
    parts += [
        f'<path d="M130 214C150 120 290 84 442 84" {arrow}/><path d="M442 112C330 116 232 140 206 212" {arrow}/>',
        f'<path d="M264 256H442" {arrow}/><path d="M446 292H268" {arrow}/>',
        f'<path d="M674 256H852" {arrow} stroke-dasharray="2 7" stroke-linecap="round"/>'
        f'<path d="M856 292H678" {arrow} stroke-dasharray="2 7" stroke-linecap="round"/>',
    ]
    labels = ((252, 84, "1  www.demo.test?"), (352, 160, "2  its address"),
              (354, 246, "3  HTTPS, HTTP/2"), (354, 318, "6  the page"),
              (764, 246, "4  only on a miss"), (764, 318, "5  kept from now on"))
    label = 'font-size="16" fill="#3f7058" font-weight="600" text-anchor="middle"'
    parts += [f'<text x="{x}" y="{y}" {label}>{text}</text>'
              for x, y, text in labels]
    parts.append("</svg>\n")
    return "".join(parts).encode()


def profile(trail: dict) -> bytes:
    """Height over distance of one trail; the seed is its sheet, the climb decides the shape."""
    dice = random.Random(trail["sheet"] * 7919)
    points, steps = [], 72
    phases = [(dice.uniform(0, 6.28), dice.uniform(0.7, 1.3) * k, 1 / k ** 0.9) for k in range(1, 12)]
    for step in range(steps + 1):
        t = step / steps
        points.append(sum(weight * math.sin(phase + 6.28 * speed * t) for phase, speed, weight in phases))
    low, high = min(points), max(points)
    tall = 10 + 62 * min(1.0, trail["climb"] / trail["days"] / 1050)
    line = " ".join(f"{8 + 304 * i / steps:.1f},{84 - tall * (p - low) / (high - low):.1f}"
                    for i, p in enumerate(points))
    top = points.index(high)
    return ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 96">'
            f'<path d="M8 84 {line} 312 84z" fill="#3f7058" fill-opacity=".22"/>'
            f'<polyline points="{line}" fill="none" stroke="#3f7058" stroke-width="2.5" stroke-linejoin="round"/>'
            f'<path d="M4 88.5h312" stroke="#8a948d" stroke-opacity=".6"/>'
            f'<circle cx="{8 + 304 * top / steps:.1f}" cy="{84 - tall:.1f}" r="5" fill="#d9542b"/></svg>\n').encode()


def icon_png(side: int) -> bytes:
    """The brand's mark, a mountain and a sun, as an opaque PNG of side × side pixels."""
    rows = bytearray()
    for y in range(side):
        rows.append(0)
        for x in range(side):
            rows += _mark_colour((x + 0.5) * 64 / side, (y + 0.5) * 64 / side)
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)),
              (b"IDAT", zlib.compress(bytes(rows), 9)),
              (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks)


def _mark_colour(x: float, y: float) -> bytes:
    if (x - 45) ** 2 + (y - 19) ** 2 < 49:
        return b"\xd9\x54\x2b"
    left = 52 - (x - 6) * 32 / 19 if x < 25 else 20 + (x - 25) * 15 / 9
    right = 35 - (x - 34) * 1.5 if x < 40 else 26 + (x - 40) * 26 / 18
    ridge = left if x < 34 else right
    return b"\x1d\x3a\x32" if 6 <= x <= 58 and ridge <= y <= 52 else b"\xf2\xef\xe6"


def icon_ico() -> bytes:
    """favicon.ico with one 32-pixel PNG inside."""
    png = icon_png(32)
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 32, 32, 0, 0, 1, 24, len(png), 22) + png
