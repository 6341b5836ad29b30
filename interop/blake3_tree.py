"""BLAKE3 in plain Python, from the paper "BLAKE3: one function, fast everywhere": the hash, and the chaining
values of the nodes of its tree, which the `blake3` package does not give. Slow: below 1 MB a second.

usage: blake3_tree.py    compares it with `b3sum`, for many lengths"""
import struct

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8
CHUNK, BLOCK = 1024, 64
MASK = 0xFFFFFFFF
# The four words that each quarter-round mixes: columns, then diagonals.
LANES = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
         (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))


def _schedule() -> tuple:
    """The numbers of the two message words of each quarter-round, for all seven rounds."""
    order, steps = list(range(16)), []
    for _ in range(7):
        steps += [(*lanes, order[2 * at], order[2 * at + 1]) for at, lanes in enumerate(LANES)]
        order = [order[at] for at in PERMUTATION]
    return tuple(steps)


STEPS = _schedule()


def compress(value: tuple, block: bytes, counter: int, flags: int) -> tuple:
    """The new chaining value: the first eight words of the output."""
    m = struct.unpack("<16I", block.ljust(BLOCK, b"\0"))
    v = [*value, *IV[:4], counter & MASK, counter >> 32, len(block), flags]
    for a, b, c, d, x, y in STEPS:
        va, vb, vc = v[a] + v[b] + m[x] & MASK, v[b], v[c]
        vd = v[d] ^ va
        vd = vd >> 16 | vd << 16 & MASK
        vc = vc + vd & MASK
        vb ^= vc
        vb = vb >> 12 | vb << 20 & MASK
        va = va + vb + m[y] & MASK
        vd ^= va
        vd = vd >> 8 | vd << 24 & MASK
        vc = vc + vd & MASK
        vb ^= vc
        v[a], v[b], v[c], v[d] = va, vb >> 7 | vb << 25 & MASK, vc, vd
    return tuple(v[at] ^ v[at + 8] for at in range(8))


def chunk_value(chunk: bytes, number: int, is_root: bool = False) -> bytes:
    """The chaining value of a chunk, or the hash, if the chunk is all that there is."""
    value, starts = IV, range(0, max(len(chunk), 1), BLOCK)
    for at in starts:
        flags = CHUNK_START if at == 0 else 0
        if at == starts[-1]:
            flags |= CHUNK_END | (ROOT if is_root else 0)
        value = compress(value, chunk[at:at + BLOCK], number, flags)
    return struct.pack("<8I", *value)


def parent_value(left: bytes, right: bytes, is_root: bool = False) -> bytes:
    """The chaining value of a node from those of its children, or the hash, if it is the root."""
    return struct.pack("<8I", *compress(IV, left + right, 0, PARENT | (ROOT if is_root else 0)))


def left_chunks(chunks: int) -> int:
    """Of a node above so many chunks, two or more, how many are below its left child: the greatest power of
    two that leaves one for the right child."""
    return 1 << (chunks - 1).bit_length() - 1


def chunks_of(length: int) -> int:
    """How many chunks so many bytes are. Nothing is one empty chunk."""
    return max(1, -(-length // CHUNK))


def node_value(data: bytes, first: int = 0, is_root: bool = False) -> bytes:
    """The chaining value of the node above `data`, whose first chunk has the number `first`."""
    chunks = chunks_of(len(data))
    if chunks == 1:
        return chunk_value(data, first, is_root)
    left = left_chunks(chunks)
    middle = left * CHUNK
    return parent_value(node_value(data[:middle], first), node_value(data[middle:], first + left), is_root)


def blake3(data: bytes) -> bytes:
    return node_value(data, 0, True)


if __name__ == "__main__":
    import subprocess
    for length in [0, 1, 63, 64, 65, 1023, 1024, 1025, 2048, 2049, 3072, 4097, 16384, 16385, 31744, 50_001]:
        data = bytes(at % 251 for at in range(length))
        stock = subprocess.run(["b3sum", "--no-names"], input=data, capture_output=True, check=True).stdout
        assert blake3(data).hex() == stock.decode().strip(), length
    print("BLAKE3 in Python is that of b3sum")
