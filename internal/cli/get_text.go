package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/keyframe/keyframe/rdb"
)

// showText writes a value for people, as getLong says.
func showText(out *bufio.Writer, r *rdb.Record, v *rdb.Value, screen bool) error {
	if screen {
		fmt.Fprintf(out, "# %s", v.Kind())
		if n := v.Len(); n >= 0 {
			fmt.Fprintf(out, " of %d", n)
		}
		if r.ExpireAt != 0 {
			fmt.Fprintf(out, ", expires %s", moment(expiry(r.ExpireAt)))
		}
		out.WriteByte('\n')
	}
	switch v.Kind() {
	case rdb.KindString:
		return showString(out, v, screen)
	case rdb.KindStream:
		return showStream(out, v)
	case rdb.KindModule:
		return showModule(out, v)
	}
	for e, err := range v.Elements() {
		if err != nil {
			return err
		}
		switch v.Kind() {
		case rdb.KindSortedSet:
			out.WriteString(score(e.Score))
			out.WriteByte('\t')
			writeEscaped(out, e.Text)
		case rdb.KindHash:
			writeEscaped(out, e.Text)
			out.WriteByte('\t')
			writeEscaped(out, e.Value)
			if e.ExpireAt != 0 {
				fmt.Fprintf(out, "\texpires %s", moment(expiry(e.ExpireAt)))
			}
		default:
			writeEscaped(out, e.Text)
		}
		if err := out.WriteByte('\n'); err != nil {
			return err
		}
	}
	return nil
}

// showString passes the text on, on a terminal escaped and piece by piece.
func showString(out *bufio.Writer, v *rdb.Value, screen bool) error {
	text := v.Reader()
	if !screen {
		_, err := io.Copy(out, text)
		return err
	}
	buf := make([]byte, 32<<10)
	held := 0
	for {
		n, err := text.Read(buf[held:])
		n += held
		end := n
		if err == nil { // a character may go on in the next piece
			for end > max(0, n-utf8.UTFMax) && !utf8.FullRune(buf[lastRune(buf[:end]):end]) {
				end = lastRune(buf[:end])
			}
		}
		if _, werr := out.WriteString(escaped(buf[:end])); werr != nil {
			return werr
		}
		held = copy(buf, buf[end:n])
		switch {
		case errors.Is(err, io.EOF):
			return out.WriteByte('\n')
		case err != nil:
			return err
		}
	}
}

// lastRune is where the last character of b starts.
func lastRune(b []byte) int {
	at := len(b) - 1
	for at > 0 && at > len(b)-utf8.UTFMax && !utf8.RuneStart(b[at]) {
		at--
	}
	return max(at, 0)
}

// score is a score as engines write it.
func score(f float64) string {
	return strings.ToLower(strings.TrimPrefix(strconv.FormatFloat(f, 'g', 17, 64), "+"))
}

func showStream(out *bufio.Writer, v *rdb.Value) error {
	for e, err := range v.Entries() {
		if err != nil {
			return err
		}
		out.WriteString(e.ID.String())
		for _, f := range e.Fields {
			out.WriteByte('\t')
			writeEscaped(out, f.Name)
			out.WriteByte('\t')
			writeEscaped(out, f.Value)
		}
		if err := out.WriteByte('\n'); err != nil {
			return err
		}
	}
	for p, err := range v.StateParts() {
		switch {
		case err != nil:
			return err
		case p.Stream != nil:
			_, err = fmt.Fprintf(out, "# last ID %s, %d entries\n", p.Stream.LastID, p.Stream.Length)
		case p.Group != nil:
			_, err = fmt.Fprintf(out, "# group %s at %s, %d pending\n", escaped(p.Group.Name), p.Group.LastID, p.Next)
		case p.Consumer != nil:
			_, err = fmt.Fprintf(out, "#   consumer %s, %d pending\n", escaped(p.Consumer.Name), p.Next)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// showModule writes what a module saved. What it means only the module knows.
func showModule(out *bufio.Writer, v *rdb.Value) error {
	fmt.Fprintf(out, "# saved by the module of type %s\n", v.ModuleID())
	for item, err := range v.Items() {
		if err != nil {
			return err
		}
		switch item.Kind {
		case rdb.ModuleSigned:
			fmt.Fprintf(out, "%d\n", int64(item.Int))
		case rdb.ModuleUnsigned:
			fmt.Fprintf(out, "%d\n", item.Int)
		case rdb.ModuleText:
			writeEscaped(out, item.Text)
			out.WriteByte('\n')
		default:
			fmt.Fprintf(out, "%v\n", item.Float)
		}
	}
	return nil
}
