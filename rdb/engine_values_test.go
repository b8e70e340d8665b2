package rdb

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// value asks the engine for a value, command by command.
func (e *engine) value(key string) Data {
	e.t.Helper()
	switch kind := e.do("TYPE", key); kind {
	case "string":
		return String(e.do("GET", key).(string))
	case "list":
		return List(texts(e.do("LRANGE", key, 0, -1)))
	case "set":
		return Set(texts(e.do("SMEMBERS", key)))
	case "zset":
		d := SortedSet{}
		all := texts(e.do("ZRANGE", key, 0, -1, "WITHSCORES"))
		for pair := range slices.Chunk(all, 2) {
			score, err := strconv.ParseFloat(string(pair[1]), 64)
			if err != nil {
				e.t.Fatal(err)
			}
			d = append(d, Member{pair[0], score})
		}
		return d
	case "hash":
		d := Hash{}
		for pair := range slices.Chunk(texts(e.do("HGETALL", key)), 2) {
			d = append(d, Field{Name: pair[0], Value: pair[1]})
		}
		return d
	case "stream":
		return e.stream(key)
	default:
		e.t.Fatalf("key %.60q is a %v", key, kind)
		return nil
	}
}

func texts(answer any) (list [][]byte) {
	for _, item := range answer.([]any) {
		list = append(list, []byte(item.(string)))
	}
	return list
}

// fields makes a map of an answer of names and values.
func fields(answer any) map[string]any {
	m := map[string]any{}
	for pair := range slices.Chunk(answer.([]any), 2) {
		m[pair[0].(string)] = pair[1]
	}
	return m
}

func (e *engine) id(answer any) StreamID {
	e.t.Helper()
	id, err := ParseStreamID(answer.(string))
	if err != nil {
		e.t.Fatal(err)
	}
	return id
}

func (e *engine) stream(key string) *Stream {
	e.t.Helper()
	d := &Stream{}
	for _, entry := range e.do("XRANGE", key, "-", "+").([]any) {
		parts := entry.([]any)
		one := StreamEntry{ID: e.id(parts[0])}
		for pair := range slices.Chunk(texts(parts[1]), 2) {
			one.Fields = append(one.Fields, Pair{pair[0], pair[1]})
		}
		d.Entries = append(d.Entries, one)
	}
	info := fields(e.do("XINFO", "STREAM", key, "FULL", "COUNT", 0))
	d.Length, d.EntriesAdded = uint64(info["length"].(int64)), uint64(info["entries-added"].(int64))
	d.LastID, d.MaxDeletedID, d.FirstID = e.id(info["last-generated-id"]), e.id(info["max-deleted-entry-id"]), e.id(info["recorded-first-entry-id"])
	for _, answer := range info["groups"].([]any) {
		group := fields(answer)
		g := Group{Name: []byte(group["name"].(string)), LastID: e.id(group["last-delivered-id"]), EntriesRead: -1}
		if n, ok := group["entries-read"].(int64); ok {
			g.EntriesRead = n
		}
		for _, answer := range group["pending"].([]any) {
			p := answer.([]any)
			g.Pending = append(g.Pending, Pending{e.id(p[0]), p[2].(int64), uint64(p[3].(int64))})
		}
		for _, answer := range group["consumers"].([]any) {
			consumer := fields(answer)
			c := Consumer{Name: []byte(consumer["name"].(string)), SeenAt: consumer["seen-time"].(int64)}
			c.ActiveAt = c.SeenAt
			if at, ok := consumer["active-time"].(int64); ok {
				c.ActiveAt = at
			}
			for _, answer := range consumer["pending"].([]any) {
				c.Pending = append(c.Pending, e.id(answer.([]any)[0]))
			}
			g.Consumers = append(g.Consumers, c)
		}
		d.Groups = append(d.Groups, g)
	}
	return d
}

