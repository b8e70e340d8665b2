package cli

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/dustin/go-humanize"
)

// table writes aligned columns.
type table struct{ w *tabwriter.Writer }

func (t *table) row(cells ...string) {
	for i, c := range cells {
		cells[i] = visible(c, false)
	}
	fmt.Fprintln(t.w, strings.Join(cells, "\t"))
}

// line is text outside of the columns. What has several lines stays below the first.
func (t *table) line(text string) {
	fmt.Fprintln(t.w, strings.ReplaceAll(visible(text, true), "\n", "\n  "))
}

// visible writes out what a terminal would obey: tags, logs and manifests are other people's words, and an escape sequence
// or a change of the writing direction in them could forge what is read here.
func visible(s string, lines bool) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) || lines && r == '\n' {
			b.WriteRune(r)
			continue
		}
		b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
	}
	return b.String()
}

// print shows v as JSON, or what people draws of it as a table.
func (s *session) print(v any, people func(*table)) error {
	if s.output == "json" {
		enc := json.NewEncoder(s.out)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	}
	w := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	people(&table{w})
	return w.Flush()
}

// bytes is a size for people.
func bytes(n int64) string {
	if n < 0 {
		return "-"
	}
	return humanize.Bytes(uint64(n))
}

// moment is an instant for people, in UTC.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// utc is t in UTC; no time stays none.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}

// orDash stands a dash in for nothing.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
