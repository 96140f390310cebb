#!/usr/bin/env python3
"""Lists and extracts the snapshots of a chronos repository in a local folder.

Independent of the program: written from docs/format.md and docs/format-tree.md, so that a repository can be
read without it, and so that these pages are known to be complete. Reads only; checks everything that it uses.

    chronos_reader.py REPOSITORY (--password TEXT | --key-file FILE) list
    chronos_reader.py REPOSITORY (--password TEXT | --key-file FILE) extract SNAPSHOT FOLDER
"""

import argparse
import functools
import json
import os
import re
import stat
import struct
import sys

import argon2.low_level
import zstandard
from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

DATA, REFS, META = 0, 1, 2
PACK, RUN, DECISION, STATE, RECORD = 1, 2, 3, 4, 5
FILE, FOLDER, LINK, PIPE, SOCKET, CHAR, BLOCK = range(7)
FRAME_MAX = 16 << 20


class Damaged(Exception):
    """Stored bytes are not what was written."""


class TooNew(Exception):
    """The repository needs a newer reader."""


class WrongKey(Exception):
    """No key slot opens with the given secret."""


def need(condition, what):
    if not condition:
        raise Damaged(what)


def hash_of(data):
    return blake3(data).digest()


def keyed(key, data):
    return blake3(data, key=key).digest()


def kdf(context, data):
    return blake3(data, derive_key_context=context).digest()


def unseal(key, number, aad, sealed, what):
    try:
        return AESGCM(key).decrypt(struct.pack("<Q4x", number), bytes(sealed), aad)
    except InvalidTag:
        raise Damaged(f"{what} does not open") from None


def expand(packed, length, what):
    need(zstandard.frame_content_size(packed) == length, f"{what} has a wrong length")
    try:
        return zstandard.ZstdDecompressor().decompress(packed)
    except zstandard.ZstdError as error:
        raise Damaged(f"{what}: {error}") from None


def expand_with_length(plain, what):
    need(len(plain) >= 4, f"{what} is too short")
    return expand(plain[4:], struct.unpack_from("<I", plain)[0], what)


class Bytes:
    """A cursor over stored bytes."""

    def __init__(self, data, what):
        self.data, self.at, self.what = data, 0, what

    def take(self, length):
        need(self.at + length <= len(self.data), f"{self.what} ends too early")
        self.at += length
        return bytes(self.data[self.at - length : self.at])

    def read(self, form):
        values = struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))
        return values[0] if len(values) == 1 else values

    def end(self):
        need(self.at == len(self.data), f"{self.what} goes on after its end")

    def int(self):
        """7 bits a byte, lowest first."""
        value, shift = 0, 0
        while True:
            byte = self.read("B")
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                need(value < 1 << 64 and (byte or shift == 7), f"{self.what} has a malformed number")
                return value
            need(shift < 70, f"{self.what} has a malformed number")

    def signed(self):
        value = self.int()
        return value >> 1 ^ -(value & 1)

    def bytes(self):
        return self.take(self.int())


def open_slot(text, name, password, key_file):
    """The secrets in a slot, or None if the given secret is not its own."""
    try:
        slot = json.loads(text)
    except ValueError:
        raise Damaged(f"{name} is no JSON") from None
    bare = dict(slot, checksum="")
    plain = json.dumps(bare, separators=(",", ":"), ensure_ascii=False)
    need(hash_of(plain.encode()).hex() == slot.get("checksum"), f"{name} does not match its checksum")
    if slot["v"] > 1:
        raise TooNew(f"{name} is of version {slot['v']}")
    salt = bytes.fromhex(slot["salt"])
    if slot["kdf"]["kind"] == "password" and password is not None:
        memory, passes = slot["kdf"]["memory_kib"], slot["kdf"]["passes"]
        need(8 <= memory <= 4 << 20 and 1 <= passes <= 64, f"{name} asks for too much")
        secret = argon2.low_level.hash_secret_raw(
            password.encode(), salt, passes, memory, 1, 32, argon2.low_level.Type.ID, 0x13
        )
    elif slot["kdf"]["kind"] == "key-file" and key_file is not None:
        secret = key_file
    else:
        return None
    if kdf("chronos v1 slot commitment", secret + salt).hex() != slot["commit"]:
        return None
    key = kdf("chronos v1 slot wrap", secret + salt)
    return unseal(key, 0, salt, bytes.fromhex(slot["wrapped"]), name)