// build makes a value by the commands that a client uses.
func (e *engine) build(key string, d Data) {
	e.t.Helper()
	many := func(command string, n int, add func(i int) []any) {
		for part := range slices.Chunk(slices.Collect(func(yield func(int) bool) {
			for i := 0; i < n && yield(i); i++ {
			}
		}), 500) {
			args := []any{command, key}
			for _, i := range part {
				args = append(args, add(i)...)
			}
			e.do(args...)
		}
	}
	switch d := d.(type) {
	case String:
		e.do("SET", key, string(d))
	case List:
		many("RPUSH", len(d), func(i int) []any { return []any{string(d[i])} })
	case Set:
		many("SADD", len(d), func(i int) []any { return []any{string(d[i])} })
	case SortedSet:
		many("ZADD", len(d), func(i int) []any {
			return []any{strconv.FormatFloat(d[i].Score, 'g', -1, 64), string(d[i].Text)}
		})
	case Hash:
		many("HSET", len(d), func(i int) []any { return []any{string(d[i].Name), string(d[i].Value)} })
	case *Stream:
		e.buildStream(key, d)
	}
}

// buildStream adds the entries, deletes some, and has consumers read others.
func (e *engine) buildStream(key string, d *Stream) {
	e.t.Helper()
	e.do("XGROUP", "CREATE", key, "idle", "$", "MKSTREAM")
	for _, entry := range d.Entries {
		args := []any{"XADD", key, entry.ID}
		for _, f := range entry.Fields {
			args = append(args, string(f.Name), string(f.Value))
		}
		e.do(args...)
	}
	e.do("XGROUP", "CREATE", key, "busy", "0")
	e.do("XGROUP", "CREATECONSUMER", key, "busy", "newcomer")
	e.do("XREADGROUP", "GROUP", "busy", "alice", "COUNT", 30, "STREAMS", key, ">")
	e.do("XREADGROUP", "GROUP", "busy", "bob", "COUNT", 90, "STREAMS", key, ">")
	for i, entry := range d.Entries {
		switch {
		case i%17 == 3:
			e.do("XACK", key, "busy", entry.ID)
		case i%7 == 5 || i >= 100 && i < 200 && len(d.Entries) > 300:
			e.do("XDEL", key, entry.ID) // also whole nodes
		}
	}
	e.do("XCLAIM", key, "busy", "carol", 0, "0-1", "1-1")
}

// engineData are values at the bounds of every form, and others at random.
func engineData(version int) map[string]Data {
	all := map[string]Data{}
	rng := rand.New(rand.NewPCG(9, uint64(version)))
	for _, n := range []int{0, 1, 10, 11, 12, 19, 20, 21, 24, 44, 45, 63, 64, 65, 255, 256, 16383, 16384, 70000, 300000} {
		random := make([]byte, n)
		for i := range random {
			random[i] = byte(rng.Uint32())
		}
		all[fmt.Sprintf("string:same:%d", n)] = String(bytes.Repeat([]byte{'a'}, n))
		all[fmt.Sprintf("string:random:%d", n)] = String(random)
		all[fmt.Sprintf("string:words:%d", n)] = String(strings.Repeat("the quick brown fox ", n/20+1)[:n])
	}
	for bits := range 64 {
		for _, n := range []int64{1<<bits - 1, -1 << bits, -1<<bits - 1} {
			all[fmt.Sprintf("string:int:%d", n)] = String(strconv.AppendInt(nil, n, 10))
		}
	}
	for _, odd := range []string{"-0", "00", "+1", " 1", "1.0", "9223372036854775808", "1e3", "\x00", "\xff"} {
		all["string:odd:"+odd] = String(odd)
	}
	for _, n := range sizes {
		for _, length := range []int{3, 64, 65, 200} {
			if n > 600 && length > 3 {
				continue
			}
			var list List
			for i := range n {
				list = append(list, fmt.Appendf(nil, "%*d", -length, i)[:max(length, len(strconv.Itoa(i)))])
			}
			name := fmt.Sprintf("%d:%d", n, length)
			all["list:"+name] = list
			all["set:"+name] = Set(list)
			var set SortedSet
			var hash, long Hash
			for i, p := range list {
				set = append(set, Member{p, float64(i%7) / 3})
				hash = append(hash, Field{Name: p, Value: []byte("value")})
				long = append(long, Field{Name: fmt.Appendf(nil, "f%d", i), Value: p})
			}
			all["zset:"+name] = set
			all["hash:field:"+name] = hash
			all["hash:value:"+name] = long
		}
		for _, step := range []int64{1, 100, 1 << 20, -1 << 52} {
			var set Set
			for i := range int64(n) {
				set = append(set, strconv.AppendInt(nil, (i-3)*step, 10))
			}
			all[fmt.Sprintf("set:int:%d:%d", n, step)] = set
			all[fmt.Sprintf("list:int:%d:%d", n, step)] = List(set)
		}
	}
	for _, size := range []int{8100, 8191, 8192, 8193, 20000} {
		all[fmt.Sprintf("list:large:%d", size)] = List{[]byte("a"), make([]byte, size), []byte("b"), []byte("c"), make([]byte, size), make([]byte, size/2)}
	}
	for i := range 30 {
		d := someData(rng, min(version, 11))
		if set, ok := d.(SortedSet); ok {
			for i := range set {
				set[i].Score += 0 // engines do not always keep the sign of zero
			}
		}
		if d.Kind() != KindModule {
			all[fmt.Sprintf("any:%s:%d", d.Kind(), i)] = d
		}
	}
	for i := range 8 {
		all[fmt.Sprintf("stream:%d", i)] = someStream(rng, version)
	}
	return all
}

