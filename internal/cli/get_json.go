package cli

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
	"unicode/utf8"

	"github.com/keyframe/keyframe/rdb"
)

// wholeText is the longest string that is looked at whole, to see whether it is UTF-8. Longer ones are base64 piece by piece.
const wholeText = 16 << 20

type jsonHead struct {
	Key       jsonText
	DB        uint64
	Type      string
	Encoding  string
	ExpiresAt time.Time `json:",omitzero"`
}

// jsonScore is a score: a number, or "inf", "-inf" or "nan", which JSON has no numbers for.
type jsonScore float64

func (s jsonScore) MarshalJSON() ([]byte, error) {
	f := float64(s)
	switch {
	case math.IsNaN(f):
		return []byte(`"nan"`), nil
	case math.IsInf(f, 1):
		return []byte(`"inf"`), nil
	case math.IsInf(f, -1):
		return []byte(`"-inf"`), nil
	}
	return json.Marshal(f)
}

type jsonMember struct {
	Member jsonText
	Score  jsonScore
}

type jsonField struct {
	Field, Value jsonText
	ExpiresAt    time.Time `json:",omitzero"`
}

type jsonEntry struct {
	ID     string
	Fields [][2]jsonText
}

// jsonGroup is a group but for its pending entries and its consumers, and jsonConsumer one of these but for its own.
type jsonGroup struct {
	Name   jsonText
	LastID string
	Read   int64 // entries delivered; -1: not known
}

type jsonPending struct {
	ID          string
	DeliveredAt time.Time
	Deliveries  uint64
}

type jsonConsumer struct {
	Name   jsonText
	SeenAt time.Time
}

// showJSON writes one object, its elements as they come.
func showJSON(out *bufio.Writer, r *rdb.Record, v *rdb.Value) error {
	head, err := json.Marshal(jsonHead{jsonText(r.Key), r.DB, v.Kind().String(), encodingOf(r.Type), expiry(r.ExpireAt)})
	if err != nil {
		return err
	}
	out.Write(head[:len(head)-1])
	out.WriteString(`,"Value":`)
	switch v.Kind() {
	case rdb.KindString:
		err = stringJSON(out, v.Reader())
	case rdb.KindStream:
		err = streamJSON(out, v)
	case rdb.KindModule:
		err = moduleJSON(out, v)
	default:
		err = elementsJSON(out, v)
	}
	if err == nil {
		_, err = out.WriteString("}\n")
	}
	return err
}

// array writes elements one after the other.
type array struct {
	out   *bufio.Writer
	begun bool
}

func (a *array) add(v any) error {
	sep := ",\n  "
	if !a.begun {
		sep, a.begun = "[\n  ", true
	}
	p, err := json.Marshal(v)
	if err != nil {
		return err
	}
	a.out.WriteString(sep)
	_, err = a.out.Write(p)
	return err
}

func (a *array) end() error {
	end := "\n]"
	if !a.begun {
		end = "[]"
	}
	_, err := a.out.WriteString(end)
	return err
}

func elementsJSON(out *bufio.Writer, v *rdb.Value) error {
	a := &array{out: out}
	for e, err := range v.Elements() {
		if err != nil {
			return err
		}
		var one any
		switch v.Kind() {
		case rdb.KindSortedSet:
			one = jsonMember{e.Text, jsonScore(e.Score)}
		case rdb.KindHash:
			one = jsonField{e.Text, e.Value, expiry(e.ExpireAt)}
		default:
			one = jsonText(e.Text)
		}
		if err := a.add(one); err != nil {
			return err
		}
	}
	return a.end()
}

func stringJSON(out *bufio.Writer, r io.Reader) error {
	start, err := io.ReadAll(io.LimitReader(r, wholeText+1))
	if err != nil {
		return err
	}
	if len(start) <= wholeText && utf8.Valid(start) {
		p, err := jsonText(start).MarshalJSON()
		out.Write(p)
		return err
	}
	out.WriteString(`{"base64":"`)
	enc := base64.NewEncoder(base64.StdEncoding, out)
	if _, err = enc.Write(start); err == nil {
		_, err = io.Copy(enc, r)
	}
	if err = errors.Join(err, enc.Close()); err == nil {
		_, err = out.WriteString(`"}`)
	}
	return err
}