def parse_key_file(data):
    if len(data) == 32:
        return data
    lines = [line.strip() for line in data.decode().splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    need(len(lines) == 1 and len(lines[0]) == 64, "the key file holds no key")
    return bytes.fromhex(lines[0])


def parse_kit(text, password):
    """The key in a recovery kit, which opens the repository like that of a key file."""
    _, begin, rest = text.partition('<script type="application/json" id="chronos-kit">')
    kit = json.loads(rest.partition("</script>")[0] if begin else text)
    need(kit["kind"] == "chronos recovery kit", "this is no kit")
    if kit["version"] > 1:
        raise TooNew(f"the kit is of version {kit['version']}")
    plain = json.dumps(dict(kit, checksum=""), separators=(",", ":"), ensure_ascii=False)
    need(hash_of(plain.encode()).hex() == kit["checksum"], "the kit does not match its checksum")
    secrets = open_slot(kit["sealed_key"], "the sealed key", password, None)
    if not secrets:
        raise WrongKey("this is not the password of the kit")
    return secrets[:32]


class Repository:
    """An open repository: its keys, its listed snapshots, and where its chunks lie."""

    def __init__(self, folder, password=None, key_file=None):
        self.folder = folder
        config = self.object("config")
        line, _, seal = config.partition(b"\n")
        line += b"\n"
        words = seal.split(b" ")
        need(len(words) == 2 and words[0].decode() == hash_of(line).hex(), "config does not match its checksum")
        self.config = json.loads(line)
        if self.config["version"] > 1 or self.config["suite"] != 1 or self.config["features"]:
            raise TooNew("config names a version, suite or feature that is not known")
        secrets = self.unlock(password, key_file)
        master, chunk = secrets[:32], secrets[32:]
        self.index_key = kdf("chronos v1 index", master)
        self.manifest_key = kdf("chronos v1 manifest", master)
        mac = keyed(kdf("chronos v1 config", master), line).hex()
        need(words[1] == mac.encode() + b"\n", "config was changed")
        kinds = ("data", "refs", "meta")
        self.id_keys = [kdf(f"chronos v1 {kind} id", chunk) for kind in kinds]
        self.pairs = [
            X25519PrivateKey.from_private_bytes(kdf(f"chronos v1 {kind} key pair", master)) for kind in kinds
        ]
        self.rows, self.state = self.read_rows()
        self.places = None

    def object(self, name):
        with open(os.path.join(self.folder, name), "rb") as file:
            return file.read()

    def names(self, area):
        folder = os.path.join(self.folder, area)
        if not os.path.isdir(folder):
            return []
        return sorted(f"{area}/{name}" for name in os.listdir(folder) if not name.startswith("."))

    def unlock(self, password, key_file):
        damage = None
        for name in self.names("keys"):
            try:
                secrets = open_slot(self.object(name), name, password, key_file)
            except Damaged as error:
                damage = error
                continue
            if secrets:
                return secrets
        raise damage or WrongKey("no key slot opens with this secret")

    def header(self, data, kind, name):
        """Checks a header and returns the salt."""
        need(len(data) >= 64 and data[:8] == b"chronos\n", f"{name} is no object of a repository")
        need(data[28:32] == hash_of(data[:28] + data[32:64])[:4], f"{name} has a damaged header")
        version, suite, found = struct.unpack_from("<HBB", data, 8)
        if version > 1 or suite > 1:
            raise TooNew(f"{name} is of version {version}, suite {suite}")
        need(version == suite == 1 and found == kind and not any(data[12:28]), f"{name} has another header")
        return data[32:64]

    def sections(self, name, kind, keys, data=None):
        data = self.object(name) if data is None else data
        salt = self.header(data, kind, name)
        cursor, plain = Bytes(data, name), []
        header = cursor.take(64)
        for number, key in enumerate(keys):
            sealed = cursor.take(cursor.read("I"))
            section = unseal(keyed(key, salt), number, header + name.encode(), sealed, name)
            plain.append(expand_with_length(section, name))
        cursor.end()
        return plain

    def log(self):
        """Names of the records that count, the newest first; and the sessions whose decisions do not count yet."""
        names, first, hidden = self.names("log"), 0, set()
        for name in names:
            if name.startswith("log/-sync-"):
                text, checksum = self.object(name).splitlines(keepends=True)
                need(hash_of(text).hex() == checksum.decode().strip(), f"{name} does not match its checksum")
                curtain = json.loads(text)
                first = max(first, (1 << 40) - curtain["from"])
                hidden.update(curtain["hidden"])
        records = [name for name in names if re.fullmatch("log/[0-9a-f]{10}", name)]
        return [name for name in records if int(name.removeprefix("log/"), 16) >= first], hidden

    def read_rows(self):
        """Every session that counts, by id; and the newest state."""
        state, manifests = {"watermark": 0, "rows": {}, "runs": [], "swept": []}, {}
        records, hidden = self.log()
        if records:
            (record,) = self.sections(records[0], RECORD, [self.index_key])
            record = json.loads(record)
            need(records[0] == f"log/{(1 << 40) - 1 - record['n']:010x}", "a log record bears another number")
            data = self.object(record["state"])
            need(hash_of(data).hex() == record["hash"], "the state is not the one that the log names")
            core, texts = self.sections(record["state"], STATE, [self.index_key, self.manifest_key], data)
            state, manifests = json.loads(core), json.loads(texts)
            need(state["n"] == record["n"] + 1, "the state is of another log length")
        rows = {sid: dict(row, manifest=manifests.get(sid)) for sid, row in state["rows"].items()}
        for name in self.names("snap"):
            sid = name.removeprefix("snap/")
            if sid < f"{state['watermark']:010x}" or sid in rows or sid in hidden:
                continue
            core, manifest = self.sections(name, DECISION, [self.index_key, self.manifest_key])
            row = dict(json.loads(core), manifest=manifest.decode())
            if row["outcome"] != "revoked":
                rows[sid] = row
        return rows, state

    def snapshots(self):
        """Content id and manifest of each listed snapshot, oldest first."""
        for _, row in sorted(self.rows.items()):
            marks = row.get("marks", {})
            if row["outcome"] == "committed" and not marks.get("forgotten_at") and not marks.get("purged"):
                manifest = json.loads(row["manifest"])
                if manifest["v"] > 1:
                    raise TooNew("a snapshot has a newer manifest")
                yield hash_of(row["manifest"].encode()).hex(), manifest

    @functools.lru_cache(maxsize=16)
    def pack(self, name):
        """The bytes of a pack and its frames."""
        name = "packs/" + name
        data = self.object(name)
        need(len(data) >= 96 + 164 and data[-8:] == b"chronosP", f"{name} does not end like a pack")
        footer = Bytes(data[-164:], name)
        offset, length = footer.read("QI")
        if any(footer.take(16)):
            raise TooNew(f"{name} has parity")
        need(footer.take(96) == data[:96], f"{name} has two different heads")
        need(footer.take(32) == hash_of(data[:-40]), f"{name} does not match its hash")
        need(offset + length + 164 == len(data), f"{name} has a wrong length")
        salt = self.header(data, PACK, name)
        sealed = data[offset : offset + length]
        plain = unseal(keyed(self.index_key, salt), 2**64 - 1, name.encode(), sealed, name)
        table = Bytes(expand_with_length(plain, name), name)
        origins = [(table.take(32), table.take(32)) for _ in range(table.read("I"))]
        frames, at = [], 96
        for _ in range(table.read("I")):
            sealed, raw, codec, kind, chunks, origin, number = table.read("IIBBHHI")
            need(codec <= 1 and kind <= META and raw <= FRAME_MAX, f"{name} has an unknown frame")
            need(origin < len(origins), f"{name} has a frame without origin")
            frames.append((at, sealed, raw, codec, kind, chunks, origins[origin], number))
            at += sealed
        need(at == offset, f"{name} has frames that do not fill it")
        chunks = [(table.take(32), table.read("I")) for _ in range(table.read("I"))]
        table.end()
        need(sum(frame[5] for frame in frames) == len(chunks), f"{name} has chunks without frame")
        rest = iter(chunks)
        return data, [(*frame, [next(rest) for _ in range(frame[5])]) for frame in frames]

    def run(self, name):
        """Name of the pack, number of the frame and place in the frame of each chunk of a run."""
        data = self.object(name)
        salt = self.header(data, RUN, name)
        key, aad = keyed(self.index_key, salt), data[:64] + name.encode()
        footer = Bytes(data[-52:], name)
        length, records, checked = footer.read("IQ32s")
        need(footer.take(8) == b"chronosR" and checked == hash_of(data[:-40]), f"{name} is no whole run")
        plain = unseal(key, 0, aad, data[len(data) - 52 - length : -52], name)
        directory = Bytes(expand_with_length(plain, name), name)
        packs = []
        for _ in range(directory.read("I")):
            packs.append(directory.take(directory.read("H")).decode())
            directory.read("Q")
        at, block = 64, 1
        while records:
            count = min(records, 372)
            size = count * 44 + 16
            plain = unseal(key, block, aad, data[at : at + size], name)
            for id, pack, frame, index, _ in struct.iter_unpack("<32sIHHI", plain):
                yield id, (packs[pack], frame, index)
            at, block, records = at + size, block + 1, records - count

    def locate(self):
        """Where each chunk lies: all its places."""
        self.places = {}
        swept = set(self.state["swept"])
        runs = list(self.state["runs"])
        for sid, row in self.rows.items():
            runs += row.get("runs", [])
            for seq, attempt, _ in row.get("packs", []):
                name = f"{sid}/{seq:08x}-{attempt:08x}"
                if name in swept:
                    continue
                for number, frame in enumerate(self.pack(name)[1]):
                    for index, (id, _) in enumerate(frame[8]):
                        self.places.setdefault(id, []).append((name, number, index))
        for run in runs:
            for id, place in self.run(run):
                if place[0] not in swept:
                    self.places.setdefault(id, []).append(place)

    @functools.lru_cache(maxsize=4096)
    def session_key(self, capsule, kind):
        pair = self.pairs[kind]
        public = pair.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        shared = pair.exchange(X25519PublicKey.from_public_bytes(capsule))
        return kdf("chronos v1 session", shared + capsule + public + bytes([kind]))

    @functools.lru_cache(maxsize=64)
    def frame(self, pack, number):
        """Kind and chunks of a frame."""
        data, frames = self.pack(pack)
        at, sealed, raw, codec, kind, _, (salt, capsule), seal_number, chunks = frames[number]
        key = keyed(self.session_key(capsule, kind), salt)
        what = f"frame {number} of packs/{pack}"
        plain = unseal(key, seal_number, bytes([1, kind]), data[at : at + sealed], what)
        if codec == 1:
            plain = expand(plain, raw, what)
        need(len(plain) == raw == sum(length for _, length in chunks), f"{what} has a wrong length")
        cursor = Bytes(plain, what)
        return kind, [cursor.take(length) for _, length in chunks]

    def chunk(self, kind, id):
        """The bytes of a chunk, checked against its id."""
        if self.places is None:
            self.locate()
        damage = Damaged(f"chunk {id.hex()} is missing")
        for pack, frame, index in self.places.get(id, []):
            try:
                found, chunks = self.frame(pack, frame)
                data = chunks[index]
                need(found == kind and keyed(self.id_keys[kind], data) == id, f"chunk {id.hex()} is damaged")
                return data
            except (Damaged, OSError) as error:
                damage = error
        raise damage

    def node(self, id):
        """A node: its form, a cursor over its meta chunk, its children and data ids."""
        refs = Bytes(self.chunk(REFS, id), f"reference list {id.hex()}")
        version, flags, children, data = refs.read("BBII")
        need(version == 1 and flags == 1, f"{refs.what} is no node of a tree")
        meta = refs.take(32)
        children = [refs.take(32) for _ in range(children)]
        data = [refs.take(32) for _ in range(data)]
        refs.end()
        cursor = Bytes(self.chunk(META, meta), f"node {id.hex()}")
        version, form = cursor.read("BB")
        if version > 1:
            raise TooNew(f"{cursor.what} is of version {version}")
        return form, cursor, children, data

    def entries(self, id):
        """All entries below a node of a tree, in the order of their paths."""
        form, cursor, children, data = self.node(id)
        if form == 1:
            for child in children:
                yield from self.entries(child)
            return
        need(form == 0, f"{cursor.what} is no node of a tree")
        children, data = iter(children), Ids(data)
        count = cursor.int()
        names = [cursor.bytes().decode() for _ in range(cursor.int())]
        sets = [[(cursor.bytes(), cursor.bytes()) for _ in range(cursor.int())] for _ in range(cursor.int())]
        path = b""
        for _ in range(count):
            shared = cursor.int()
            path = path[:shared] + cursor.bytes()
            yield self.entry(cursor, path, names, sets, children, data)
        cursor.end()

    def entry(self, cursor, path, names, sets, children, data):
        entry = {"path": path, "type": cursor.read("B"), "mode": cursor.int()}
        entry["uid"], entry["gid"] = cursor.int(), cursor.int()
        entry["user"], entry["group"] = ((None, *names)[cursor.int()] for _ in range(2))
        seconds, nanoseconds = cursor.signed(), cursor.int()
        entry["mtime"] = seconds * 10**9 + nanoseconds
        cursor.signed(), cursor.int()
        dev, inode, links = cursor.int(), cursor.int(), cursor.int()
        entry["same"] = (dev, inode) if links > 1 else None
        entry["xattrs"] = ([], *sets)[cursor.int()]
        if entry["type"] == FILE:
            self.content(entry, cursor, children, data)
        elif entry["type"] == LINK:
            entry["target"] = cursor.bytes()
        elif entry["type"] in (CHAR, BLOCK):
            entry["device"] = cursor.int()
        return entry

    def content(self, entry, cursor, children, data):
        pieced, code = divmod(cursor.read("B"), 128)
        if code == 3:
            cursor.int()
        entry["size"] = cursor.int()
        count = cursor.int()
        if count == 0:
            recipe = next(children)
            entry["extents"] = lambda: self.recipe(recipe)
        else:
            extents = [self.extent(cursor, data, pieced) for _ in range(count - 1)]
            entry["extents"] = lambda: iter(extents)

    @staticmethod
    def extent(cursor, data, pieced):
        """Length, and what is there: "hole", "zeros", or (mark of the bytes, their pieces: chunk, start, length)."""
        number = cursor.int()
        if number <= 1:
            return cursor.int(), ("hole", "zeros")[number]
        count = cursor.int() if pieced else 0
        if count == 0:
            id = data.take()
            return number - 1, (id[:16], [(id, 0, number - 1)])
        mark = cursor.take(16)
        return number - 1, (mark, [(data.take(cursor.int()), cursor.int(), cursor.int()) for _ in range(count)])

    def recipe(self, id):
        form, cursor, children, data = self.node(id)
        if form == 3:
            for child in children:
                yield from self.recipe(child)
            return
        need(form in (2, 4), f"{cursor.what} is no recipe")
        data = Ids(data)
        for _ in range(cursor.int()):
            yield self.extent(cursor, data, form == 4)
        cursor.end()


class Ids:
    """The ids of a node's data chunks: the next one, or one that was taken before."""

    def __init__(self, ids):
        self.ids, self.taken = ids, 0

    def take(self, back=0):
        if back == 0:
            self.taken += 1
        at = self.taken - (back or 1)
        need(0 <= at < min(self.taken, len(self.ids)), "a node refers to more chunks than it lists")
        return self.ids[at]


class Extraction:
    """Writes the entries of a tree below a new folder."""

    def __init__(self, repository, target):
        self.repository, self.target = repository, os.fsencode(target)
        self.links, self.folders = {}, []

    def run(self, tree):
        os.mkdir(self.target)
        known = {b""}
        for entry in self.repository.entries(tree):
            parts = entry["path"].split(b"/")
            safe = all(part not in (b"", b".", b"..") and b"\0" not in part for part in parts)
            # Nothing is written below what this run has not made as a folder.
            need(safe and b"/".join(parts[:-1]) in known, f"the path {entry['path']!r} is not allowed")
            if entry["type"] == FOLDER:
                known.add(entry["path"])
            self.write(entry, os.path.join(self.target, entry["path"]))
        for entry, path in reversed(self.folders):
            self.attributes(entry, path)

    def write(self, entry, path):
        if entry["same"] in self.links and entry["same"] is not None and entry["type"] != FOLDER:
            os.link(self.links[entry["same"]], path, follow_symlinks=False)
            return
        kind = entry["type"]
        if kind == FILE:
            self.file(entry, path)
        elif kind == FOLDER:
            os.mkdir(path, 0o700)
            self.folders.append((entry, path))
            return
        elif kind == LINK:
            os.symlink(entry["target"], path)
        elif kind == PIPE:
            os.mkfifo(path)
        elif kind in (CHAR, BLOCK) and os.geteuid() == 0:
            os.mknod(path, 0o600 | (stat.S_IFCHR if kind == CHAR else stat.S_IFBLK), entry["device"])
        else:
            print(f"left out: {entry['path']!r}", file=sys.stderr)
            return
        if entry["same"]:
            self.links[entry["same"]] = path
        self.attributes(entry, path)

    def file(self, entry, path):
        at = 0
        with open(path, "xb") as file:
            for length, what in entry["extents"]():
                if what == "zeros":
                    file.write(bytes(length))
                elif what == "hole":
                    file.seek(length, os.SEEK_CUR)
                else:
                    mark, pieces = what
                    data = b"".join(
                        self.repository.chunk(DATA, chunk)[start : start + piece] for chunk, start, piece in pieces
                    )
                    need(len(data) == length, f"{entry['path']!r} has a chunk of another length")
                    need(keyed(self.repository.id_keys[DATA], data)[:16] == mark, f"the pieces of {mark.hex()} make something else")
                    file.write(data)
                at += length
            need(at == entry["size"], f"{entry['path']!r} has another length")
            file.truncate(at)

    def attributes(self, entry, path):
        if os.geteuid() == 0:
            os.chown(path, entry["uid"], entry["gid"], follow_symlinks=False)
        if entry["type"] != LINK:
            os.chmod(path, entry["mode"])
        for name, value in entry["xattrs"]:
            try:
                os.setxattr(path, name, value, follow_symlinks=False)
            except OSError as error:
                print(f"attribute {name!r} of {entry['path']!r}: {error}", file=sys.stderr)
        os.utime(path, ns=(entry["mtime"], entry["mtime"]), follow_symlinks=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("repository")
    secret = parser.add_mutually_exclusive_group(required=True)
    secret.add_argument("--password")
    secret.add_argument("--key-file")
    secret.add_argument("--kit", nargs=2, metavar=("FILE", "PASSWORD"))
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list")
    extract = commands.add_parser("extract")
    extract.add_argument("snapshot", help="content id, or its beginning")
    extract.add_argument("folder", help="must not exist")
    args = parser.parse_args()
    try:
        key = None
        if args.key_file:
            with open(args.key_file, "rb") as file:
                key = parse_key_file(file.read())
        if args.kit:
            with open(args.kit[0], encoding="utf-8") as file:
                key = parse_kit(file.read(), args.kit[1])
        repository = Repository(args.repository, args.password, key)
        if args.command == "list":
            for id, manifest in repository.snapshots():
                print(id, manifest["backup_id"], manifest["created_at"], manifest["files"], manifest["size_bytes"])
            return 0
        found = [(id, m) for id, m in repository.snapshots() if id.startswith(args.snapshot)]
        if len(found) != 1:
            print(f"{len(found)} snapshots are named {args.snapshot}", file=sys.stderr)
            return 2
        Extraction(repository, args.folder).run(bytes.fromhex(found[0][1]["tree"]))
        return 0
    except Damaged as error:
        print(f"damaged: {error}", file=sys.stderr)
        return 4
    except WrongKey as error:
        print(error, file=sys.stderr)
        return 12
    except (TooNew, OSError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
