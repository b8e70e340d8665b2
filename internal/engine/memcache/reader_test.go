package memcache

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

func replies(s string) *Reader { return NewReader(strings.NewReader(s)) }

func TestValues(t *testing.T) {
	t.Parallel()
	text := "VA 3 ka f4294967295 t-1 c18446744073709551615\r\nabc\r\nVA 5 kZm9vAGJhcg== b f7 t97 c7\r\n\r\n\x00\r\n\r\nVA 0 s0 ke W Z\r\n\r\nMN\r\n"
	for _, r := range []*Reader{replies(text), NewReader(iotest.OneByteReader(strings.NewReader(text)))} {
		var v Value
		for _, want := range []Value{
			{[]byte("a"), false, math.MaxUint32, -1, math.MaxUint64, []byte("abc")},
			{[]byte("Zm9vAGJhcg=="), true, 7, 97, 7, []byte("\r\n\x00\r\n")},
			{[]byte("e"), false, 0, -1, 0, nil},
		} {
			ok, err := r.Value(&v)
			if err != nil || !ok || string(v.Token) != string(want.Token) || v.Base64 != want.Base64 || v.Flags != want.Flags || v.TTL != want.TTL ||
				v.CAS != want.CAS || !bytes.Equal(v.Data, want.Data) {
				t.Errorf("%+v, %v, %v instead of %+v", v, ok, err, want)
			}
		}
		if ok, err := r.Value(&v); ok || err != nil {
			t.Errorf("the batch does not end: %v", err)
		}
	}
}

func TestValuesThatAreRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]error{
		"VA 3 ka\r\nabcde\r\n": ErrProtocol, "VA\r\n": ErrProtocol, "VA x ka\r\n": ErrProtocol, "VA 1073741825 ka\r\n": ErrProtocol, "VA -1 ka\r\n": ErrProtocol,
		"VA 18446744073709551616 ka\r\n": ErrProtocol, "VA 1 f4294967296\r\na\r\n": ErrProtocol, "VA 1 fx\r\na\r\n": ErrProtocol, "VA 1 t-2\r\na\r\n": ErrProtocol,
		"VA 1 k\r\na\r\n": ErrProtocol, "VA 1 k" + strings.Repeat("k", 251) + "\r\na\r\n": ErrProtocol, "HD\r\n": ErrProtocol, "\r\n": ErrProtocol, "VALUE a 0 1\r\n": ErrProtocol,
		"VA 3 ka\r\nab": io.ErrUnexpectedEOF, "VA 3 ka\r\n": io.ErrUnexpectedEOF, "VA 3": io.ErrUnexpectedEOF, "": io.ErrUnexpectedEOF,
		"VA 1073741824 ka\r\nabc": io.ErrUnexpectedEOF, strings.Repeat("x", maxLine+1) + "\r\n": ErrProtocol, strings.Repeat("x", 1<<20): ErrProtocol,
	} {
		var v Value
		if _, err := replies(text).Value(&v); !errors.Is(err, want) {
			t.Errorf("%.60q: %v instead of %v", text, err, want)
		}
	}
	var reply *ReplyError
	if _, err := replies("SERVER_ERROR out of memory writing get response\r\n").Value(new(Value)); !errors.As(err, &reply) || !strings.Contains(err.Error(), "out of memory") {
		t.Error(err)
	}
}

// TestLargeValuesGrowAsTheyArrive holds memory to what arrives.
func TestLargeValuesGrowAsTheyArrive(t *testing.T) {
	t.Parallel()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := replies("VA 1073741824 ka\r\n" + strings.Repeat("x", 300<<10)).Value(new(Value))
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; err == nil || n > 100<<20 {
		t.Errorf("%d bytes were allocated: %v", n, err)
	}
	var v Value
	r := replies(fmt.Sprintf("VA %d ka\r\n%s\r\nVA 1 kb\r\nx\r\n", 3<<20, strings.Repeat("x", 3<<20)))
	if ok, err := r.Value(&v); !ok || err != nil || len(v.Data) != 3<<20 || string(v.Token) != "a" {
		t.Error(len(v.Data), err)
	}
	if ok, err := r.Value(&v); !ok || err != nil || string(v.Data) != "x" {
		t.Errorf("%+v %v", v, err)
	}
}

