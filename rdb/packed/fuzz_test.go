package packed

import (
	"errors"
	"iter"
	"testing"
)

// agree wants All and Verify to say the same about a blob, whatever it is: so
// many elements, each at least one byte of it, and the same error.
func agree(t *testing.T, blob []byte, all iter.Seq2[Element, error], n int, verr error, each int) {
	t.Helper()
	got, size := 0, 0
	var err error
	for e, aerr := range all {
		if err != nil {
			t.Fatal("something comes after an error")
		}
		if aerr != nil {
			err = aerr
			continue
		}
		got++
		size += len(e.Text)
		if e.Number && e.Text != nil || cap(e.Text) != len(e.Text) {
			t.Fatalf("element %+v", e)
		}
		if v, ok := e.Integer(); ok && string(e.Append(nil)) != string((Element{Int: v, Number: true}).Append(nil)) {
			t.Fatalf("%q is not %d", e.Append(nil), v)
		}
	}
	if (err == nil) != (verr == nil) || err != nil && err.Error() != verr.Error() {
		t.Fatalf("All ends with %v, Verify with %v", err, verr)
	}
	if size > len(blob) || got > len(blob) {
		t.Fatalf("%d elements of %d bytes in a blob of %d", got, size, len(blob))
	}
	if err == nil && got != n*each {
		t.Fatalf("%d elements, Verify says %d", got, n)
	}
	var broken *Error
	if err != nil && (!errors.As(err, &broken) || broken.Offset < 0 || broken.Offset > len(blob) || broken.Reason == "") {
		t.Fatalf("error %#v", err)
	}
}

func FuzzListpack(f *testing.F) {
	var b ListpackBuilder
	f.Add([]byte(b.Bytes()))
	for _, text := range elements() {
		if b.Add([]byte(text)); len(text) < 300 {
			f.Add([]byte(b.Bytes()))
		}
	}
	f.Fuzz(func(t *testing.T, blob []byte) {
		n, err := Listpack(blob).Verify()
		agree(t, blob, Listpack(blob).All(), n, err, 1)
		if err != nil {
			return
		}
		// What is built of the same elements is not longer, and has them again.
		var b ListpackBuilder
		for e := range Listpack(blob).All() {
			b.Add(e.Append(nil))
		}
		if again, err := b.Bytes().Verify(); again != n || err != nil || b.Size() > len(blob) {
			t.Fatalf("built anew: %d elements of %d, %d bytes of %d, %v", again, n, b.Size(), len(blob), err)
		}
	})
}

func FuzzZiplist(f *testing.F) {
	var b ZiplistBuilder
	f.Add([]byte(b.Bytes()))
	for _, text := range elements() {
		if b.Add([]byte(text)); len(text) < 300 {
			f.Add([]byte(b.Bytes()))
		}
	}
	f.Fuzz(func(t *testing.T, blob []byte) {
		n, err := Ziplist(blob).Verify()
		agree(t, blob, Ziplist(blob).All(), n, err, 1)
		if err != nil {
			return
		}
		var b ZiplistBuilder
		for e := range Ziplist(blob).All() {
			b.Add(e.Append(nil))
		}
		if again, err := b.Bytes().Verify(); again != n || err != nil || b.Size() > len(blob) {
			t.Fatalf("built anew: %d elements of %d, %d bytes of %d, %v", again, n, b.Size(), len(blob), err)
		}
	})
}

func FuzzIntset(f *testing.F) {
	f.Add(AppendIntset(nil, []int64{1, 2, 3}))
	f.Add(AppendIntset(nil, []int64{-70000, 3}))
	f.Add(AppendIntset(nil, edges()))
	f.Fuzz(func(t *testing.T, blob []byte) {
		n, err := Intset(blob).Verify()
		agree(t, blob, Intset(blob).All(), n, err, 1)
		if err != nil {
			return
		}
		var values []int64
		for e := range Intset(blob).All() {
			values = append(values, e.Int)
		}
		if again, err := Intset(AppendIntset(nil, values)).Verify(); again != n || err != nil {
			t.Fatalf("built anew: %d members of %d, %v", again, n, err)
		}
	})
}

func FuzzZipmap(f *testing.F) {
	f.Add([]byte("\x00\xff"))
	f.Add([]byte("\x02\x03abc\x02\x03xy---\x01d\x02\x00zz\xff"))
	f.Add([]byte("\xfe\xfe\x03\x00\x00\x00abc\xfe\x02\x00\x00\x00\x00xy\xff"))
	f.Fuzz(func(t *testing.T, blob []byte) {
		n, err := Zipmap(blob).Verify()
		agree(t, blob, Zipmap(blob).All(), n, err, 2)
	})
}
