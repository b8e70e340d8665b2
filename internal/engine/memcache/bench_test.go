package memcache

import "testing"

func BenchmarkParse(b *testing.B) {
	value, entry := []byte("VA 100 kkey:000000123456 f0 t-1 c123456"), []byte("key=key:000000123456 exp=-1 la=1795279295 cas=123456 fetch=no cls=1 size=167")
	b.Run("value", func(b *testing.B) {
		var v Value
		for b.Loop() {
			if _, err := parseValue(value, &v); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("entry", func(b *testing.B) {
		var e Entry
		for b.Loop() {
			if err := ParseEntry(entry, &e); err != nil {
				b.Fatal(err)
			}
		}
	})
}
