package rdb

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// Records that lie in the window are told as those are that arrive byte by byte,
// which never do, and with slots as without.
func TestVisible(t *testing.T) {
	t.Parallel()
	files := map[string][]byte{}
	for _, smp := range samples() {
		files[smp.name] = smp.file
	}
	dumps, err := filepath.Glob("testdata/*.rdb")
	if err != nil || len(dumps) == 0 {
		t.Fatal("no dumps in testdata")
	}
	for _, name := range dumps {
		if files[name], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	f := newFile(11).selectDB(3)
	for i := range 300 { // of every form of expiry, use, key and string
		f.bytes(opExpireMillis).le64(uint64(i%2) << 40)
		if i%3 == 0 {
			f.bytes(opIdle).length(uint64(i) * 100)
		}
		if i%3 == 1 {
			f.bytes(opFrequency, byte(i))
		}
		f.set(strings.Repeat("k", i), strings.Repeat("v", i*i%70000))
		f.bytes(typeString, 1, 'n', stringInt8+byte(i%3), 1, 2, 3, 4)
		f.b = f.b[:len(f.b)-4+1<<(i%3)]
		f.key(typeHash, "h").length(1).strings("f", strings.Repeat("v", i))
		f.key(typeListQuicklist2, "q").length(2).length(1).strings("plain").length(2).lzf("\x0b\x00\x00\x00\x09\x00" + strings.Repeat("p", 50))
	}
	files["forms"] = f.end()
	for name, file := range files {
		if whole, single := told(t, bytes.NewReader(file)), told(t, iotest.OneByteReader(bytes.NewReader(file))); whole != single {
			t.Errorf("%s: in the window\n%.2000s\nbyte by byte\n%.2000s", name, whole, single)
		}
	}
	var some SlotSet
	some.Add(0, 9)
	_, inside := NewScanner(bytes.NewReader(f.b), Options{Slots: &some}).Scan()
	_, single := NewScanner(iotest.OneByteReader(bytes.NewReader(f.b)), Options{Slots: &some}).Scan()
	if inside == nil || fmt.Sprint(inside) != fmt.Sprint(single) {
		t.Errorf("refused with %v in the window, with %v byte by byte", inside, single)
	}
}
