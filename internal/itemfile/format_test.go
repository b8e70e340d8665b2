package itemfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash/crc64"
	"math/big"
	"os"
	"testing"
)

// plainItem is an item as readPlain sees it.
type plainItem struct {
	expiry     uint64
	flags      uint32
	key, value string
}

// readPlain reads a file as docs/memcached-format.md says, and shares no code with the package.
func readPlain(b []byte) (items []plainItem, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("malformed")
		}
	}()
	all, p := b, 0
	take := func(n int) []byte { p += n; return all[p-n : p] }
	le := func() uint64 { return binary.LittleEndian.Uint64(take(8)) }
	num := func() uint64 {
		v, n := binary.Uvarint(all[p:])
		if n <= 0 {
			panic("number")
		}
		p += n
		return v
	}
	if string(take(8)) != "KFITEMS1" {
		return nil, errors.New("magic")
	}
	le()
	take(int(take(1)[0]))
	take(int(take(1)[0]))
	var expiring, keys, values, expiries uint64
	content := new(big.Int)
	for take(1)[0] == 1 {
		it := plainItem{expiry: num()}
		start := p
		it.flags = binary.LittleEndian.Uint32(take(4))
		it.key = string(take(int(take(1)[0])))
		it.value = string(take(int(num())))
		h := sha256.Sum256(all[start:p])
		content.Add(content, new(big.Int).SetBytes(h[:16]))
		if it.expiry != 0 {
			expiring++
			expiries += it.expiry * (binary.BigEndian.Uint64(h[16:24]) | 1)
		}
		keys += uint64(len(it.key))
		values += uint64(len(it.value))
		items = append(items, it)
	}
	content.Mod(content, new(big.Int).Lsh(big.NewInt(1), 128))
	if le() != uint64(len(items)) || le() != expiring || le() != keys || le() != values || new(big.Int).SetBytes(take(16)).Cmp(content) != 0 ||
		binary.BigEndian.Uint64(take(8)) != expiries {
		return nil, errors.New("end record")
	}
	// The standard library's CRC begins and ends inverted; the RDB's does not.
	sum := ^crc64.Update(^uint64(0), crc64.MakeTable(0x95ac9329ac4bc9b5), all[:p])
	if le() != sum || p != len(all) {
		return nil, errors.New("checksum")
	}
	return items, nil
}

func TestFormatIsAsDocumented(t *testing.T) {
	t.Parallel()
	golden, err := os.ReadFile("testdata/three.kfitems")
	if err != nil {
		t.Fatal(err)
	}
	items, err := readPlain(golden)
	if err != nil || len(items) != 3 {
		t.Fatalf("%v %v", items, err)
	}
	ours, _, err := read(bytes.NewReader(golden), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, it := range items {
		if o := ours[i]; it.key != string(o.Key) || it.value != string(o.Value) || it.flags != o.Flags || int64(it.expiry) != o.ExpireAt {
			t.Errorf("%+v is read as %+v", o, it)
		}
	}
	if items[1].key != "session:1" || items[1].flags != 4_000_000_000 || items[1].expiry != 1_800_003_600 {
		t.Errorf("%+v", items[1])
	}
}