func streamJSON(out *bufio.Writer, v *rdb.Value) error {
	out.WriteString(`{"Entries":`)
	a := &array{out: out}
	for e, err := range v.Entries() {
		if err != nil {
			return err
		}
		one := jsonEntry{ID: e.ID.String()}
		for _, f := range e.Fields {
			one.Fields = append(one.Fields, [2]jsonText{f.Name, f.Value})
		}
		if err := a.add(one); err != nil {
			return err
		}
	}
	if err := a.end(); err != nil {
		return err
	}
	groups := groupsJSON{out: out, empty: true}
	for p, err := range v.StateParts() {
		if err == nil {
			err = groups.add(p)
		}
		if err != nil {
			return err
		}
	}
	return groups.end()
}

// groupsJSON writes the groups of a stream part by part, each group on a line.
type groupsJSON struct {
	out   *bufio.Writer
	in    byte // the list that is being written
	empty bool // and nothing is in it yet
}

const (
	inGroups byte = iota
	inPending
	inConsumers
	inOwned
)

// listEnds is what ends each list, and the list that is being written then.
var listEnds = [...]struct {
	text string
	in   byte
}{inPending: {`],"Consumers":[`, inConsumers}, inConsumers: {"]}", inGroups}, inOwned: {"]}", inConsumers}}

func (g *groupsJSON) add(p rdb.StatePart) error {
	switch {
	case p.Stream != nil:
		_, err := fmt.Fprintf(g.out, `,"LastID":"%s","Groups":[`, p.Stream.LastID)
		return err
	case p.Group != nil:
		g.leaveFor(inGroups)
		return g.open(jsonGroup{p.Group.Name, p.Group.LastID.String(), p.Group.EntriesRead}, inPending)
	case p.Consumer != nil:
		g.leaveFor(inConsumers)
		return g.open(jsonConsumer{p.Consumer.Name, instant(p.Consumer.SeenAt)}, inOwned)
	case p.Pending != nil:
		return g.put(jsonPending{p.Pending.ID.String(), instant(p.Pending.DeliveredAt), p.Pending.Deliveries}, 0)
	}
	return g.put(p.Owned.String(), 0)
}

// leaveFor ends lists until one is being written.
func (g *groupsJSON) leaveFor(list byte) {
	for g.in != list {
		end := listEnds[g.in]
		g.out.WriteString(end.text)
		g.empty, g.in = g.in == inPending, end.in
	}
}

// put writes an element of the list, but for its last bytes.
func (g *groupsJSON) put(v any, but int) error {
	if !g.empty {
		g.out.WriteByte(',')
	}
	if g.in == inGroups {
		g.out.WriteString("\n  ")
	}
	g.empty = false
	p, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = g.out.Write(p[:len(p)-but])
	return err
}

// open writes an object up to its list of pending entries.
func (g *groupsJSON) open(head any, list byte) error {
	if err := g.put(head, len("}")); err != nil {
		return err
	}
	g.empty, g.in = true, list
	_, err := g.out.WriteString(`,"Pending":[`)
	return err
}

func (g *groupsJSON) end() error {
	if g.leaveFor(inGroups); !g.empty {
		g.out.WriteByte('\n')
	}
	_, err := g.out.WriteString("]}")
	return err
}

func moduleJSON(out *bufio.Writer, v *rdb.Value) error {
	head, err := json.Marshal(struct {
		Module  string
		Version int
	}{v.ModuleID().Name(), v.ModuleID().Version()})
	if err != nil {
		return err
	}
	out.Write(head[:len(head)-1])
	out.WriteString(`,"Items":`)
	a := &array{out: out}
	for item, err := range v.Items() {
		if err != nil {
			return err
		}
		var one any
		switch item.Kind {
		case rdb.ModuleSigned:
			one = int64(item.Int)
		case rdb.ModuleUnsigned:
			one = item.Int
		case rdb.ModuleText:
			one = jsonText(item.Text)
		default:
			one = jsonScore(item.Float)
		}
		if err := a.add(one); err != nil {
			return err
		}
	}
	if err := a.end(); err != nil {
		return err
	}
	return out.WriteByte('}')
}
