"""The parts of pages that programs write: between <!-- name --> and <!-- /name -->."""

import re


def update_page(path, name, text):
    part = re.compile(rf"(<!-- {name} -->\n).*(\n<!-- /{name} -->)", re.DOTALL)
    page, count = part.subn(lambda m: m[1] + text + m[2], path.read_text())
    if count != 1:
        raise SystemExit(f"{path} has no part {name}")
    path.write_text(page)
