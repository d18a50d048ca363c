#!/usr/bin/env python3
"""Assembles the demo's site, www.demo.test, in a folder: pages, styles, scripts, typefaces, drawings, pictures.

    make-site.py FOLDER [--work FOLDER] [--network 127.0] [--dns-port 5300] [--tls-port 8443]

The same sources give the same bytes. Every file but the pages carries eight letters of its SHA-256 in its name,
so that it may be cached for ever. FOLDER is replaced as a whole when all is ready. --work keeps what is slow to
get (downloads, the painter's pictures) for the next run. Needs g++, cwebp and cjpeg (deploy/install-deps.sh).
"""

import argparse
import concurrent.futures
import hashlib
import html
import json
import os
import pathlib
import re
import shutil
import string
import subprocess
import sys
import tarfile
import tempfile

import drawings
import fetch_npm

HERE = pathlib.Path(__file__).resolve().parent
SOURCES = HERE / "site"
PAGES = ("index", "journey", "regions", "drills", "publishing", "trails", "gallery", "live", "about", "404")
NAVIGATION = (("trails", "Trails"), ("gallery", "Gallery"), ("journey", "Journey"), ("regions", "Regions"),
              ("drills", "Drills"), ("publishing", "Publishing"), ("live", "Live"))
EDGE_NUMBERS = {"frankfurt": 1, "virginia": 2, "tokyo": 3}
PICTURE_WIDTHS = (640, 1280, 1920)
JPEG_WIDTH = 1280
WEBP_OPTIONS = ("-quiet", "-m", "4", "-q", "90")
JPEG_OPTIONS = ("-quality", "85", "-optimize", "-progressive")
SITE_URL = "https://www.demo.test"
# family → npm package, file inside, what the tarball must be
FONTS = {
    "fraunces": ("@fontsource-variable/fraunces@5.3.0", "files/fraunces-latin-wght-normal.woff2",
                 "sha512-9BYGySn4AHEJdgp9Z28tQ3X+laJMEOITXkQarZXeloWQZDq5oOvXJ3kDA8c7MGIfpogIaZfjrQBqmda8POOCKA=="),
    "inter": ("@fontsource-variable/inter@5.3.0", "files/inter-latin-wght-normal.woff2",
              "sha512-OupL48va4JNofb97w6NYeF9S7W/kHNKM0Er8Dem5nqi4jeOLrVJDoE8tZEpnMJmtkvNbB1EIPPwHcdkF6b1oUA=="),
}


def say(text: str) -> None:
    print(f"make-site: {text}", file=sys.stderr)


