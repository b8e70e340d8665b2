package cli

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
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

type jsonGroup struct {
	Name      jsonText
	LastID    string
	Read      int64 // entries delivered; -1: not known
	Pending   []jsonPending
	Consumers []jsonConsumer
}

type jsonPending struct {
	ID          string
	DeliveredAt time.Time
	Deliveries  uint64
}

type jsonConsumer struct {
	Name    jsonText
	SeenAt  time.Time
	Pending []string
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
	state, err := v.State()
	if err != nil {
		return err
	}
	last, err := json.Marshal(state.LastID.String())
	if err != nil {
		return err
	}
	out.WriteString(`,"LastID":`)
	out.Write(last)
	out.WriteString(`,"Groups":`)
	groups := &array{out: out}
	for i := range state.Groups {
		if err := groups.add(groupJSON(&state.Groups[i])); err != nil {
			return err
		}
	}
	if err := groups.end(); err != nil {
		return err
	}
	return out.WriteByte('}')
}

func groupJSON(g *rdb.Group) jsonGroup {
	one := jsonGroup{Name: g.Name, LastID: g.LastID.String(), Read: g.EntriesRead, Pending: []jsonPending{}, Consumers: []jsonConsumer{}}
	for _, p := range g.Pending {
		one.Pending = append(one.Pending, jsonPending{p.ID.String(), instant(p.DeliveredAt), p.Deliveries})
	}
	for _, c := range g.Consumers {
		consumer := jsonConsumer{Name: c.Name, SeenAt: instant(c.SeenAt), Pending: []string{}}
		for _, id := range c.Pending {
			consumer.Pending = append(consumer.Pending, id.String())
		}
		one.Consumers = append(one.Consumers, consumer)
	}
	return one
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
