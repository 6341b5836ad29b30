// Checks a registry's transparency log without isn, using x/mod, the code that Go's own tools check Go's
// checksum database with.
//
//	oracle log REGISTRY VKEY [OLDER-CHECKPOINT...]   the whole log; that it continues each of the older checkpoints
//	oracle entry REGISTRY VKEY NUMBER                the same, then writes an entry to the standard output
//	oracle proof FILE VKEY                           a file by `isn prove`; writes its entry to the standard output
//
// VKEY is the log's key, NAME+ID+BASE64, from a source that you trust. Exits with 1 and a message
// if anything is wrong.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	height = 8           // of a tile
	width  = 1 << height // of a full one
	all    = 1000        // up to this many entries, each is proved
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) >= 3 && args[0] == "log":
		_, err := checkLog(args[1], args[2], args[3:])
		return err
	case len(args) == 4 && args[0] == "entry":
		entries, err := checkLog(args[1], args[2], nil)
		if err != nil {
			return err
		}
		number, err := strconv.ParseUint(args[3], 10, 63)
		if err != nil || number >= uint64(len(entries)) {
			return fmt.Errorf("there is no entry %s among %d", args[3], len(entries))
		}
		_, err = os.Stdout.Write(entries[number])
		return err
	case len(args) == 3 && args[0] == "proof":
		return checkProof(args[1], args[2])
	}
	return errors.New("usage: oracle log REGISTRY VKEY [CHECKPOINT...] | entry REGISTRY VKEY NUMBER | proof FILE VKEY")
}

// checkpoint verifies a note with a log's key and returns the tree that it signs: origin, size, root.
func checkpoint(data []byte, vkey string) (tree tlog.Tree, err error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return tree, err
	}
	opened, err := note.Open(data, note.VerifierList(verifier))
	if err != nil {
		return tree, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return tree, fmt.Errorf("is not a checkpoint of log %s", verifier.Name())
	}
	if tree.N, err = strconv.ParseInt(lines[1], 10, 64); err != nil || tree.N < 0 {
		return tree, fmt.Errorf("has the size %q", lines[1])
	}
	tree.Hash, err = tlog.ParseHash(lines[2])
	return tree, err
}

func readCheckpoint(path, vkey string) (tree tlog.Tree, err error) {
	data, err := os.ReadFile(path)
	if err == nil {
		tree, err = checkpoint(data, vkey)
	}
	if err != nil {
		err = fmt.Errorf("checkpoint %s: %w", path, err)
	}
	return tree, err
}

// tiles is a folder of C2SP tlog-tiles.
type tiles string

// path maps x/mod's tile/8/LEVEL/NUMBER to C2SP's tile/LEVEL/NUMBER, and tile/8/data/NUMBER to tile/entries/NUMBER.
func (t tiles) path(tile tlog.Tile) string {
	path := strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", height))
	path = strings.Replace(path, "data/", "entries/", 1)
	return filepath.Join(string(t), "tile", filepath.FromSlash(path))
}

func (t tiles) Height() int { return height }

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	read := make([][]byte, len(wanted))
	for i, tile := range wanted {
		data, err := os.ReadFile(t.path(tile))
		if err != nil {
			return nil, err
		}
		if len(data) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("tile %s has %d bytes, expected %d", t.path(tile), len(data), tile.W*tlog.HashSize)
		}
		read[i] = data
	}
	return read, nil
}

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}

// entries reads bundle number n of a log of size entries.
func (t tiles) entries(n, size int64) ([][]byte, error) {
	count := size - n*width
	if count > width {
		count = width
	}
	path := t.path(tlog.Tile{H: height, L: -1, N: n, W: int(count)})
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for len(data) >= 2 {
		length := int(binary.BigEndian.Uint16(data))
		if len(data) < 2+length {
			break
		}
		entries = append(entries, data[2:2+length])
		data = data[2+length:]
	}
	if len(data) != 0 || int64(len(entries)) != count {
		return nil, fmt.Errorf("bundle %s has %d entries and %d bytes more, expected %d entries",
			path, len(entries), len(data), count)
	}
	return entries, nil
}