class Site:
    """The folder being made. Assets are added first, since pages name them by their hashed paths."""

    def __init__(self, folder: pathlib.Path, options: argparse.Namespace) -> None:
        self.folder = folder
        self.options = options
        self.hashed: dict[str, str] = {}
        self.trails = json.loads((SOURCES / "trails.json").read_text())

    def write(self, path: str, data: bytes) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def add_asset(self, name: str, data: bytes) -> None:
        stem, dot, suffix = name.rpartition(".")
        # Eight digits and no letter would look like a date, and be cached as briefly.
        mark = re.search(r"(?=[0-9]{0,7}[a-f])[0-9a-f]{8}", hashlib.sha256(data).hexdigest())[0]
        self.hashed[name] = f"/{stem}.{mark}{dot}{suffix}"
        self.write(self.hashed[name][1:], data)

    def expand(self, text: str) -> str:
        """Replaces {{styles/site.css}} by the hashed path and {{macro:argument|…}} by what the macro makes."""
        macros = {
            "picture": self.picture,
            "port": lambda which: str(getattr(self.options, f"{which}_port")),
            "address": lambda edge: f"{self.options.network}.{EDGE_NUMBERS[edge]}.1",
            "name": lambda name: self.hashed[name].rpartition("/")[2],
        }

        def replace(match: re.Match) -> str:
            macro, colon, rest = match[1].partition(":")
            return macros[macro](*rest.split("|")) if colon else self.hashed[match[1]]

        return re.sub(r"\{\{([^{}]+)\}\}", replace, text)

    def picture(self, scene: str, alt: str, sizes: str, loading: str = "lazy") -> str:
        sources = ", ".join(f"{self.hashed[f'pictures/{scene}-{w}.webp']} {w}w" for w in PICTURE_WIDTHS)
        plain = self.hashed[f"pictures/{scene}-{JPEG_WIDTH}.jpg"]
        hint = ' fetchpriority="high"' if loading == "eager" else ' loading="lazy" decoding="async"'
        return (f'<picture><source type="image/webp" srcset="{sources}" sizes="{sizes}">'
                f'<img src="{plain}" alt="{html.escape(alt)}" width="1920" height="1200"{hint}>'
                "</picture>")

    def gallery(self) -> str:
        return "\n".join(
            f'    <figure><a href="{self.hashed["pictures/" + trail["scene"] + "-1920.webp"]}">'
            + self.picture(trail["scene"], trail["view"], "(min-width: 60rem) 22rem, 92vw")
            + f'</a><figcaption><b>{html.escape(trail["view"])}</b><span>Sheet {trail["sheet"]}</span></figcaption>'
            "</figure>"
            for trail in self.trails)

    def trail_rows(self) -> str:
        return "\n".join(
            f'      <tr><td>{trail["sheet"]}</td><td><strong>{html.escape(trail["trail"])}</strong></td>'
            f'<td>{trail["region"]}</td><td class="number">{trail["km"]} km</td>'
            f'<td class="number">{trail["climb"]:,} m</td><td class="number">{trail["days"]}</td>'
            f'<td><img src="{self.hashed["profiles/sheet-%d.svg" % trail["sheet"]]}" width="320" height="96" '
            'loading="lazy" '
            f'alt="Height profile of {html.escape(trail["trail"])}"></td></tr>'
            for trail in self.trails)

    def page(self, name: str) -> str:
        head, _, body = (SOURCES / "pages" / f"{name}.html").read_text().partition("\n\n")
        fields = dict(line.split(": ", 1) for line in head.splitlines())
        for macro, make in (("{{gallery}}", self.gallery), ("{{trails}}", self.trail_rows)):
            if macro in body:
                body = body.replace(macro, make())
        links = "\n    ".join(f'<a href="/{page}.html"{" aria-current=page" * (page == name)}>{title}</a>'
                              for page, title in NAVIGATION)
        scripts = "".join(f'<script src="{{{{{path}}}}}" defer></script>\n'
                          for path in fields.get("scripts", "").split())
        layout = string.Template((SOURCES / "layout.html").read_text())
        return self.expand(layout.substitute(
            title=fields["title"], description=html.escape(fields["description"]), page=f"page-{name}",
            navigation=links, scripts=scripts, content=body.strip()))


def add_fonts(site: Site, work: pathlib.Path) -> None:
    """The two typefaces from npm; without a network, the one that is kept beside this file stands for both."""
    for family, (package, member, integrity) in FONTS.items():
        try:
            with tarfile.open(fetch_npm.fetch(package, work / "downloads", integrity)) as tarball:
                font, licence = (tarball.extractfile(f"package/{name}").read() for name in (member, "LICENSE"))
        except (fetch_npm.FetchError, OSError, tarfile.TarError, subprocess.TimeoutExpired) as error:
            say(f"{package} is out of reach ({error}); Fraunces stands in")
            font = (HERE / "fonts" / "fraunces-latin-wght-normal.woff2").read_bytes()
            licence = (HERE / "fonts" / "fraunces-LICENSE.txt").read_bytes()
        site.add_asset(f"fonts/{family}.woff2", font)
        site.add_asset(f"fonts/{family}-license.txt", licence)


def run(*command: str | pathlib.Path, **options) -> bytes:
    return subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, **options).stdout