// encodings are the ways to write one value.
func encodings(version int) (list []WriterOptions) {
	for _, unpacked := range []bool{false, true} {
		for _, uncompressed := range []bool{false, true} {
			list = append(list, WriterOptions{Version: version, Unpacked: unpacked, Uncompressed: uncompressed})
		}
	}
	return list
}

// What an engine dumps and saves, of values that its commands built, is read as
// what it answers.
func TestEngineValuesAreRead(t *testing.T) {
	t.Parallel()
	for _, eng := range engines {
		t.Run(eng.name, func(t *testing.T) {
			t.Parallel()
			e := startEngine(t, eng.server, t.TempDir())
			e.line("DEBUG QUICKLIST-PACKED-THRESHOLD 5000b")
			e.line("CONFIG SET stream-node-max-entries 40")
			want := map[string]string{}
			for key, d := range engineData(eng.version) {
				e.build(key, d)
				got := e.value(key)
				if d.Kind() != KindStream && canonical(got) != canonical(d) {
					t.Fatalf("%s: the engine was not told the value: %s", key, difference(got, d))
				}
				want[key] = canonical(got)
			}
			seen := map[byte]int{}
			for key, want := range want {
				dump, err := ParseDump([]byte(e.do("DUMP", key).(string)))
				if err != nil {
					t.Fatalf("%s: %v", key, err)
				}
				seen[dump.Type]++
				if got, err := dump.Decode(1 << 30); err != nil || canonical(got) != want {
					t.Errorf("%s: DUMP of type %d: %v, %.300q, not %.300q", key, dump.Type, err, canonical(got), want)
				}
			}
			for _, typ := range eng.types {
				if seen[typ] == 0 {
					t.Errorf("no payload of type %d (%s)", typ, TypeName(FamilyRedis, typ))
				}
			}
			for _, compression := range []string{"yes", "no"} {
				e.do("CONFIG", "SET", "rdbcompression", compression)
				compareValues(t, readFile(t, e.save()), want)
			}
		})
	}
}

// compareValues wants a file to hold exactly these values, read in every way.
func compareValues(t *testing.T, file []byte, want map[string]string) {
	t.Helper()
	n := 0
	counts := map[string]int64{}
	known := 0
	o := Options{
		OnRecord: func(r *Record) error {
			if count, ok := counts[string(r.Key)]; ok && r.Elements >= 0 {
				known++
				if r.Elements != count {
					t.Errorf("%s, type %d: %d elements by its head, %d by walking", r.Key, r.Type, r.Elements, count)
				}
			}
			return nil
		},
	}
	s := newScanner(bytes.NewReader(file), Options{}, 4096)
	for r, err := range s.Records() {
		if err != nil {
			t.Fatal(err)
		}
		n++
		got, err := r.Value.Decode(1 << 30)
		if err != nil || canonical(got) != want[string(r.Key)] {
			t.Errorf("%s, type %d: %v, %.300q, not %.300q", r.Key, r.Type, err, canonical(got), want[string(r.Key)])
		}
		counts[string(r.Key)] = elementsIn(got)
	}
	if n != len(want) {
		t.Errorf("%d values, not %d", n, len(want))
	}
	o.Keys = true
	if _, err := newScanner(bytes.NewReader(file), o, 4096).Scan(); err != nil {
		t.Fatal(err)
	}
	if known < len(counts)*3/10 {
		t.Errorf("of %d values only %d tell their elements", len(counts), known)
	}
	// Partly read values, and strings as streams.
	half := Options{OnValue: func(r *Record, v *Value) error {
		switch v.Kind() {
		case KindString:
			text, err := io.ReadAll(v.Reader())
			if canonical(String(text)) != want[string(r.Key)] {
				t.Errorf("%s, type %d: as a stream it is %.60q", r.Key, r.Type, text)
			}
			return err
		case KindStream:
			for _, err := range v.Entries() {
				return err
			}
		default:
			left := 5
			for _, err := range v.Elements() {
				if left--; err != nil || left == 0 {
					return err
				}
			}
		}
		return nil
	}, Keys: true}
	if sum, err := newScanner(bytes.NewReader(file), half, 300).Scan(); err != nil || sum.Keys != int64(n) {
		t.Errorf("read in part: %v", err)
	}
}