// checkLog checks everything in a registry's log and returns its entries.
func checkLog(registry, vkey string, older []string) ([][]byte, error) {
	log := tiles(filepath.Join(registry, "log"))
	tree, err := readCheckpoint(filepath.Join(string(log), "checkpoint"), vkey)
	if err != nil {
		return nil, err
	}
	// Accepts only tiles that lead to the root signed by the checkpoint.
	reader := tlog.TileHashReader(tree, log)

	var entries [][]byte
	for n := int64(0); n*width < tree.N; n++ {
		bundle, err := log.entries(n, tree.N)
		if err != nil {
			return nil, err
		}
		indexes := make([]int64, len(bundle))
		for i := range bundle {
			indexes[i] = tlog.StoredHashIndex(0, n*width+int64(i))
		}
		leaves, err := reader.ReadHashes(indexes)
		if err != nil {
			return nil, err
		}
		for i, entry := range bundle {
			if tlog.RecordHash(entry) != leaves[i] {
				return nil, fmt.Errorf("entry %d is not the one whose hash is in the tiles", n*width+int64(i))
			}
		}
		entries = append(entries, bundle...)
	}
	proved, err := checkInclusion(tree, entries, reader)
	if err != nil {
		return nil, err
	}
	if err := checkTiles(log, tree, entries); err != nil {
		return nil, err
	}
	for _, path := range older {
		if err := checkConsistency(path, vkey, tree, reader); err != nil {
			return nil, err
		}
	}
	fmt.Fprintf(os.Stderr, "good: %d entries, all under the signed root; inclusion of %d, consistency with %d\n",
		tree.N, proved, len(older))
	return entries, nil
}

// checkInclusion proves entries one by one, as a client with only the checkpoint does: all entries of a small
// log; of a larger one the first and last, those at the edges of tiles, and some hundred between.
func checkInclusion(tree tlog.Tree, entries [][]byte, reader tlog.HashReader) (proved int, err error) {
	for n := int64(0); n < tree.N; n++ {
		isEdge := n%width <= 1 || n%width == width-1
		if tree.N > all && n != tree.N-1 && n%(tree.N/500) != 0 && !(isEdge && (n < 2*width || n > tree.N-2*width)) {
			continue
		}
		proof, err := tlog.ProveRecord(tree.N, n, reader)
		if err != nil {
			return proved, err
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, n, tlog.RecordHash(entries[n])); err != nil {
			return proved, fmt.Errorf("inclusion of entry %d: %w", n, err)
		}
		proved++
	}
	return proved, nil
}

// checkTiles computes all tiles of the tree from the entries and compares them, including those of higher
// levels, which the proofs above may not have read.
func checkTiles(log tiles, tree tlog.Tree, entries [][]byte) error {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			found[i] = stored[index]
		}
		return found, nil
	})
	for n, entry := range entries {
		hashes, err := tlog.StoredHashes(int64(n), entry, reader)
		if err != nil {
			return err
		}
		stored = append(stored, hashes...)
	}
	if root, err := tlog.TreeHash(tree.N, reader); tree.N > 0 && (err != nil || root != tree.Hash) {
		return fmt.Errorf("the entries have the root %v, the checkpoint signs %v (%v)", root, tree.Hash, err)
	}
	for level := 0; tree.N>>(height*level) > 0; level++ {
		for n, nodes := int64(0), tree.N>>(height*level); n*width < nodes; n++ {
			tile := tlog.Tile{H: height, L: level, N: n, W: int(nodes - n*width)}
			if tile.W > width {
				tile.W = width
			}
			expected, err := tlog.ReadTileData(tile, reader)
			if err != nil {
				return err
			}
			found, err := os.ReadFile(log.path(tile))
			if err != nil {
				return err
			}
			if string(found) != string(expected) {
				return fmt.Errorf("tile %s does not have the hashes of the entries", log.path(tile))
			}
		}
	}
	return nil
}

// checkConsistency checks that the log only adds to what an older checkpoint of it signs.
func checkConsistency(path, vkey string, tree tlog.Tree, reader tlog.HashReader) error {
	old, err := readCheckpoint(path, vkey)
	if err != nil {
		return err
	}
	if old.N > tree.N {
		return fmt.Errorf("checkpoint %s is of %d entries, the log has %d: it was rolled back", path, old.N, tree.N)
	}
	if old.N == 0 {
		return nil // Every log continues an empty one.
	}
	proof, err := tlog.ProveTree(tree.N, old.N, reader)
	if err == nil {
		err = tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash)
	}
	if err != nil {
		return fmt.Errorf("the log does not continue checkpoint %s: %w", path, err)
	}
	return nil
}

// checkProof checks a file in the format of C2SP tlog-proof, with the entry itself as its extra data.
func checkProof(path, vkey string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head, signed, found := strings.Cut(string(data), "\n\n")
	lines := strings.Split(head, "\n")
	if !found || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" ||
		!strings.HasPrefix(lines[1], "extra ") || !strings.HasPrefix(lines[2], "index ") {
		return fmt.Errorf("%s: is not a proof with an entry", path)
	}
	entry, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil {
		return err
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	if err != nil {
		return err
	}
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		proof = append(proof, hash)
	}
	tree, err := checkpoint([]byte(signed), vkey)
	if err != nil {
		return fmt.Errorf("the checkpoint in %s: %w", path, err)
	}
	if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry)); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	fmt.Fprintf(os.Stderr, "good: entry %d of a log of %d\n", index, tree.N)
	_, err = os.Stdout.Write(entry)
	return err
}
