"""skops files whose bytes depend on the model alone.

skops names objects by their address in memory and stamps files with the time.
Both are replaced: numbers in order of appearance, and one fixed date."""

import io
import re
import zipfile

import skops.io

DATE = (1980, 1, 1, 0, 0, 0)


def dump(model, path):
    raw = zipfile.ZipFile(io.BytesIO(skops.io.dumps(model)))
    schema = raw.read("schema.json").decode()
    numbers = {}
    for address in re.findall(r'"__id__": (\d+)', schema):
        numbers.setdefault(address, str(len(numbers) + 1))

    def stable(text):
        return re.sub(r"\b\d+\b", lambda found: numbers.get(found[0], found[0]), text)

    names = {stable(name): name for name in raw.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as out:
        for name in sorted(names):
            data = stable(schema).encode() if names[name] == "schema.json" else raw.read(names[name])
            out.writestr(zipfile.ZipInfo(name, DATE), data)