// elementsIn is what Record.Elements counts.
func elementsIn(d Data) int64 {
	switch d := d.(type) {
	case List:
		return int64(len(d))
	case Set:
		return int64(len(d))
	case SortedSet:
		return int64(len(d))
	case Hash:
		return int64(len(d))
	case *Stream:
		return int64(len(d.Entries))
	}
	return -1
}

// What is written, in every form, as a payload and as a file, an engine that
// checks every byte restores and loads, and answers the same.
func TestEngineValuesAreWritten(t *testing.T) {
	t.Parallel()
	for _, eng := range engines {
		t.Run(eng.name, func(t *testing.T) {
			t.Parallel()
			e := startEngine(t, eng.server, t.TempDir(), "--sanitize-dump-payload", "yes")
			all := engineData(eng.version)
			seen := map[byte]int{}
			for key, d := range all {
				want := canonical(d)
				for i, o := range encodings(eng.version) {
					payload, err := EncodeDump(nil, d, o)
					if err != nil {
						t.Fatal(err)
					}
					seen[payload[0]]++
					e.do("RESTORE", key, 0, string(payload), "REPLACE")
					if got := e.value(key); canonical(got) != want {
						t.Errorf("%s: after RESTORE of type %d, %+v: %s", key, payload[0], o, difference(got, d))
					}
					if i > 0 || d.Kind() == KindStream || d.Kind() == KindList {
						continue // whether a list is one listpack depends on how it grew
					}
					form := e.do("OBJECT", "ENCODING", key)
					e.do("DEL", key)
					e.build(key, d)
					if own := e.do("OBJECT", "ENCODING", key); own != form {
						t.Errorf("%s: after RESTORE a %s, but the engine itself makes it a %s", key, form, own)
					}
				}
			}
			for _, typ := range append([]byte{typeList}, eng.types...) {
				if seen[typ] == 0 {
					t.Errorf("no payload of type %d (%s)", typ, TypeName(FamilyRedis, typ))
				}
			}
			for version := 9; version <= eng.version; version++ {
				loadWritten(t, eng.server, encodings(version)[version%4], engineData(version))
			}
		})
	}
}