func TestEntries(t *testing.T) {
	t.Parallel()
	var e Entry
	for line, want := range map[string]Entry{
		"key=foo%00bar exp=-1 la=1795279298 cas=7 fetch=no cls=1 size=75":                             {[]byte("foo\x00bar"), -1, 7},
		"key=d exp=1795279397 la=1795279297 cas=18446744073709551615 fetch=yes cls=1 size=63 flags=3": {[]byte("d"), 1795279397, math.MaxUint64},
		"key=%25%3d%3D exp=5 ext_page=3":                                                              {[]byte("%=="), 5, 0},
	} {
		if err := ParseEntry([]byte(line), &e); err != nil || string(e.Key) != string(want.Key) || e.Expire != want.Expire || e.CAS != want.CAS {
			t.Errorf("%q: %+v %v", line, e, err)
		}
	}
	for _, line := range []string{"", "key=", "key=a", "key= exp=-1", "key=%4 exp=-1", "key=%zz exp=-1", "key=a exp=0", "key=a exp=-2", "key=a exp=x", "key=a exp=-1 cas=-1",
		"key=a cas=x exp=-1", "key=" + strings.Repeat("a", 251) + " exp=-1", "EN", "exp=-1 key=a"} {
		if err := ParseEntry([]byte(line), &e); !errors.Is(err, ErrProtocol) {
			t.Errorf("%q is taken: %+v %v", line, e, err)
		}
	}
}

func TestMetadump(t *testing.T) {
	t.Parallel()
	var keys []string
	collect := func(e *Entry) error { keys = append(keys, string(e.Key)); return nil }
	if err := replies("key=a exp=-1\nkey=b exp=7\nEND\r\n").Metadump(collect); err != nil || strings.Join(keys, ",") != "a,b" {
		t.Error(keys, err)
	}
	var reply *ReplyError
	for text, ok := range map[string]func(error) bool{
		"BUSY currently processing crawler request\r\n":               func(err error) bool { return errors.Is(err, ErrBusy) },
		"key=a exp=-1\nBUSY currently processing crawler request\r\n": func(err error) bool { return errors.As(err, &reply) },
		"ERROR lru crawler disabled\r\n":                              func(err error) bool { return errors.As(err, &reply) },
		"key=a exp=-1\n":                                              func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) },
		"key=a exp=-1\nkey=b\n":                                       func(err error) bool { return errors.Is(err, ErrProtocol) },
	} {
		if err := replies(text).Metadump(collect); !ok(err) {
			t.Errorf("%q: %v", text, err)
		}
	}
	stop := errors.New("enough")
	if err := replies("key=a exp=-1\nEND\r\n").Metadump(func(*Entry) error { return stop }); err != stop {
		t.Error(err)
	}
}

func TestStatsAndVersion(t *testing.T) {
	t.Parallel()
	m, err := replies("STAT pid 7\r\nSTAT inter \r\nSTAT binding a b\r\nEND\r\n").Stats()
	if err != nil || !maps.Equal(m, map[string]string{"pid": "7", "inter": "", "binding": "a b"}) {
		t.Error(m, err)
	}
	var many strings.Builder
	for i := range maxStats + 1 {
		fmt.Fprintf(&many, "STAT s%d 0\r\n", i)
	}
	for _, text := range []string{"pid 7\r\nEND\r\n", "STAT pid 7\r\n", "ERROR\r\n", many.String() + "END\r\n"} {
		if _, err := replies(text).Stats(); err == nil {
			t.Errorf("%.40q is taken", text)
		}
	}
	if v, err := replies("VERSION 1.6.18\r\n").Version(); err != nil || v != "1.6.18" {
		t.Error(v, err)
	}
	for _, text := range []string{"VERSION \r\n", "VERSION" + strings.Repeat(" 1", 40) + "\r\n", "ERROR Too many open connections\r\n", "-ERR\r\n", ""} {
		if v, err := replies(text).Version(); err == nil {
			t.Errorf("%q: %q", text, v)
		}
	}
}

