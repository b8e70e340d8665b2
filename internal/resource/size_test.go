package resource

import "testing"

func TestSizeText(t *testing.T) {
	t.Parallel()
	for bytes, want := range map[int64]string{
		0: "1 MB", 1: "1 MB", 1 << 20: "1 MB", 1<<20 + 1: "2 MB", 3 << 20: "3 MB", 10<<30 - 1: "10240 MB", 10 << 30: "10 GB", 10<<30 + 1: "11 GB", 1 << 40: "1024 GB",
	} {
		if got := SizeText(bytes); got != want {
			t.Errorf("%d bytes are shown as %q, want %q", bytes, got, want)
		}
	}
}