// loadWritten has an engine load a file of values.
func loadWritten(t *testing.T, server string, o WriterOptions, all map[string]Data) {
	t.Helper()
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "dump.rdb"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWriter(f, o)
	if err != nil {
		t.Fatal(err)
	}
	library := "#!lua name=lib\nredis.register_function('f', function(keys, args) return 42 end)"
	steps := []error{w.Aux("redis-ver", "7.0.0"), w.Aux("ctime", "1700000000")}
	if o.Version >= 10 {
		steps = append(steps, w.Function([]byte(library)))
	}
	steps = append(steps, w.Select(3, uint64(len(all)), uint64(len(all))))
	at := int64(4000000000000)
	for key, d := range all {
		steps = append(steps, w.Write(Meta{Key: []byte(key), ExpireAt: at}, d))
	}
	steps = append(steps, w.Select(0, 0, 0))
	for _, kind := range []Kind{KindList, KindSet, KindSortedSet, KindHash} {
		c := Collection{Kind: kind, Len: 20000, All: func(yield func(Element, error) bool) {
			for i := range 20000 {
				text := strconv.AppendInt(nil, int64(i), 10)
				if !yield(Element{Text: text, Value: text, Score: float64(i)}, nil) {
					return
				}
			}
		}}
		steps = append(steps, w.WriteCollection(Meta{Key: []byte(kind.String())}, c))
	}
	steps = append(steps, w.WriteString(Meta{Key: []byte("streamed")}, 1<<20, io.LimitReader(zeroes{}, 1<<21)))
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(append(steps, f.Close())...); err != nil {
		t.Fatal(err)
	}
	e := startEngine(t, server, dir, "--sanitize-dump-payload", "yes")
	for command, n := range map[string]int64{"LLEN list": 20000, "SCARD set": 20000, "ZCARD zset": 20000, "HLEN hash": 20000, "STRLEN streamed": 1 << 20} {
		if got := e.line(command); got != n {
			t.Errorf("%+v: %s is %v, not %d", o, command, got, n)
		}
	}
	if o.Version >= 10 {
		if got := e.line("FCALL f 0"); got != int64(42) {
			t.Errorf("%+v: the function answers %v", o, got)
		}
	}
	e.line("SELECT 3")
	for key, d := range all {
		got := e.value(key)
		if s, ok := got.(*Stream); ok && o.Version < 10 {
			// Engines work out what the first form does not tell.
			want := d.(*Stream)
			if s.Length == 0 {
				s.FirstID = want.FirstID
			}
			for i := range s.Groups {
				s.Groups[i].EntriesRead = want.Groups[i].EntriesRead
			}
		}
		if canonical(got) != canonical(d) {
			t.Errorf("%+v, %s: the engine loads %s", o, key, difference(got, d))
		}
		if got := e.do("PEXPIRETIME", key); got != at {
			t.Errorf("%s expires at %v, not %d", key, got, at)
		}
	}
	if n := e.line("DBSIZE"); n != int64(len(all)) {
		t.Errorf("%+v: %v keys, not %d", o, n, len(all))
	}
	if _, err := io.WriteString(e.conn, "SHUTDOWN NOSAVE\r\n"); err != nil {
		t.Fatal(err)
	}
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// Raw values of one engine's file are restored by another, under the version that
// the type needs, if it knows that.
func TestEngineRestoresRawValues(t *testing.T) {
	t.Parallel()
	source := startEngine(t, "valkey-server", t.TempDir())
	for key, d := range engineData(11) {
		if strings.HasPrefix(key, "any:") || strings.HasPrefix(key, "stream:") || strings.HasPrefix(key, "list:large") {
			source.build(key, d)
		}
	}
	target := startEngine(t, "redis-server", t.TempDir(), "--sanitize-dump-payload", "yes")
	restored, refused := 0, 0
	var raw bytes.Buffer
	for r, err := range NewScanner(bytes.NewReader(readFile(t, source.save())), Options{}).Records() {
		if err != nil {
			t.Fatal(err)
		}
		raw.Reset()
		key, version := string(r.Key), TypeVersion(r.Value.Family(), r.Type)
		if _, err := r.Value.Dump(&raw, version); err != nil {
			t.Fatal(err)
		}
		payload := raw.Bytes()
		source.do("RESTORE", key, 0, string(payload), "REPLACE")
		if version > 10 {
			refused++
			dump, err := ParseDump(payload)
			if err != nil {
				t.Fatal(err)
			}
			d, err := dump.Decode(1 << 30)
			if err != nil {
				t.Fatal(err)
			}
			if payload, err = EncodeDump(nil, d, WriterOptions{Version: 10}); err != nil {
				t.Fatal(err)
			}
		}
		restored++
		target.do("RESTORE", key, 0, string(payload))
		got, want := target.value(key), source.value(key)
		for _, d := range []Data{got, want} {
			if s, ok := d.(*Stream); ok {
				for i := range s.Groups { // which the older engine does not have
					for j := range s.Groups[i].Consumers {
						s.Groups[i].Consumers[j].ActiveAt = 0
					}
				}
			}
		}
		if canonical(got) != canonical(want) {
			t.Errorf("%s, type %d: %s", key, r.Type, difference(got, want))
		}
	}
	if restored < 30 || refused == 0 {
		t.Errorf("%d restored, %d of them in another form", restored, refused)
	}
}
