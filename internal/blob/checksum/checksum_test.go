package checksum

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func sumOf(a Algorithm, p []byte) []byte {
	h := a.New()
	h.Write(p)
	return h.Sum(nil)
}

// The values are the check values of the CRC catalogue.
func TestKnownValues(t *testing.T) {
	t.Parallel()
	want := map[Algorithm]string{
		CRC32: "y/Q5Jg==", CRC32C: "4waSgw==", CRC64NVME: "rosUhgp5mIg=",
	}
	for a, v := range want {
		if got := Encode(sumOf(a, []byte("123456789"))); got != v {
			t.Errorf("%s of 123456789 is %s, want %s", a, got, v)
		}
	}
	if len(sumOf(SHA1, nil)) != 20 || len(sumOf(SHA256, nil)) != 32 {
		t.Error("SHA1 and SHA256 have wrong lengths")
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, a := range Algorithms() {
		if got, ok := Parse(strings.ToLower(string(a))); !ok || got != a {
			t.Errorf("Parse(lower %s) = %s, %v", a, got, ok)
		}
	}
	if _, ok := Parse("MD4"); ok {
		t.Error("MD4 was taken")
	}
}

func TestCombineIsTheSumOfTheWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SampledFrom([]Algorithm{CRC32, CRC32C, CRC64NVME}).Draw(t, "algorithm")
		chunks := rapid.SliceOfN(rapid.SliceOf(rapid.Byte()), 1, 6).Draw(t, "chunks")
		var whole []byte
		var parts []Part
		for _, c := range chunks {
			whole = append(whole, c...)
			parts = append(parts, Part{sumOf(a, c), int64(len(c))})
		}
		if got, want := Combine(a, FullObject, parts).Value, Encode(sumOf(a, whole)); got != want {
			t.Fatalf("combined %s, whole %s", got, want)
		}
	})
}

func TestCompositeNamesTheNumberOfParts(t *testing.T) {
	t.Parallel()
	got := Combine(SHA256, Composite, []Part{{sumOf(SHA256, []byte("a")), 1}, {sumOf(SHA256, []byte("b")), 1}})
	both := append(sumOf(SHA256, []byte("a")), sumOf(SHA256, []byte("b"))...)
	if want := Encode(sumOf(SHA256, both)) + "-2"; got.Value != want || got.Type != Composite {
		t.Errorf("got %+v, want %s", got, want)
	}
}