def paint(painter: pathlib.Path, scene: str, folder: pathlib.Path) -> None:
    """One scene in all widths and formats."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        full = pathlib.Path(scratch) / "full.ppm"
        full.write_bytes(run(painter, scene, str(PICTURE_WIDTHS[-1]), str(PICTURE_WIDTHS[-1] * 5 // 8)))
        for width in PICTURE_WIDTHS:
            target = folder / f"{scene}-{width}.webp"
            run("cwebp", *WEBP_OPTIONS, "-resize", str(width), "0", full, "-o", target)
        small = pathlib.Path(scratch) / "small.ppm"
        run("dwebp", "-quiet", "-ppm", folder / f"{scene}-{JPEG_WIDTH}.webp", "-o", small)
        target = folder / f"{scene}-{JPEG_WIDTH}.jpg"
        run("cjpeg", *JPEG_OPTIONS, "-outfile", target, small)


def add_pictures(site: Site, work: pathlib.Path) -> None:
    settings = repr((PICTURE_WIDTHS, JPEG_WIDTH, WEBP_OPTIONS, JPEG_OPTIONS))
    recipe = hashlib.sha256((HERE / "panorama.cc").read_bytes() + settings.encode()).hexdigest()[:16]
    folder = work / f"pictures-{recipe}"
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        painter = folder / "panorama"
        run("g++", "-std=c++20", "-O2", "-o", painter, HERE / "panorama.cc")
        scenes = run(painter, "--list").decode().split()
        say(f"painting {len(scenes)} pictures")
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for finished in [pool.submit(paint, painter, scene, folder) for scene in scenes]:
                finished.result()
        (folder / "complete").touch()
    for picture in sorted(folder.glob("*-*.webp")) + sorted(folder.glob("*-*.jpg")):
        site.add_asset(f"pictures/{picture.name}", picture.read_bytes())


def add_drawings(site: Site) -> None:
    for icon in sorted((SOURCES / "icons").glob("*.svg")):
        site.add_asset(f"icons/{icon.name}", icon.read_bytes())
    land = (SOURCES / "land.txt").read_text()
    site.add_asset("data/land.txt", land.encode())
    site.add_asset("diagrams/world.svg", drawings.world(land))
    site.add_asset("diagrams/journey.svg", drawings.journey())
    for side in (192, 512):
        site.add_asset(f"icons/longfell-{side}.png", drawings.icon_png(side))
    for trail in site.trails:
        site.add_asset(f"profiles/sheet-{trail['sheet']}.svg", drawings.profile(trail))


def write_fixed_names(site: Site) -> None:
    """What browsers and robots ask for by names of their own."""
    site.write("favicon.ico", drawings.icon_ico())
    site.write("apple-touch-icon.png", drawings.icon_png(180))
    icons = [{"src": site.hashed[f"icons/longfell-{side}.png"], "sizes": f"{side}x{side}", "type": "image/png"}
             for side in (192, 512)]
    manifest = {"name": "Longfell trail maps", "short_name": "Longfell", "start_url": "/", "display": "browser",
                "background_color": "#faf7f0", "theme_color": "#1d3a32", "icons": icons}
    site.write("site.webmanifest", json.dumps(manifest, indent=1).encode())
    site.write("robots.txt", f"User-agent: *\nAllow: /\nSitemap: {SITE_URL}/sitemap.xml\n".encode())
    urls = "".join(f"<url><loc>{SITE_URL}/{'' if page == 'index' else page + '.html'}</loc></url>\n"
                   for page in PAGES if page != "404")
    site.write("sitemap.xml", ('<?xml version="1.0" encoding="UTF-8"?>\n'
                               '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
                               f"{urls}</urlset>\n").encode())


def make(site: Site, work: pathlib.Path) -> None:
    add_fonts(site, work)
    add_drawings(site)
    add_pictures(site, work)
    site.add_asset("data/trails.json", json.dumps(site.trails, indent=1).encode())
    site.add_asset("styles/site.css", site.expand((SOURCES / "styles" / "site.css").read_text()).encode())
    for script in ("served-by.js", "live.js"):
        site.add_asset(f"scripts/{script}", (SOURCES / "scripts" / script).read_bytes())
    parts = ["/", *(f"/{page}.html" for page in PAGES if page not in ("index", "404")), *sorted(site.hashed.values())]
    site.add_asset("data/parts.json", json.dumps(parts, indent=1).encode())
    write_fixed_names(site)
    pages = {name: site.page(name) if name != "about" else "" for name in PAGES}
    files = [path for path in site.folder.rglob("*") if path.is_file()]
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    site.hashed |= {"count-files": str(len(files) + len(PAGES)), "count-megabytes": f"{megabytes:.1f}"}
    pages["about"] = site.page("about")
    for name, text in pages.items():
        site.write(f"{name}.html", text.encode())
    say(f"{len(files) + len(pages)} files, {megabytes:.1f} MB in {site.options.folder}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--work", type=pathlib.Path, help="keeps downloads and pictures (default: FOLDER.work)")
    parser.add_argument("--network", default="127.0", help="first half of the edges' addresses, for the texts")
    parser.add_argument("--dns-port", type=int, default=5300)
    parser.add_argument("--tls-port", type=int, default=8443)
    options = parser.parse_args()
    work = options.work or options.folder.with_name(options.folder.name + ".work")
    work.mkdir(parents=True, exist_ok=True)
    fresh = pathlib.Path(tempfile.mkdtemp(prefix=options.folder.name + ".", dir=options.folder.parent))
    try:
        fresh.chmod(0o755)
        make(Site(fresh, options), work)
        if options.folder.exists():
            shutil.rmtree(options.folder)
        fresh.rename(options.folder)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"make-site: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
