package keyspace

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/keyframe/keyframe/rdb"
)

func asJSON(t testing.TB, v any) string {
	t.Helper()
	out, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestNamesAreLossless(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "user:1", "a\x00b\x1b[2J", "\xff\xfe", "\u2028<&>", "\xef\xbf\xbd", "\u009b31m\u202e\x7f\U000e0001é日\U0001f600", "half \xc3", `{"base64":"AA=="}`, "\xed\xa0\x80"} {
		out, err := json.Marshal(Name(name))
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsFunc(string(out), func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("a terminal would obey %q", out)
		}
		var back Name
		if err := json.Unmarshal(out, &back); err != nil || string(back) != name {
			t.Errorf("%q became %s became %q, %v", name, out, back, err)
		}
	}
	var n Name
	for _, bad := range []string{`{}`, `{"base64":"?"}`, `1`, `["x"]`} {
		if err := json.Unmarshal([]byte(bad), &n); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func TestReportAsJSON(t *testing.T) {
	t.Parallel()
	f := newFile()
	for i := range 300 {
		f.set(fmt.Appendf(nil, "\xff%d:%d", i%7, i), i*10, int64(i%3)*2e12)
	}
	r, _, err := Scan(bytes.NewReader(f.end()), Options{At: time.UnixMilli(1e12), Slots: true})
	if err != nil {
		t.Fatal(err)
	}
	out := asJSON(t, r)
	back, err := ParseReport([]byte(out))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back, r) {
		t.Errorf("%s\nbecame\n%s", out, asJSON(t, back))
	}
	for _, bad := range []string{"", "{", `{"format":2}`, `{"format":0}`, `[]`, strings.Repeat(" ", MaxReport+1)} {
		if _, err := ParseReport([]byte(bad)); err == nil {
			t.Errorf("%.20q was taken", bad)
		}
	}
}

// The worst keys there can be must not make a report or a collector larger than
// they are said to be.
func TestSizesAreBounded(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	c := NewCollector(Options{Slots: true})
	key := []byte(strings.Repeat("\x01", 10_000))
	for i := range 30_000 {
		copy(key, fmt.Sprintf("%d:%0100d:", i%5, i*7919))
		copy(key[130:], fmt.Sprintf("{%0120d}", i*7907))
		c.Add(&rdb.Record{Size: int64(1_000_000 + i), Key: key, Type: byte(i), DB: uint64(i), Slot: i % rdb.Slots, ExpireAt: math.MaxInt64, Elements: math.MaxInt32})
		if i%1000 == 0 {
			c.Add(&rdb.Record{Size: -1, ExpireAt: math.MinInt64, Slot: -1})
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if used := int64(after.HeapAlloc) - int64(before.HeapAlloc); used > 8<<20 {
		t.Errorf("the collector takes %d bytes", used)
	}
	modules := make([]string, 1024)
	for i := range modules {
		modules[i] = fmt.Sprintf("mod%06d", i)
	}
	out, err := json.Marshal(c.Report(&rdb.Summary{Modules: modules}))
	if err != nil {
		t.Fatal(err)
	}
	if len(out) > MaxReport {
		t.Errorf("the report takes %d bytes", len(out))
	}
	t.Logf("collector %d bytes, report %d bytes", int64(after.HeapAlloc)-int64(before.HeapAlloc), len(out))
	if _, err := ParseReport(out); err != nil {
		t.Error(err)
	}
	runtime.KeepAlive(c)
}

func TestExpiryClasses(t *testing.T) {
	t.Parallel()
	const now = 1_700_000_000_000
	day := int64(86_400_000)
	for at, want := range map[int64]int{0: never, 1: expired, -5: expired, math.MinInt64: expired, now: expired, now + 1: underMinute, now + 59_999: underMinute,
		now + 60_000: underHour, now + 3_600_000: underDay, now + day: underWeek, now + 7*day: underMonth, now + 30*day: later, math.MaxInt64: later} {
		if got := expiryClass(at, now); got != want {
			t.Errorf("%d: %s, want %s", at-now, expiryNames[got], expiryNames[want])
		}
	}
	if got := expiryClass(math.MaxInt64, math.MinInt64); got != later {
		t.Errorf("the longest time is %s", expiryNames[got])
	}
}

func TestCuts(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"": "", "plain": "", "a:b:c": "a: a:b:", "a-b_c.d": "a- a-b_ a-b_c.", "a-b:c.d": "a-b:", "a:": "a:", "::": ": ::", "a/b|c": "a/ a/b|",
		"1:2:3:4:5:6:7:8:9:10":         "1: 1:2: 1:2:3: 1:2:3:4: 1:2:3:4:5: 1:2:3:4:5:6: 1:2:3:4:5:6:7: 1:2:3:4:5:6:7:8:",
		strings.Repeat("x", 200) + ":": "", strings.Repeat("x", 127) + ":b": strings.Repeat("x", 127) + ":", strings.Repeat("x", 128) + ":b": "",
	} {
		var c cuts
		newSeparators("").cut(&c, []byte(key))
		var got []string
		for _, end := range c.ends[:c.n] {
			got = append(got, key[:end])
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %q, want %q", key, got, want)
		}
	}
	var c cuts
	newSeparators("#.").cut(&c, []byte("a:b#c.d"))
	if c.n != 2 || c.ends[0] != 4 || c.ends[1] != 6 {
		t.Errorf("chosen separators: %v", c)
	}
}

func TestHeavyTags(t *testing.T) {
	t.Parallel()
	c := NewCollector(Options{})
	for i := range 1000 {
		key := fmt.Sprintf("{u%d}:x", i)
		if i%20 == 0 {
			key = fmt.Sprintf("{all}:%d", i)
		}
		c.Add(&rdb.Record{Size: 10, Key: []byte(key)})
	}
	c.Add(&rdb.Record{Size: 1000, Key: []byte("{alone}")}) // a big key is none that a tag made big
	r := c.Report()
	var heavy []string
	for i := range r.Tags.Heaviest {
		if tag := &r.Tags.Heaviest[i]; r.Heavy(tag) {
			heavy = append(heavy, string(tag.Tag))
		}
	}
	if len(heavy) != 1 || heavy[0] != "all" || r.Tags.Tagged.Keys != 1001 {
		t.Errorf("heavy: %q; %+v are tagged", heavy, r.Tags.Tagged)
	}
}

// FuzzParseReport reads any JSON, and reads what it writes as the same.
func FuzzParseReport(f *testing.F) {
	f.Add([]byte(`{"format":1,"keys":3,"biggest":[{"name":{"base64":"/w=="}},{"name":"a"}],"slots":{}}`))
	f.Add([]byte(`{"format":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseReport(data)
		if err != nil {
			return
		}
		out, err := json.Marshal(r)
		if err != nil || len(out) > MaxReport {
			return // a time that JSON cannot hold, or text that is longer when it is escaped
		}
		again, err := ParseReport(out)
		if err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		if second, err := json.Marshal(again); err != nil || !bytes.Equal(second, out) {
			t.Fatalf("%s became %s, %v", out, second, err)
		}
	})
}