func TestKeysComeBackFromTokens(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		key := rapid.SliceOfN(rapid.OneOf(rapid.Byte(), rapid.ByteRange('a', 'z')), 1, MaxKey).Draw(rt, "key")
		token, isBase64, err := AppendToken(nil, key)
		if err != nil {
			if !errors.Is(err, ErrKey) || len(key) <= 186 {
				rt.Fatal(err)
			}
			return
		}
		if len(token) > MaxKey || bytes.ContainsAny(token, " \r\n\x00") {
			rt.Fatalf("the token %q breaks a command", token)
		}
		if isBase64 {
			if token, err = base64.StdEncoding.DecodeString(string(token)); err != nil {
				rt.Fatal(err)
			}
		}
		if !bytes.Equal(token, key) {
			rt.Fatalf("%q became %q", key, token)
		}
	})
}

func TestCommands(t *testing.T) {
	t.Parallel()
	b, _, _ := AppendGet(nil, []byte("a"))
	b, _, _ = AppendGet(b, []byte("a b"))
	b, _ = AppendSet(AppendEnd(b), []byte("k"), math.MaxUint32, 0, 3, true)
	b, _ = AppendSet(b, []byte("k "), 0, MaxExpiry, 0, false)
	if want := "mg a k f t c v u q\r\nmg YSBi b k f t c v u q\r\nmn\r\nms k 3 T0 F4294967295 q\r\nms ayA= 0 b T2147483647 F0\r\n"; string(b) != want {
		t.Errorf("%q\n%q", b, want)
	}
	for _, expire := range []int64{-1, 1, 2592000, MaxExpiry + 1} {
		if _, err := AppendSet(nil, []byte("k"), 0, expire, 0, true); err == nil {
			t.Errorf("the expiry %d is taken", expire)
		}
	}
	for _, key := range []string{"", strings.Repeat("k", 251), strings.Repeat(" ", 187)} {
		if _, err := AppendSet(nil, []byte(key), 0, 0, 0, true); !errors.Is(err, ErrKey) {
			t.Errorf("%.20q: %v", key, err)
		}
		if _, _, err := AppendGet(nil, []byte(key)); !errors.Is(err, ErrKey) {
			t.Errorf("%.20q: %v", key, err)
		}
	}
}

// FuzzReplies reads anything as every kind of reply.
func FuzzReplies(f *testing.F) {
	f.Add([]byte("VA 3 ka f4294967295 t-1 c1\r\nabc\r\nMN\r\n"))
	f.Add([]byte("key=foo%00bar exp=-1 la=1795279298 cas=7 fetch=no cls=1 size=75\nEND\r\n"))
	f.Add([]byte("STAT pid 1\r\nEND\r\n"))
	f.Add([]byte("VERSION 1.6.18\r\n"))
	f.Add([]byte("SERVER_ERROR out of memory\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := newReader(bytes.NewReader(b), 0)
		var v Value
		for {
			ok, err := r.Value(&v)
			if !ok || err != nil {
				break
			}
			if len(v.Data) > len(b) || len(v.Token) > maxToken || v.TTL < -1 {
				t.Fatalf("%+v", v)
			}
		}
		n := 0
		err := newReader(bytes.NewReader(b), 0).Metadump(func(e *Entry) error {
			if n++; len(e.Key) == 0 || len(e.Key) > MaxKey || e.Expire < -1 || e.Expire == 0 {
				t.Fatalf("%+v", e)
			}
			return nil
		})
		if err == nil && n > len(b)/9 {
			t.Fatalf("%d entries in %d bytes", n, len(b))
		}
		if m, err := newReader(bytes.NewReader(b), 0).Stats(); err == nil && len(m) > len(b) {
			t.Fatal("statistics out of nothing")
		}
		if s, err := newReader(bytes.NewReader(b), 0).Version(); err == nil && (s == "" || len(s) > 64) {
			t.Fatalf("%q", s)
		}
	})
}
